#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# qemu.sh: print the path of a qemu-system-aarch64 whose plugins can read registers: 9.0 or later.
#
# Debian 13 has one. For Debian 12, that one is unpacked with its libraries into a directory of its own below build/,
# and started through them. Nothing is installed.

. "$(dirname "$0")/common.sh"
version=$(qemu-system-aarch64 --version 2>/dev/null | sed -nE '1s/.*version ([0-9]+)\..*/\1/p' || true)
if ((${version:-0} >= 9)); then
	command -v qemu-system-aarch64
	exit 0
fi
lock
root=$build/qemu
if [[ ! -x $root/qemu ]]; then
	rm -rf "$root"
	mkdir -p "$root"
	"$harness/deb.sh" --with-depends trixie qemu-system-arm | while read -r deb; do
		dpkg-deb -x "$deb" "$root"
		rm -f "$deb"
	done
	libs=$(dirname "$(find "$root/usr/lib" -name libc.so.6)")
	cat >"$root/qemu.new" <<-END
		#!/bin/sh
		QEMU_MODULE_DIR="$libs/qemu" exec "$(find "$root/usr/lib" "$root/usr/lib64" -name 'ld-linux-*.so.*' | head -n 1)" \\
			--library-path "$libs" "$root/usr/bin/qemu-system-aarch64" -L "$root/usr/share/qemu" "\$@"
	END
	chmod +x "$root/qemu.new"
	"$root/qemu.new" --version >&2
	mv "$root/qemu.new" "$root/qemu"
fi
echo "$root/qemu"
