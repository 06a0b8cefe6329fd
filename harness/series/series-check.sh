#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# [JOBS=N] [SHARD=I/N] series-check.sh [quick]: check the sets of series.sh as a maintainer would. Each set is made,
# applied to an unmodified tree or on top of the core, and checked by checkpatch patch by patch. The core is made twice,
# and must be the same. Patches for the library, arm64, arm and riscv are compiled one by one. "quick" is for make test.
# The complete check also runs the KUnit suites at each of these patches, lint and the kernel's configurations after the
# last patch, and tries other kernels. Each shard makes and applies all sets.

. "$(dirname "$0")/../common.sh"
only quick "$@"
"$harness/fetch/deps.sh" kunit-arm64 kunit-arm kunit-riscv e2e-arm64 e2e-riscv series series-check
lock
quick=${1-}
VARIANT+=${quick:+-quick}
tree=$("$harness/overlay/tree.sh" series)
((jobs == 1)) || { spread series own_build "$0" "$@"; exit; }

sets=(core debug arm riscv kvm-riscv mips csky tools selftests)
all=("${sets[@]}" fixes mips-fixes)
# Lines added and removed that each conversion may have.
limits=(
	'arch/arm64/mm/context.c 45 260'
	'arch/arm64/kvm/vmid.c 25 145'
	'arch/arm/mm/context.c 50 135'
	'arch/riscv/mm/context.c 35 175'
)

# Remarks of checkpatch that do not apply, as FILE:TYPES, and why.
idgen=tools/testing/idgen
excused=(
	# It takes the second pair of parentheses of idgen_atomic(op)(...) for unnecessary ones.
	'lib/idgen_alloc.c:UNNECESSARY_PARENTHESES'
	# The barrier has a comment, but in the diff removed lines are between the two.
	'arch/riscv/kvm/vmid.c:MEMORY_BARRIER'
	# It takes VISIBLE_IF_KUNIT for a type. Here it is defined as static, as in include/kunit/visibility.h.
	'lib/idgen_alloc_internal.h:STORAGE_CLASS'
	# It allows a typedef of atomic_t, but not of atomic64_t.
	'include/linux/idgen_alloc.h:NEW_TYPEDEFS'
	# Laid out as all trace events are.
	'include/trace/events/idgen.h:OPEN_ENDED_LINE|PARENTHESIS_ALIGNMENT'
	# These replace kernel headers, and define the same names.
	"$idgen/(base|kunit|cbmc/model|(cbmc/|weak/)?shim).h:MACRO_ARG_(REUSE|UNUSED|PRECEDENCE)|NEW_TYPEDEFS|COMPLEX_MACRO"
	"$idgen/(base|shim|cbmc/shim|cbmc/model).h:PREFER_DEFINED_ATTRIBUTE_MACRO|EXPORT_SYMBOL|IS_ENABLED_CONFIG"
	"$idgen/(kunit|cbmc/shim|weak/shim).h:MACRO_WITH_FLOW_CONTROL|MEMORY_BARRIER"
	# Host programs have no kernel headers: no BIT(), __aligned() or READ_ONCE(). A usage text names the program,
	# which is also the name of a function.
	"$idgen/.*\\.[ch]:PREFER_DEFINED_ATTRIBUTE_MACRO|BIT_MACRO|VOLATILE|EMBEDDED_FUNCTION_NAME"
	# Symbols of the linker, which no header declares, and names of CBMC.
	"$idgen/kunit.c:AVOID_EXTERNS"
	"$idgen/cbmc/model.h:CAMELCASE"
	# A loop macro.
	"$idgen/cbmc/induction.c:MACRO_ARG_REUSE|COMPLEX_MACRO"
	# A pointer to volatile, or to a type with a pasted name, is taken for a multiplication.
	"$idgen/(shim|kunit).h:SPACING"
	# Usage texts.
	"$idgen/(torture|hw).c:LONG_LINE_STRING"
	# Scripts are as wide as the rest of the harness.
	"$idgen/[a-z]*/[a-z]*\\.sh:LONG_LINE|LONG_LINE_COMMENT|LONG_LINE_STRING"
	# A lower bound is written on the left, as in mathematics.
	"$idgen/cbmc/.*:CONSTANT_COMPARISON"
	# Userspace programs use volatile and C11 atomics. A usage text names the program, which is also the name of a
	# function. A log message is one line.
	'tools/testing/selftests/(mm|kvm)/(asid|vmid)_rollover.c:PREFER_DEFINED_ATTRIBUTE_MACRO|VOLATILE|CAMELCASE|SPACING'
	'tools/testing/selftests/(mm|kvm)/(asid|vmid)_rollover.c:EMBEDDED_FUNCTION_NAME|FUNCTION_ARGUMENTS|LONG_LINE_STRING'
)

