#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# bench.sh [quick]: compare instructions and bytes with and without our files. bench.toml has the rows and their limits.
# "quick" leaves out whole kernels, other architectures and real threads. DISASM=1 also prints the fast and slow paths
# side by side, the variables that a switch reads and a rollover writes, and their layout. The figures for the messages
# of our patches go to build/figures.csv. make results copies them from there.

. "$(dirname "$0")/../common.sh"
only quick "$@"
quick=${1-}
VARIANT+=${quick:+-quick}
more=(kunit-arm kunit-riscv kunit-mips64el e2e-riscv)
[[ -z $quick ]] || more=()
"$harness/fetch/deps.sh" bench "${more[@]}"
lock
declare -A trees
trees[ours]=$("$harness/overlay/tree.sh")
trees[theirs]=$("$harness/overlay/tree.sh" pristine)
work=$build/bench
mkdir -p "$work"
rm -f "$work"/*.csv
originals=("${objects[@]:2:2}")
declare -A made=([ours]="lib/idgen_alloc.o ${originals[*]}" [theirs]="${originals[*]}")

# compile WHOSE DIR TARGETS [OPTION...]: compile objects of a tree in its build directory DIR.
compile() {
	local tree=${trees[$1]} dir=$2 targets
	read -ra targets <<<"$3"
	kunit config "$tree" "$dir" "${kunit_for[@]}" --kunitconfig="$harness/bench/bench.kunitconfig" "${@:4}"
	make -C "$tree" O="$dir" -j"$(nproc)" "${make_for[@]}" "${targets[@]}"
}

# shellcheck disable=SC2016
sum='NR > 1 { sum += $1 + $2 } END { print sum }'
# bytes WHOSE DIR: text and data of the objects. resident: without sections that are freed after boot, or not linked.
bytes() {
	local targets
	read -ra targets <<<"${made[$1]}"
	(cd "${trees[$1]}/$2" && "${cross}size" "${targets[@]}") | awk "$sum"
}
resident() {
	local targets
	read -ra targets <<<"${made[$1]}"
	(cd "${trees[$1]}/$2" && "${cross}size" -A -d "${targets[@]}") |
		awk '/^\./ && !/^\.(init|altinst|export_symbol|discard|modinfo|comment|note|bss)/ { sum += $2 }
			END { print sum }'
}

# For the other architectures, only the fast paths are compared, as the library is the same. for_arch runs in a
# subshell, as the rest is for arm64.
ports=(arm arm-lpae riscv riscv32 mips64el)
compile_port() (
	port=$1 fragment=/dev/null sizes=
	for_arch "${port%-lpae}"
	case $port in
	arm-lpae) fragment=$harness/e2e/lpae.kunitconfig ;;
	riscv*) fragment=$harness/bench/bench.kunitconfig ;;
	mips64el) fragment=$harness/bench/mips64el.kunitconfig ;;
	esac
	# The users of the library.
	targets=("${objects[@]:2:2}")
	for whose in theirs ours; do
		[[ $whose = theirs ]] || targets+=(lib/idgen_alloc.o)
		kunit config "${trees[$whose]}" ".bench-$port" "${kunit_for[@]}" --kunitconfig="$fragment" \
			--kconfig_add=CONFIG_SMP=y
		make -C "${trees[$whose]}" O=".bench-$port" -j"$(nproc)" "${make_for[@]}" "${targets[@]}"
		sizes=$(cd "${trees[$whose]}/.bench-$port" && "${crosses[${port%-lpae}]}size" "${targets[@]}" |
			awk "$sum")${sizes:+,$sizes}
	done
	# The library has only one user there.
	[[ $port != mips64el ]] || echo "\"$port: text and data, in bytes\",,$sizes" >"$work/size-$port.csv"
)

host() { make -C "$repo/harness/bench/programs" OURS="${trees[ours]}" THEIRS="${trees[theirs]}" O="$work/host"; }

for whose in ours theirs; do
	step "compiling the objects of ${trees[$whose]#"$build"/}" compile "$whose" .bench "${made[$whose]}"
done
{
	echo "\"text and data, in bytes\",,$(bytes ours .bench),$(bytes theirs .bench)"
	echo "\"text and data that stay after boot, in bytes\",,$(resident ours .bench),$(resident theirs .bench)"
} >"$work/size.csv"
"$harness/bench/bench_paths.py" arm64 "${trees[ours]}/.bench" "${trees[theirs]}/.bench" >"$work/paths.csv"
step "building the host harness" host
step "counting with callgrind (some 1 to 2 minutes on 2 cores)" \
	"$harness/bench/bench_host.py" "$work/host" "$work/host.csv"
"$harness/bench/bench_lines.py" "$work/host" >"$work/lines.csv"

# The kernels have KUnit without tests. ccache then has most of their objects from make kunit.
kernel() {
	kunit config "${trees[$1]}" .bench-kernel "${kunit_for[@]}" --kunitconfig="$harness/bench/bench.kunitconfig" \
		--kconfig_add=CONFIG_KUNIT=y --kconfig_add=CONFIG_BLK_DEV_INITRD=y
	make -C "${trees[$1]}" O=.bench-kernel -j"$(nproc)" -s "${make_for[@]}" Image
}

# hackbench and its libraries are always those of Debian trixie, so that results do not depend on this machine.
initramfs() {
	local package file root=$work/root
	rm -rf "$root"
	for package in rt-tests libnuma1 libc6; do
		dpkg-deb -x "$("$harness/fetch/deb.sh" trixie "$package:arm64")" "$root"
	done
	"${cross}gcc" -O2 -Wall -static -o "$root/init" "$repo/harness/bench/programs/init.c"
	{
		echo 'dir /dev 0755 0 0'
		echo 'nod /dev/console 0600 0 0 c 5 1'
		echo 'nod /dev/null 0666 0 0 c 1 3'
		echo 'nod /dev/kvm 0600 0 0 c 10 232'
		echo 'dir /lib 0755 0 0'
		echo "file /init $root/init 0755 0 0"
		echo "file /hackbench $root/usr/bin/hackbench 0755 0 0"
		for file in ld-linux-aarch64.so.1 libc.so.6 libnuma.so.1; do
			echo "file /lib/$file $(realpath -e "$root/usr/lib/aarch64-linux-gnu/$file") 0755 0 0"
		done
	} >"$work/initramfs.list"
	"${trees[ours]}/.bench-kernel/usr/gen_init_cpio" "$work/initramfs.list" >"$work/initramfs"
}

if [[ $quick != quick ]]; then
	for whose in ours theirs; do
		step "compiling the objects of ${trees[$whose]#"$build"/} with tracing" compile "$whose" .bench-tracing \
			"${made[$whose]}" --kconfig_add=CONFIG_FTRACE=y --kconfig_add=CONFIG_ENABLE_DEFAULT_TRACERS=y
	done
	echo "\"text and data with tracing, in bytes\",,$(bytes ours .bench-tracing),$(bytes theirs .bench-tracing)" \
		>>"$work/size.csv"
	for port in "${ports[@]}"; do
		step "compiling the objects for $port" compile_port "$port"
		"$harness/bench/bench_paths.py" "$port" "${trees[ours]}/.bench-$port" "${trees[theirs]}/.bench-$port" \
			>"$work/paths-$port.csv"
	done
	for whose in ours theirs; do
		step "building the kernel of ${trees[$whose]#"$build"/} (first 8 minutes on 2 cores)" kernel "$whose"
	done
	step "running real threads" "$harness/bench/bench_host.py" --threads "$work/host" "$work/threads.csv"
	step "building the initramfs of the two kernels" initramfs
	step "running the two kernels (some 5 minutes)" "$harness/bench/bench_system.py" "${trees[ours]}/.bench-kernel" \
		"${trees[theirs]}/.bench-kernel" "$work/initramfs" "$work/system.csv"
	# Use the kernels of make e2e, to build no others.
	for whose in ours theirs; do
		"$harness/e2e/e2e-build.sh" "${trees[$whose]}" riscv plain "$work/riscv-$whose"
	done
	step "letting VMIDs of riscv run out (some 3 to 6 minutes)" "$harness/bench/bench_rollover.py" "$work/riscv-ours" \
		"$work/riscv-theirs" "$work/rollover.csv"
fi

if [[ -n ${DISASM-} ]]; then
	"$harness/bench/bench_paths.py" --show arm64 "${trees[ours]}/.bench" "${trees[theirs]}/.bench"
	for port in "${ports[@]}"; do
		[[ $quick = quick ]] || "$harness/bench/bench_paths.py" --show "$port" "${trees[ours]}/.bench-$port" \
			"${trees[theirs]}/.bench-$port"
	done
	"$harness/bench/bench_lines.py" --show "$work/host"
	echo
	pahole -C idgen_slot,idgen_alloc "$work/host/asid-ours"
	echo
fi
on="Linux $(make -s -C "${trees[theirs]}" kernelversion)"
on+=$(versions "${compilers[@]}")
echo "$on; harness/bench/bench.kunitconfig"
used=("${used[0]}" "${compilers[@]}" valgrind)
tree=${trees[ours]} table bench "$harness/bench/bench.py" ${quick:+--quick} "$harness/bench/bench.toml" "$build/bench" \
	"$work"/*.csv
if [[ -z $VARIANT ]]; then
	library=$(cd "$harness/series" && python3 -c 'import series; print(series.library())')
	{ echo "# $on, library $library"; cat "$build/bench.csv"; } >"$build/figures.csv"
fi
