#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# tool.sh NAME: print the path of a tool that a stable Debian release may lack or have in a version that is too old. For
# qemu, herd7 and cbmc, a suitable one of this machine is used. Otherwise Debian packages are unpacked below build/, and
# the tool is started with the C library that it was built for. Nothing is installed.
#
#   qemu      qemu-system-aarch64, 9.0 or later: its plugins can read registers
#   opensbi   firmware for riscv32, which QEMU does not include
#   sparse    0.6.5 or later: kbuild silently ignores older ones
#   herd7     not in any stable release
#   lava      a directory for PYTHONPATH with LAVA's schema, lava_common
#   cbmc      6.x; it preprocesses with this machine's gcc

. "$(dirname "$0")/../common.sh"

name=${1-} file=usr/bin/${1-} more=() here=
case $name in
qemu)
	suite=trixie file=usr/bin/qemu-system-aarch64
	packages=(--with-depends qemu-system-arm)
	version=$(qemu-system-aarch64 --version 2>/dev/null | sed -nE '1s/.*version ([0-9]+)\..*/\1/p' || true)
	((${version:-0} < 9)) || here=qemu-system-aarch64
	;;
opensbi)
	suite=trixie file=usr/lib/riscv32-linux-gnu/opensbi/generic/fw_dynamic.bin
	packages=(opensbi)
	;;
sparse)
	suite=sid
	packages=(sparse libc6)
	;;
herd7)
	suite=sid
	packages=(herdtools7 libc6 libgmp10)
	here=herd7
	;;
lava)
	suite=sid file=usr/lib/python3/dist-packages
	packages=(lava-common python3-voluptuous)
	;;
cbmc)
	suite=trixie
	packages=(cbmc libc6 libgcc-s1 'libstdc[+][+]6' zlib1g minisat)
	[[ $(cbmc --version 2>/dev/null || true) != 6.* ]] || here=cbmc
	;;
*)
	die "tool.sh: unknown tool '$name'; the head of tool.sh lists the tools"
	;;
esac

! command -v "$here" || exit 0
lock
root=$build/tools/$name tool=$build/tools/$name/$name
mkdir -p "$build/tools"
# Parallel jobs share the tools.
exec 8>"$build/tools/$name.lock"
flock 8
if [[ ! -e $tool ]]; then
	rm -rf "$root"
	mkdir -p "$root"
	if [[ ${packages[0]} = --with-depends ]]; then
		"$harness/fetch/deb.sh" "${packages[0]}" "$suite" "${packages[1]}"
	else
		for package in "${packages[@]}"; do
			"$harness/fetch/deb.sh" "$suite" "$package"
		done
	fi | while read -r deb; do
		dpkg-deb -x "$deb" "$root"
		rm -f "$deb"
	done
	case $name in
	opensbi | lava) ln -s "$file" "$tool" ;;
	*)
		# The directories differ between releases of the C library.
		ld=$(find "$root" -name 'ld-linux-*.so.*' | head -n 1)
		libs=$(find "$root" -name 'lib*.so.*' -printf '%h\n' | sort -u | paste -sd:)
		case $name in
		qemu) more=(-L "$root/usr/share/qemu") ;;
		herd7) more=(-set-libdir "$root/usr/share/herdtools7/herd") ;;
		esac
		cat >"$tool.new" <<-END
			#!/bin/sh
			QEMU_MODULE_DIR="$(dirname "$(find "$root" -name libc.so.6)")/qemu" \\
				exec "$ld" --library-path "$libs" "$root/$file" ${more[*]@Q} "\$@"
		END
		chmod +x "$tool.new"
		[[ $name = herd7 ]] || "$tool.new" --version >&2
		mv "$tool.new" "$tool"
		;;
	esac
fi
echo "$tool"
