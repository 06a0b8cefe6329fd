#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# series-check.sh [quick]: the series of series.sh, looked at as its reader will: made twice, applied to a tree as it
# was, patch by patch through checkpatch and the compiler. "quick" is what make test has; the whole also runs the KUnit
# suites that there are at each patch, lint and the kernel's configurations after the last, and has other kernels.

. "$(dirname "$0")/common.sh"
"$harness/deps.sh" kunit-arm64 kunit-arm kunit-riscv series
lock

# What checkpatch says that does not apply, and why, as FILE:TYPES.
idgen=tools/testing/idgen
excused=(
	# Names of arm64's register fields.
	'arch/arm64/mm/context.c|.*asid_probe.c:CAMELCASE'
	# It knows atomic_t as a type that may have another name, but not atomic64_t.
	'include/linux/idgen_alloc.h:NEW_TYPEDEFS'
	# Laid out as all trace events are.
	'include/trace/events/idgen.h:OPEN_ENDED_LINE|PARENTHESIS_ALIGNMENT'
	# In place of the kernel's headers, so they have what those have, by the compiler's own words.
	"$idgen/(shim|bench/machine|cbmc/shim|cbmc/model).h:MACRO_ARG_(REUSE|UNUSED)|NEW_TYPEDEFS|COMPLEX_MACRO"
	"$idgen/(shim|bench/machine|cbmc/shim|cbmc/model).h:PREFER_DEFINED_ATTRIBUTE_MACRO|EXPORT_SYMBOL|IS_ENABLED_CONFIG"
	"$idgen/(bench/machine|cbmc/shim).h:MACRO_WITH_FLOW_CONTROL|TRAILING_SEMICOLON|CAMELCASE"
	"$idgen/bench/machine.c:MACRO_ARG_(REUSE|UNUSED)"
	# Programs for the host and for QEMU have none of the kernel's headers: no BIT(), ARRAY_SIZE() or __aligned(), and no
	# READ_ONCE(). The usage of a program named as a function is not that function's name.
	"$idgen/.*\\.[ch]:PREFER_DEFINED_ATTRIBUTE_MACRO|BIT_MACRO|ARRAY_SIZE|VOLATILE|EMBEDDED_FUNCTION_NAME"
	# Symbols of assembly, of a linker and of a plugin's host, which no header has; and CBMC's names.
	"$idgen/(e2e/guests|e2e/tlb|bench/bench).c:AVOID_EXTERNS"
	"$idgen/(cbmc/model.h|e2e/processes.c):CAMELCASE"
	# A pointer to volatile, or to a type whose name is pasted together, is taken for a product.
	"$idgen/(e2e/processes.c|shim.h):SPACING"
	# The assembly of a guest begins on the next line.
	"$idgen/e2e/guests_(arm64|riscv).h:OPEN_ENDED_LINE"
	# One line that is read by e2e.py, and the texts of usage.
	"$idgen/(e2e/processes|torture).c:SPLIT_STRING|LONG_LINE|LONG_LINE_STRING"
	# A bound comes before what it bounds, as it is written on paper.
	"$idgen/cbmc/.*:CONSTANT_COMPARISON"
	# Written by the translator from PlusCal.
	"$idgen/tla/idgen.tla:TRAILING_WHITESPACE"
)

# settle NAME: the series for "$tree", which has no files of ours, goes to build/NAME.
settle() {
	out=$build/$1
	git_tree=("--git-dir=$out/tree.git" "--work-tree=$tree" -c user.name=series-check -c user.email=series-check -c core.hooksPath=)
}

git_in_tree() { (cd "$tree" && GIT_CONFIG_GLOBAL=/dev/null git "${git_tree[@]}" "$@"); }

# A machine that only tests has no name to sign with; and without one there must be no series.
if ! git config user.name >/dev/null || ! git config user.email >/dev/null; then
	export GIT_CONFIG_COUNT=2 GIT_CONFIG_KEY_0=user.name GIT_CONFIG_VALUE_0=nobody
	export GIT_CONFIG_KEY_1=user.email GIT_CONFIG_VALUE_1=nobody@localhost
fi

