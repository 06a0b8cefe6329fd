#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# deps.sh TARGET...: check for the Debian packages that TARGET needs; the table has the targets. For root, missing
# packages are installed. Other users get the command to run. A package counts as installed if its probe, a command or a
# file, exists, so tools from elsewhere are accepted.

. "$(dirname "$0")/../common.sh"

base='make gcc libc6-dev:/usr/include/stdlib.h flex bison bc libssl-dev:/usr/include/openssl/ssl.h
	libelf-dev:/usr/include/libelf.h python3 perl ccache rsync xz-utils:xz git'
arm64='gcc-aarch64-linux-gnu:aarch64-linux-gnu-gcc'
arm='gcc-arm-linux-gnueabihf:arm-linux-gnueabihf-gcc'
riscv='gcc-riscv64-linux-gnu:riscv64-linux-gnu-gcc'
mips='gcc-mipsisa64r6el-linux-gnuabi64:mipsisa64r6el-linux-gnuabi64-gcc'
clang='clang-19 lld-19:ld.lld-19 llvm-19:llvm-nm-19'
# Without it, checkpatch does not check SPDX lines.
ply='python3-ply:/usr/lib/python3/dist-packages/ply'
arm64_libc='libc6-dev-arm64-cross:/usr/aarch64-linux-gnu/include/stdlib.h'
declare -A needs=(
	[kunit-arm64]="$base $arm64 qemu-system-arm:qemu-system-aarch64"
	[kunit-arm]="$base $arm qemu-system-arm"
	[kunit-riscv]="$base $riscv qemu-system-misc:qemu-system-riscv64
		qemu-system-data:/usr/share/qemu/opensbi-riscv64-generic-fw_dynamic.bin"
	[kunit-riscv32]="$base $riscv qemu-system-misc:qemu-system-riscv32"
	[kunit-mips64el]="$base $mips qemu-system-mips:qemu-system-mips64el"
	[kunit-mips64]="$base gcc-mipsisa64r6-linux-gnuabi64:mipsisa64r6-linux-gnuabi64-gcc
		qemu-system-mips:qemu-system-mips64"
	[kunit-um]="$base"
	[e2e-arm64]="$arm64_libc"
	[e2e-arm]="libc6-dev-armhf-cross:/usr/arm-linux-gnueabihf/include/stdlib.h"
	[e2e-riscv32]=""
	[e2e-riscv]="libc6-dev-riscv64-cross:/usr/riscv64-linux-gnu/include/stdlib.h"
	[ltp]="autoconf automake pkg-config"
	[bench]="$base $arm64 qemu-system-arm:qemu-system-aarch64 valgrind gnuplot-nox:gnuplot dwarves:pahole
		$arm64_libc"
	[torture]="$base" [explore]="$base" [weak]="$base" [kunit-host]="$base" [litmus]="$base $arm64 $arm64_libc clang-19"
	[prove]="$base cadical" [prove-deep]="$base cadical" [tla]="$base" [mutants]="$base"
	[series]="git python3 make gcc perl xz-utils:xz $ply"
	[series-check]="b4"
	[csky]="$base $arm clang-19"
	[lint]="$base $arm64 $arm $riscv $mips $clang shellcheck mypy yamllint
		python3-yaml:/usr/lib/python3/dist-packages/yaml $ply coccinelle:spatch python3-sphinx:sphinx-build"
	[configs]="$base $arm64 $clang $arm $riscv $mips"
)

missing=()
for target in "$@"; do
	for need in ${needs[$target]}; do
		probe=${need#*:}
		[[ $probe = /* && -e $probe ]] || command -v "$probe" >/dev/null || missing+=("${need%%:*}")
	done
done
((${#missing[@]})) || exit 0
mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
install=(apt-get install -y --no-install-recommends "${missing[@]}")
command -v apt-get >/dev/null || die "this is not a Debian system; install what these packages have: ${missing[*]}"
if ((EUID)); then
	echo "error: packages are missing; run this as root, and then try again:" >&2
	echo "apt-get update && ${install[*]}" >&2
	exit 1
fi
export DEBIAN_FRONTEND=noninteractive
step "reading the package lists" apt-get -q -o DPkg::Lock::Timeout=300 update
step "installing ${missing[*]}" "${install[@]:0:1}" -q -o DPkg::Lock::Timeout=300 "${install[@]:1}" </dev/null