out=$build/series-check

git_in_tree() {
	(cd "$tree" && GIT_CONFIG_GLOBAL=/dev/null git "--git-dir=$out/tree.git" "--work-tree=$tree" \
		-c user.name=series-check -c user.email=series-check -c core.hooksPath= "$@")
}

make_set() { SET=$1 "$harness/series/series.sh" "$out/$1"; }

# The output is reproducible, and signed off by the user if that is asked for.
make_again() {
	local again=$build/series-again
	"$harness/series/series.sh" "$again"
	cmp "$out/core/series.mbox" "$again/series.mbox"
	[[ $(grep -c '^Signed-off-by:' "$again/series.mbox") -eq 0 ]]
	GIT_CONFIG_COUNT=2 GIT_CONFIG_KEY_0=user.name GIT_CONFIG_VALUE_0=Somebody GIT_CONFIG_KEY_1=user.email \
		GIT_CONFIG_VALUE_1=somebody@localhost SIGNOFF=1 "$harness/series/series.sh" "$again"
	[[ $(grep -c '^Signed-off-by: Somebody <somebody@localhost>$' "$again/series.mbox") -eq $(wc -l <"$again/names") ]]
	if GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=user.name GIT_CONFIG_VALUE_0='' SIGNOFF=1 \
		"$harness/series/series.sh" "$again"; then
		die "a series was signed off without a name"
	fi
	rm -rf "$again"
}

# Commit the unmodified tree as the branch "base".
lay_base() {
	rm -rf "$out/tree.git"
	git_in_tree init -q -b base
	(cd "$work/base" && find . -type f) >"$out/paths"
	git_in_tree add -f --pathspec-from-file="$out/paths"
	git_in_tree commit -q -m base
	# An interrupted run may have left these. The kernel's .gitignore hides them from tree.sh.
	git_in_tree clean -qfx -- .kunitconfig 'arch/*.kunitconfig'
}

# below SET: what a set applies to: the core, or the unmodified tree.
below() {
	case $1 in core | selftests | *fixes) echo base ;; *) echo core ;; esac
}

# am SET: apply a set with git am, which allows no fuzz. The result is the branch SET.
am() {
	local below
	below=$(below "$1")
	git_in_tree checkout -q -f -B "$1" "$below"
	git_in_tree am --empty=drop "$out/$1/series.mbox"
	(($(git_in_tree rev-list --count "$below..$1") == $(wc -l <"$out/$1/names")))
	[[ $(git_in_tree log --format='%an <%ae>' "$below..$1" | sort -u) = "$(git -C "$repo" log -1 --format='%an <%ae>')" ]]
	# Nothing else has changed.
	git_in_tree diff --exit-code HEAD
}

# b4 am gives the same tree as git am.
b4_am() {
	local id
	id=$(sed -nE 's/^Message-I[dD]: <(.*)>$/\1/p' "$out/core/series.mbox" | head -n 1)
	rm -rf "$out/b4" && mkdir "$out/b4"
	(cd "$out/b4" && b4 --offline-mode am -m "$out/core/series.mbox" -o . "$id")
	git_in_tree checkout -q -f -B b4 base
	git_in_tree am "$out/b4/"*.mbx
	git_in_tree diff --exit-code core b4
}

# Each conversion stays within its limits. series.py itself checks that all sets together give the files of make apply.
line_limits() {
	local path added removed row limit
	for limit in "${limits[@]}"; do
		read -r path added removed <<<"$limit"
		# The set that converts the file, and no later one.
		row=$(for set in "${sets[@]}"; do
			git_in_tree diff --histogram --numstat "$(below "$set")" "$set" -- "$path"
		done | sed 1q)
		echo "$row (at most $added $removed)"
		awk -v added="$added" -v removed="$removed" \
			'{ bad = $1 > added || $2 > removed } END { exit NR != 1 || bad }' <<<"$row"
	done
}

