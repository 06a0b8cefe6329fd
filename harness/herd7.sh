#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# herd7.sh: print the path of a herd7 that runs here, fetched if this machine has none.
#
# Debian has it (package herdtools7) in forky and sid, for a newer C library than a stable machine's: it is unpacked
# with that library into a directory of its own below build/, and started through it. Nothing is installed.

. "$(dirname "$0")/common.sh"

if command -v herd7; then
	exit 0
fi

root=$build/herd7
if [[ ! -x $root/herd7 ]]; then
	rm -rf "$root"
	mkdir -p "$root"
	for package in libc6 libgmp10 herdtools7; do
		dpkg-deb -x "$("$harness/deb.sh" sid "$package")" "$root"
	done
	# Whatever directories this release of the library uses.
	ld=$(find "$root" -name 'ld-linux-*.so.*' | head -n 1)
	libs=$(find "$root" \( -name libm.so.6 -o -name libgmp.so.10 \) -printf '%h\n' | sort -u | paste -sd:)
	cat >"$root/herd7.new" <<-END
		#!/bin/sh
		exec "$ld" --library-path "$libs" "$root/usr/bin/herd7" -set-libdir "$root/usr/share/herdtools7/herd" "\$@"
	END
	chmod +x "$root/herd7.new"
	mv "$root/herd7.new" "$root/herd7"
fi
echo "$root/herd7"