make_series() {
	if GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=user.name GIT_CONFIG_VALUE_0='' "$harness/series.sh" "$out"; then
		die "that has nobody's name"
	fi
	"$harness/series.sh" "$out"
}

# The same again, to the last bit.
make_again() {
	local again=$build/series-again
	"$harness/series.sh" "$again"
	cmp "$out/series.mbox" "$again/series.mbox"
	rm -rf "$again"
	# It says whose it is.
	grep -c "^Signed-off-by: $(git config user.name) <$(git config user.email)>$" "$out/series.mbox"
}

# git am knows no fuzz; what it leaves is what make apply leaves.
am() {
	mapfile -t names <"$out/names"
	git_in_tree init -q -b series
	(cd "$work/base" && find . -type f) >"$out/paths"
	git_in_tree add -f --pathspec-from-file="$out/paths"
	git_in_tree commit -q -m base
	# Of a run that did not come to its end: the kernel ignores them, and so does what lays out the tree.
	git_in_tree clean -qfx -- .kunitconfig 'arch/*.kunitconfig'
	git_in_tree am --empty=drop "$out/series.mbox"
	(($(git_in_tree rev-list --count HEAD) == ${#names[@]} + 1))
	rm -rf "$out/applied"
	mkdir "$out/applied"
	git_in_tree archive HEAD | tar -x -C "$out/applied"
	diff -r -x .idgen-overlay.json "$out/applied" "$work/laid"
	rm -rf "$out/applied"
	# All else is as it was.
	git_in_tree diff --exit-code HEAD
}

# elsewhere VERSION: git am on another kernel, of which there are no more than the files concerned.
elsewhere() {
	export LINUX='' LINUX_VERSION=$1
	work=$("$harness/tree.sh" aside)
	tree=$build/series-check-$1/tree
	settle "series-check-$1"
	"$harness/series.sh" "$out"
	cp -a "$work/base" "$tree"
	echo "Linux $(<"$work/version")"
	am
}

# A tree that has news for us is named, with the reason, and nothing is made.
out_of_range() {
	local odd=$build/series-odd path
	for path in arch/arm64/mm/context.c arch/arm64/kvm/vmid.c lib/Makefile; do
		step_to 0
		sed -i 's/SBITMAP/BITMAP/; s/^#include/# include/' "$tree/$path"
		if LINUX=$tree LINUX_VERSION='' "$harness/series.sh" "$odd" 2>"$out/said"; then
			die "there is a series for a tree whose $path is another one"
		fi
		cat "$out/said"
		grep "^  $path: " "$out/said"
		[[ ! -e $odd ]]
	done
}

# MAINTAINERS comes with the last patch. Programs for the host are as wide as the rest of the harness.
ask_checkpatch() {
	local wide=()
	[[ $1 != *tools-testing* ]] || wide=(--max-line-length=120)
	scripts/checkpatch.pl --strict --terse --no-summary --show-types --showfile --ignore FILE_PATH_CHANGES "${wide[@]}" "$1" || true
}

checkpatch() {
	local patches=("$out"/0*.patch) patch filter=() row
	cd "$tree"
	for row in "${excused[@]}"; do
		filter+=(-e "^(${row%%:*}):[0-9]+: [A-Z]+:(${row#*:}): ")
	done
	for patch in "${patches[@]:1}"; do
		ask_checkpatch "$patch" >"$out/said"
		grep -vE "${filter[@]}" "$out/said" >"$out/left" || true
		echo "${patch##*/}: $(wc -l <"$out/said") remarks, $(wc -l <"$out/left") of them not excused"
		cat "$out/left"
		[[ ! -s $out/left ]]
	done
	# It would find fault with a line that deserves it.
	sed 's/^+\tbool pins;$/+\tbool  pins=1;/' "${patches[1]}" >"$out/faulty"
	ask_checkpatch "$out/faulty" | grep SPACING
}

# at NUMBER: "series~N", after that many patches.
at() { echo "series~$((${#names[@]} - $1))"; }

# step_to NUMBER: have the tree as after that many patches.
step_to() {
	git_in_tree checkout -q -f --detach "$(at "$1")"
}

# A line with NUMBER and ARCH for each patch that changes what an architecture is made of, which has a .kunitconfig by
# then. The first patch has no suite, and is compiled for arm64.
list_concerned() {
	local i arch paths
	for ((i = 1; i <= ${#names[@]}; i++)); do
		paths=$(git_in_tree diff --name-only "$(at $((i - 1)))" "$(at "$i")")
		for arch in arm64 arm riscv; do
			for_arch "$arch"
			[[ $arch = arm64 || -n $(git_in_tree ls-tree "$(at "$i")" "$kunitconfig") ]] || continue
			! grep -qE "^(lib|include|arch/$arch)/|^$kunitconfig" <<<"$paths" || echo "$i $arch"
		done
	done >"$out/concerned"
	cat "$out/concerned"
	# All but documentation, tools and MAINTAINERS.
	(($(wc -l <"$out/concerned") > 10))
}

# step_for NUMBER ARCH: have the tree as after that many patches, and in $out/kunitconfig the options that ARCH has for
# its suites then.
step_for() {
	step_to "$1"
	for_arch "$2"
	if [[ -f $tree/$kunitconfig ]]; then
		cp "$tree/$kunitconfig" "$out/kunitconfig"
	else
		: >"$out/kunitconfig"
	fi
	[[ $2 = arm ]] || printf 'CONFIG_%s=y\n' KUNIT VIRTUALIZATION KVM >>"$out/kunitconfig"
}

# Each patch compiles: our objects, as far as they are there, where what they are made of has changed.
build_each() {
	local i arch object there
	while read -r i arch <&3; do
		step_for "$i" "$arch"
		there=()
		for object in "${objects[@]}"; do
			[[ ! -f $tree/${object%.o}.c ]] || there+=("$object")
		done
		kunit config "$tree" ".series-$arch" "${kunit_for[@]}" --kunitconfig="$out/kunitconfig" --kconfig_add=CONFIG_WERROR=y
		(cd "$tree/.series-$arch" && rm -f "${there[@]}")
		make -C "$tree" O=".series-$arch" -j"$(nproc)" "${make_for[@]}" "${there[@]}"
		(cd "$tree/.series-$arch" && ls "${there[@]}")
	done 3<"$out/concerned"
}

# kunit_at NUMBER ARCH: the suites that there are after that many patches. All else of the kernel is as for make kunit,
# and comes from the compiler's cache.
kunit_at() {
	local there
	step_for "$1" "$2"
	mapfile -t there < <(sed -nE 's/^CONFIG_(.*)_KUNIT_TEST=y$/\L\1/p' "$out/kunitconfig")
	rm -f "$out/kunit.json"
	kunit run "$tree" ".series-kunit-$2" "${kunit_for[@]}" --kunitconfig="$out/kunitconfig" \
		--jobs="$(nproc)" --json="$out/kunit.json"
	"$harness/results.py" --log="$tree/.series-kunit-$2/test.log" "$out/kunit.json" "${there[@]}"
}

# Each file of ours reaches the lists of those whom it concerns, once the last patch is in.
lists() {
	local path want who list asked=0
	step_to "${#names[@]}"
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
	done < <(git_in_tree diff --diff-filter=d --name-only "series~${#names[@]}" series | grep -vE '^tools/.*/.*/.*/|^MAINTAINERS')
	((asked > 20))
}

tree=$("$harness/tree.sh" series)
settle series-check
work=$("$harness/tree.sh" aside)
check series-make make_series
check series-same-again make_again
check series-am am
# All else looks at its commits.
((failed == 0)) || { report "$build/series.csv"; exit; }
mapfile -t names <"$out/names"
check series-checkpatch checkpatch
check series-lists lists
check series-concerned list_concerned
check series-build build_each
check series-out-of-range out_of_range
if [[ ${1-} != quick ]]; then
	while read -r i arch <&3; do
		((i == 1)) || check "series-kunit-${names[i - 1]}-$arch" kunit_at "$i" "$arch"
	done 3<"$out/concerned"
	check series-lint "$harness/lint.sh"
	check series-configs "$harness/configs.sh"
	for version in 6.12 sid experimental; do
		check "series-$version" elsewhere "$version"
	done
fi
report "$build/series.csv"
