#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# lint.sh: run the kernel's checkers on our kernel files, and shellcheck and mypy on the harness. There must be no
# warnings, and each checker must report a planted fault or list the files that it read.

. "$(dirname "$0")/../common.sh"
only "" "$@"
"$harness/fetch/deps.sh" lint
lock
tree=$("$harness/overlay/tree.sh")
work=$build/work-${tree#"$build"/tree-}
# The files of ours, and kernel files with many lines of ours. checkpatch-lines has our lines in all other files.
mapfile -t ours < <("$harness/overlay/overlay.py" --paths |
	grep -E '^(lib|include|arch|Documentation)/.*(idgen|context|vmid).*\.([ch]|rst)$' | while read -r file; do
		cmp -s "$work/base/$file" "$work/laid/$file" || [[ ! -f $work/laid/$file ]] || echo "$file"
	done)
sources='(lib/(tests/)?idgen_alloc(_kunit)?|arch/[a-z0-9]*/(mm/context|kvm/vmid)(_kunit)?)\.c'
sources+='|include/((kunit|linux)/idgen_alloc|trace/events/idgen)\.h|.*/idgen_alloc_internal\.h'
sources+='|arch/riscv/include/asm/kvm_(host|vmid)\.h'
sources+='|arch/riscv/kvm/(main|vcpu|vcpu_exit)\.c'

# complaints DIR FILE: the remarks of checkpatch about a file, without line numbers. It dislikes the usual layout of
# trace events. It allows a typedef of atomic_t, but not of atomic64_t.
complaints() {
	local ignore=()
	[[ $2 != include/trace/* ]] || ignore=(--ignore "OPEN_ENDED_LINE,PARENTHESIS_ALIGNMENT")
	[[ $2 != include/linux/* ]] || ignore=(--ignore NEW_TYPEDEFS)
	cd "$tree"
	(scripts/checkpatch.pl --strict --terse --no-summary --show-types "${ignore[@]}" -f "$1/$2" || true) |
		sed -nE 's/^[^ ]*:[0-9]+: //p' | sort -u
}

# For a kernel file that we change, remarks about the original are excused.
checkpatch_files() {
	local file
	for file in "${ours[@]}"; do
		complaints "$work/laid" "$file" >"$work/complaints"
		: >"$work/excused"
		[[ ! -f $work/base/$file ]] || complaints "$work/base" "$file" >"$work/excused"
		comm -23 "$work/complaints" "$work/excused" >"$work/left"
		echo "$file: $(wc -l <"$work/left") complaints of $(wc -l <"$work/complaints")"
		cat "$work/left"
		[[ ! -s $work/left ]]
	done
	# A faulty line is reported.
	printf '// SPDX-License-Identifier: GPL-2.0\nint a=1;\n' >"$work/faulty.c"
	complaints "$work" faulty.c | grep -q SPACING
}

# Check the lines that we add to kernel files, as a patch.
checkpatch_lines() {
	cd "$work"
	cp -a base old
	rm -f "${ours[@]/#/old/}"
	(cd laid && cp -a --parents "${ours[@]}" ../old)
	(diff -ur -x '.idgen*' -x .kunitconfig old laid || true) |
		sed -E 's/^diff .* (old[^ ]*) /diff --git \1 /' >lines.patch
	rm -rf old
	grep -q '^+config IDGEN_ALLOC$' lines.patch
	cd "$tree"
	scripts/checkpatch.pl --strict --no-signoff --show-types --ignore COMMIT_MESSAGE "$work/lines.patch"
}

# A text that the overlay replaces is in the kernel. Only a tree of the user may lack it.
reworded() {
	python3 - "$work/base" <<-'END'
		import sys
		from pathlib import Path
		from overlay import load
		for spot in load()["insert"]:
		    if "old" in spot:
		        count = Path(sys.argv[1], spot["path"]).read_text(encoding="utf-8").count(spot["old"])
		        print(f"{spot['path']}: {count} times {spot['old']!r}")
		        assert count == 1
	END
}

kernel_doc() {
	local tool=tools/docs/kernel-doc file
	cd "$tree"
	[[ -x $tool ]] || tool=scripts/kernel-doc
	for file in include/{kunit,linux}/idgen_alloc.h lib/idgen_alloc.c; do
		"$tool" -none -Wall "$file" 2>&1 | tee "$work/kernel-doc"
		[[ ! -s $work/kernel-doc ]]
	done
	# kernel-doc has found the comments.
	"$tool" -rst include/linux/idgen_alloc.h | grep -c '^\.\. c:'
}

# Build the book with our pages with make htmldocs. Warnings about other pages are ignored.
htmldocs() {
	local name out=$tree/.lint-docs pages=Documentation/core-api/idgen_alloc status=0
	mkdir -p "$out"
	(cd "$out" && rm -f Documentation/output/core-api/idgen_alloc*.html)
	# A faulty page must be reported.
	printf 'A page that no other has\n=====\n' >"$tree/${pages}_faulty.rst"
	make -C "$tree" O=.lint-docs SPHINXDIRS=core-api htmldocs 2>&1 | tee "$work/pages" || status=$?
	rm "$tree/${pages}_faulty.rst"
	((status == 0)) || return "$status"
	for name in switch init; do
		grep "id=\"c.idgen_alloc_$name\"" "$out/Documentation/output/core-api/idgen_alloc.html"
	done
	ls "$out/Documentation/output/core-api/idgen_alloc_proofs.html"
	grep -E 'idgen.*(WARNING|ERROR|CRITICAL)|(WARNING|ERROR|CRITICAL).*idgen' "$work/pages" >"$work/left"
	grep -q "${pages}_faulty" "$work/left"
	! grep -v "${pages}_faulty" "$work/left"
}

# Run the semantic patches of the tree one by one. scripts/coccicheck only takes directories, and stops at the first
# semantic patch that needs OCaml.
coccicheck() {
	local files patch opts run=0
	cd "$tree"
	mapfile -t files < <(printf '%s\n' "${ours[@]}" | grep '\.c$')
	# A faulty line must be reported.
	printf 'int f(int x)\n{\n\twhile (x) {\n\t\tx--;\n\t};\n\treturn x;\n}\n' >"$work/faulty.c"
	: >"$work/found"
	while read -r patch; do
		mapfile -t opts < <(sed -nE 's,^// *Options: *,,p' "$patch" | xargs -rn 1)
		spatch -D report --no-show-diff --very-quiet --cocci-file "$patch" "${opts[@]}" "${files[@]}" \
			"$work/faulty.c" >>"$work/found" 2>"$work/spatch" </dev/null || die "$patch: $(cat "$work/spatch")"
		run=$((run + 1))
	done < <(grep -rlE 'virtual[[:space:]]+report' scripts/coccinelle --include='*.cocci' | sort |
		xargs grep -L script:ocaml)
	echo "checked ${files[*]} with $run semantic patches"
	cat "$work/found"
	grep -q "^$work/faulty.c:" "$work/found"
	! grep -v "^$work/faulty.c:" "$work/found"
}

# warnings ARCH COMPILER CHECKS: compile our objects with W=1. There must be no warning about a file of ours.
warnings() {
	local dir=.lint-$1-$2 extra=("${@:3}")
	for_arch "$1" "$2"
	kunit config "$tree" "$dir" "${kunit_for[@]}" "${kunit_all[@]}"
	(cd "$tree/$dir" && rm -f "${objects[@]}")
	make -C "$tree" O="$dir" -j"$(nproc)" "${make_for[@]}" W=1 "${extra[@]}" "${objects[@]}" 2>&1 | tee "$work/warnings"
	for object in "${objects[@]}"; do
		grep -Eq "^ +CC .*$object$" "$work/warnings"
		[[ -z ${extra[*]} ]] || grep -Eq "^ +CHECK .*${object%.o}.c$" "$work/warnings"
	done
	! grep -E "^(\.\./|\./)*($sources):[0-9]" "$work/warnings"
}

sparse() {
	local tool
	tool=$("$harness/fetch/tool.sh" sparse)
	"$tool" --version
	PATH=${tool%/*}:$PATH warnings "$1" gcc C=2
}

harness_scripts() {
	local script scripts
	cd "$repo"
	scripts=$(git ls-files --cached --others --exclude-standard '*.sh' '*.py' '*Makefile' .ci/run)
	if xargs grep -nE '.{121}' <<<"$scripts"; then
		die "these lines have more than 120 characters"
	fi
	while read -r script; do
		echo "checking $script"
		cd "$repo/$(dirname "$script")"
		case $script in
		*Makefile) ;;
		*.py) mypy --strict --no-error-summary --cache-dir="$build/mypy" "$(basename "$script")" ;;
		*) shellcheck "$(basename "$script")" ;;
		esac
	done <<<"$scripts"
}

# Check the jobs for labs: against LAVA's schema, and as YAML.
labs() {
	local lava
	lava=$("$harness/fetch/tool.sh" lava)
	yamllint --strict -d '{extends: default, rules: {line-length: {max: 120}}}' "$harness/labs"
	PYTHONPATH=$PYTHONPATH:$lava "$harness/labs/labs_test.py" "$tree"
}

check lint-harness harness_scripts
check labs labs
[[ -n ${LINUX-} ]] || check reworded reworded
check checkpatch-files checkpatch_files
check checkpatch-lines checkpatch_lines
check kernel-doc kernel_doc
check htmldocs htmldocs
check coccicheck coccicheck
for arch in arm64 arm riscv mips64el; do
	for_arch "$arch"
	# An older kernel has fewer of our conversions.
	[[ -f $tree/${kunitconfigs[0]} ]] || { skip "lint-$arch" "this kernel is too old" && continue; }
	check "sparse-gcc-W1-$arch" sparse "$arch"
	check "clang-W1-$arch" warnings "$arch" clang
done
used=("${compilers[@]}" clang-19 "$build/tools/sparse/sparse" shellcheck mypy spatch sphinx-build)
report lint
