#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# bench.sh [quick]: what our files cost, against the same tree without them, in instructions and bytes; bench.toml has
# the rows and how much each may cost. "quick" leaves out what whole kernels do. DISASM=1 also prints the fast and slow
# paths side by side, and which cache lines hold what.

. "$(dirname "$0")/common.sh"
quick=${1-}
"$harness/deps.sh" bench
lock
declare -A trees
trees[ours]=$("$harness/tree.sh")
trees[theirs]=$("$harness/tree.sh" pristine)
work=$build/bench
mkdir -p "$work"
rm -f "$work"/*.csv
originals=(arch/arm64/mm/context.o arch/arm64/kvm/vmid.o)
declare -A made=([ours]="lib/idgen_alloc.o ${originals[*]}" [theirs]="${originals[*]}")

# compile WHOSE DIR TARGETS [OPTION...]: the objects of one tree, in its build directory DIR.
compile() {
	local tree=${trees[$1]} dir=$2 targets
	read -ra targets <<<"$3"
	kunit config "$tree" "$dir" "${arm64_gcc[@]}" --kunitconfig="$harness/bench.kunitconfig" "${@:4}"
	make -C "$tree" O="$dir" -j"$(nproc)" "${make_gcc[@]}" "${targets[@]}"
}

# bytes WHOSE DIR: text and data of the objects.
bytes() {
	local targets
	read -ra targets <<<"${made[$1]}"
	(cd "${trees[$1]}/$2" && "${cross}size" "${targets[@]}") | awk 'NR > 1 { sum += $1 + $2 } END { print sum }'
}

host() { make -C "$repo/tools/testing/idgen/bench" OURS="${trees[ours]}" THEIRS="${trees[theirs]}" O="$work/host"; }

for whose in ours theirs; do
	step "compiling the objects of ${trees[$whose]#"$build"/}" compile "$whose" .bench "${made[$whose]}"
done
echo "\"text and data, in bytes\",,$(bytes ours .bench),$(bytes theirs .bench)" >"$work/size.csv"
"$harness/bench_paths.py" "${trees[ours]}/.bench" "${trees[theirs]}/.bench" >"$work/paths.csv"
step "building the host harness" host
step "counting with callgrind (some 1 to 2 minutes on 2 cores)" \
	"$harness/bench_host.py" "$work/host" "$work/host.csv"

if [[ $quick != quick ]]; then
	for whose in ours theirs; do
		step "compiling them with tracing" compile "$whose" .bench-tracing "${made[$whose]}" --kconfig_add=CONFIG_FTRACE=y \
			--kconfig_add=CONFIG_ENABLE_DEFAULT_TRACERS=y
	done
	echo "\"text and data with tracing, in bytes\",,$(bytes ours .bench-tracing),$(bytes theirs .bench-tracing)" >>"$work/size.csv"
fi

echo "Linux $(make -s -C "${trees[theirs]}" kernelversion), $("${cross}gcc" --version | head -n 1)," \
	"$(gcc --version | head -n 1) on the host; harness/bench.kunitconfig"
"$harness/bench.py" ${quick:+--quick} "$harness/bench.toml" "$build/bench" "$work"/*.csv