# The tools need no other set than the core.
tools_alone() {
	git_in_tree checkout -q -f --detach tools
	make -C "$tree/$idgen" O="$out/tools" kunit
	CBMC=$("$harness/fetch/tool.sh" cbmc) "$tree/$idgen/cbmc/run.py" --out "$out/prove" --csv "$out/prove.csv" quick-asid
}

# The selftests need no other set. On arm64, the command of README.md builds them with KVM's other selftests. On riscv,
# the kernel's own memslot_perf_test does not compile with gcc 12, and mm's other programs need libraries: ours alone.
selftests_alone() {
	local arch program to=$out/selftests-build
	git_in_tree checkout -q -f --detach selftests
	[[ ! -e $tree/lib/idgen_alloc.c ]]
	rm -rf "$to"
	for arch in arm64 riscv; do
		for_arch "$arch"
		make -C "$tree" -s O="$to/$arch" "${make_for[@]}" headers
		[[ $arch != arm64 ]] ||
			make -C "$tree/tools/testing/selftests" -s -j"$(nproc)" O="$to/arm64" "${make_for[@]}" TARGETS=kvm
		for program in kvm/vmid_rollover mm/asid_rollover; do
			mkdir -p "$to/$arch/kselftest/${program%/*}"
			make -C "$tree/tools/testing/selftests/${program%/*}" -s -j"$(nproc)" "${make_for[@]}" \
				KHDR_INCLUDES="-isystem $to/$arch/usr/include" OUTPUT="$to/$arch/kselftest/${program%/*}" \
				"$to/$arch/kselftest/$program"
		done
		(cd "$to/$arch/kselftest" && ls kvm/vmid_rollover mm/asid_rollover)
	done
}

# For a tree that differs a little, the series is made, applies and compiles. If the tree has changed a function that we
# replace, series.py names it, and makes the patches that do not depend on it.
perturbed() {
	local odd=$build/series-odd
	"$harness/overlay/perturb.py" "$work/base" "$out/perturbed"
	git_in_tree checkout -q -f -B perturbed base
	cp -a "$out/perturbed/." "$tree"
	git_in_tree commit -q -a -m perturbed
	LINUX=$tree LINUX_VERSION='' "$harness/series/series.sh" "$odd"
	git_in_tree am --empty=drop "$odd/series.mbox"
	for_arch arm64
	compile_here perturbed arm64

	git_in_tree checkout -q -f --detach base
	sed -i 's/\tu64 generation = atomic64_read(&asid_generation);/&\n\tsomebody_needs_this();/' \
		"$tree/arch/arm64/mm/context.c"
	if LINUX=$tree LINUX_VERSION='' "$harness/series/series.sh" "$odd" 2>"$out/said"; then
		die "a complete series was made for a tree whose new_context() differs"
	fi
	cat "$out/said"
	grep '^  arch/arm64/mm/context.c: new_context is not as' "$out/said"
	grep '+ somebody_needs_this();' "$out/said"
	[[ $(tr '\n' ' ' <"$odd/names") = 'lib kunit vmid reuse hint ' ]]
	[[ $(git_in_tree diff --name-only) = arch/arm64/mm/context.c ]]
	git_in_tree checkout -q -f --detach base
	git_in_tree am --empty=drop "$odd/series.mbox"
	rm -rf "$odd"
}

