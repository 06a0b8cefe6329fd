#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# cbmc.sh: print the path of a CBMC 6 that runs here, fetched if this machine has none.
#
# Debian has it in trixie and sid, for a newer C library than that of Debian 12: it is unpacked with its libraries into
# a directory of its own below build/, and started through them. Nothing is installed. It uses this machine's gcc, but
# only to preprocess.

. "$(dirname "$0")/common.sh"

if [[ $(cbmc --version 2>/dev/null || true) == 6.* ]]; then
	command -v cbmc
	exit 0
fi

root=$build/cbmc
if [[ ! -x $root/cbmc ]]; then
	rm -rf "$root"
	mkdir -p "$root"
	for package in libc6 libgcc-s1 "libstdc[+][+]6" zlib1g minisat cbmc; do
		dpkg-deb -x "$("$harness/deb.sh" trixie "$package")" "$root"
	done
	ld=$(find "$root" -name 'ld-linux-*.so.*' | head -n 1)
	libs=$(find "$root" -name 'lib*.so.*' -printf '%h\n' | sort -u | paste -sd:)
	cat >"$root/cbmc.new" <<-END
		#!/bin/sh
		exec "$ld" --library-path "$libs" "$root/usr/bin/cbmc" "\$@"
	END
	chmod +x "$root/cbmc.new"
	"$root/cbmc.new" --version >&2
	mv "$root/cbmc.new" "$root/cbmc"
fi
echo "$root/cbmc"