# Each fix applies alone to the unmodified tree, and compiles. Another order gives the same tree. A tree that has the
# fixes does not get them again, and the conversions apply to it.
fixes() {
	local patches patch paths set
	patches=("$out/fixes"/0*.patch)
	patches=("${patches[@]:1}")
	for patch in "${patches[@]}"; do
		echo "== $(basename "$patch")"
		git_in_tree checkout -q -f --detach base
		git_in_tree am "$patch"
		mapfile -t paths < <(git_in_tree diff --name-only base HEAD)
		compile_here fix "$(cut -d/ -f2 <<<"${paths[0]}")" "${paths[@]/%.c/.o}"
	done
	git_in_tree checkout -q -f -B fixed base
	mapfile -t patches < <(printf '%s\n' "${patches[@]}" | tac)
	git_in_tree am "${patches[@]}"
	git_in_tree diff --exit-code fixes fixed

	if LINUX=$tree LINUX_VERSION='' SET=fixes "$harness/series/series.sh" "$out/fixed" 2>"$out/said"; then
		die "fixes were made for a tree that has them"
	fi
	cat "$out/said"
	(($(grep -c ': this tree has it$' "$out/said") == ${#patches[@]}))
	for set in "${sets[@]}"; do
		LINUX=$tree LINUX_VERSION='' SET=$set "$harness/series/series.sh" "$out/fixed"
		git_in_tree checkout -q -f -B "fixed-$set" "$([[ $set = core ]] && echo fixed || echo fixed-core)"
		git_in_tree am --empty=drop "$out/fixed/series.mbox"
		git_in_tree checkout -q -f fixed
	done
	rm -rf "$out/fixed"
}

# elsewhere VERSION: git am on the files of another kernel.
elsewhere() {
	local set
	export LINUX='' LINUX_VERSION=$1
	work=$("$harness/overlay/tree.sh" aside)
	out=$build/series-check-$1 tree=$build/series-check-$1/tree
	rm -rf "$out" && mkdir "$out"
	cp -a "$work/base" "$tree"
	echo "Linux $(<"$work/version")"
	lay_base
	for set in "${all[@]}"; do
		if make_set "$set" 2>&1 | tee "$out/said"; then
			am "$set"
		else
			[[ $1 = 6.12 && $set = *riscv ]]
			grep "^error: the set $set is empty: this tree is too old for it$" "$out/said"
		fi
	done
}

ask_checkpatch() {
	scripts/checkpatch.pl --strict --terse --no-summary --show-types --showfile \
		--ignore FILE_PATH_CHANGES,UNKNOWN_COMMIT_ID,MISSING_SIGN_OFF "$1" || true
}

checkpatch() {
	local patch filter=() row patches=()
	for row in "${all[@]}"; do
		patches+=("$out/$row"/0*.patch)
	done
	cd "$tree"
	for row in "${excused[@]}"; do
		filter+=(-e "^(${row%%:*}):[0-9]+: [A-Z]+:(${row#*:}): ")
	done
	for patch in "${patches[@]}"; do
		[[ $patch != */0000-* ]] || continue
		ask_checkpatch "$patch" >"$out/said"
		grep -vE "${filter[@]}" "$out/said" >"$out/left" || true
		echo "${patch#"$out"/}: $(wc -l <"$out/said") remarks, $(wc -l <"$out/left") of them not excused"
		cat "$out/left"
		[[ ! -s $out/left ]]
	done
	# A faulty line is reported.
	sed 's/^+\tbool pins;$/+\tbool  pins=1;/' "${patches[1]}" >"$out/faulty"
	ask_checkpatch "$out/faulty" | grep SPACING
}

# commits SET: those of a set, oldest first.
commits() {
	git_in_tree rev-list --reverse "$(below "$1")..$1"
}

# List SET, NUMBER, COMMIT and ARCH for each patch that changes the library or code of arm64, arm or riscv.
list_concerned() {
	local set i commit arch paths
	for set in "${sets[@]}"; do
		i=0
		for commit in $(commits "$set"); do
			i=$((i + 1))
			paths=$(git_in_tree diff --name-only "$commit~" "$commit")
			for arch in arm64 arm riscv; do
				# The library alone is compiled for arm64 only.
				! grep -qE "^arch/$arch/" <<<"$paths" && [[ $arch != arm64 ]] && continue
				! grep -qE "^(lib|include|arch/$arch)/" <<<"$paths" || echo "$set $i $commit $arch"
			done
		done
	done >"$out/concerned"
	cat "$out/concerned"
	(($(wc -l <"$out/concerned") >= 10))
}

# config_here ARCH: write to $out/kunitconfig the options for the suites that the tree has now.
config_here() {
	local file
	for_arch "$1"
	printf 'CONFIG_%s=y\n' KUNIT >"$out/kunitconfig"
	[[ ! -d $tree/lib/tests || ! -f $tree/lib/tests/idgen_alloc_kunit.c ]] ||
		echo CONFIG_IDGEN_ALLOC_KUNIT_TEST=y >>"$out/kunitconfig"
	for file in "arch/$1/mm/.kunitconfig" "arch/$1/kvm/.kunitconfig"; do
		[[ ! -f $tree/$file ]] || cat "$tree/$file" >>"$out/kunitconfig"
	done
	case $1 in
	arm) echo CONFIG_SMP=y >>"$out/kunitconfig" ;;
	*) printf 'CONFIG_%s=y\n' VIRTUALIZATION KVM >>"$out/kunitconfig" ;;
	esac
	! grep -q '^config DEBUG_IDGEN_ALLOC' "$tree/lib/Kconfig.debug" || echo CONFIG_DEBUG_IDGEN_ALLOC=y >>"$out/kunitconfig"
	sort -u -o "$out/kunitconfig" "$out/kunitconfig"
}

# compile_here NAME ARCH [OBJECT...]: compile these objects, or ours, if their sources exist.
compile_here() {
	local object there=()
	config_here "$2"
	(($# == 2)) || objects=("${@:3}")
	for object in "${objects[@]}"; do
		[[ ! -f $tree/${object%.o}.c ]] || there+=("$object")
	done
	kunit config "$tree" ".series-$2" "${kunit_for[@]}" --kunitconfig="$out/kunitconfig" --kconfig_add=CONFIG_WERROR=y
	(cd "$tree/.series-$2" && rm -f "${there[@]}")
	make -C "$tree" O=".series-$2" -j"$(nproc)" "${make_for[@]}" "${there[@]}"
	(cd "$tree/.series-$2" && ls "${there[@]}")
}

# Each patch compiles for those of arm64, arm and riscv that it changes.
build_each() {
	local set i commit arch
	while read -r set i commit arch <&3; do
		echo "== $set, patch $i, $arch"
		git_in_tree checkout -q -f --detach "$commit"
		compile_here "$set-$i" "$arch"
	done 3<"$out/concerned"
}

# kunit_at COMMIT ARCH: run the suites that exist after that patch. ccache has the rest of the kernel from make kunit.
kunit_at() {
	local there
	git_in_tree checkout -q -f --detach "$1"
	config_here "$2"
	mapfile -t there < <(sed -nE 's/^CONFIG_(.*)_KUNIT_TEST=y$/\L\1/p' "$out/kunitconfig")
	rm -f "$out/kunit.json"
	kunit run "$tree" ".series-kunit-$2" "${kunit_for[@]}" --kunitconfig="$out/kunitconfig" \
		--jobs="$(nproc)" --json="$out/kunit.json"
	"$harness/check/kunit_results.py" --log="$tree/.series-kunit-$2/test.log" "$out/kunit.json" "${there[@]}"
}

# For each file of the core, get_maintainer.pl finds the right lists.
lists() {
	local path want who list asked=0
	git_in_tree checkout -q -f core
	cd "$tree"
	while read -r path; do
		want=(linux-kernel@)
		[[ $path != *idgen* && $path != arch/arm64/* ]] || want+=(linux-arm-kernel@)
		[[ $path != *idgen* && $path != arch/arm64/kvm/* ]] || want+=(kvmarm@)
		[[ $path != Documentation/* ]] || want+=(linux-doc@)
		mapfile -t who < <(scripts/get_maintainer.pl --no-git --no-git-fallback --norolestats --no-m --no-r -f "$path")
		echo "$path: ${who[*]}"
		for list in "${want[@]}"; do
			[[ " ${who[*]}" = *" $list"* ]] || die "$path does not reach $list"
		done
		asked=$((asked + 1))
	done < <(git_in_tree diff --diff-filter=d --name-only base core | grep -v '^MAINTAINERS')
	((asked > 10))
}

work=$("$harness/overlay/tree.sh" aside)
mkdir -p "$out"
for set in "${all[@]}"; do
	check "series-make-$set" make_set "$set"
done
check series-same-again make_again
check series-base lay_base
for set in "${all[@]}"; do
	check "series-am-$set" am "$set"
done
# All later checks need these commits.
((failed == 0)) || { report series; exit; }
check series-concerned list_concerned
rows() {
	local set i commit arch version
	check series-b4 b4_am
	check series-lines line_limits
	check series-checkpatch checkpatch
	check series-lists lists
	check series-tools tools_alone
	check series-selftests selftests_alone
	check series-build build_each
	check series-perturbed perturbed
	check series-fixes fixes
	[[ $quick != quick ]] || return 0
	while read -r set i commit arch <&3; do
		[[ $set$i = core1 ]] || check "series-kunit-$set-$i-$arch" kunit_at "$commit" "$arch"
	done 3<"$out/concerned"
	# The one fix with a KUnit case. The case must fail without it.
	check series-gstage-fence "$harness/check/gstage-fence.sh"
	check series-lint "$harness/check/lint.sh"
	check series-configs "$harness/check/configs.sh"
	for version in 6.12 sid experimental; do
		check "series-$version" elsewhere "$version"
	done
}
sharded rows
report series
