#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# sparse.sh: print the directory of a sparse that kbuild takes. Before 0.6.5, it is a checker that kbuild drops without
# failing; Debian has that in sid, built for sid's libc, whose own loader runs it anywhere.

. "$(dirname "$0")/common.sh"
lock
root=$build/sparse suite=sid
if [[ ! -x $root/bin/sparse ]]; then
	rm -rf "$root.new"
	mkdir -p "$root.new/bin"
	for package in sparse libc6; do
		dpkg-deb -x "$("$harness/deb.sh" "$suite" "$package")" "$root.new"
	done
	cat >"$root.new/bin/sparse" <<-'END'
		#!/bin/sh
		root=$(cd "$(dirname "$0")/.." && pwd)
		exec "$(echo "$root"/usr/lib*/ld-linux-*)" --library-path "$(dirname "$(find "$root/usr/lib" -name libc.so.6)")" \
			"$root/usr/bin/sparse" "$@"
	END
	chmod +x "$root.new/bin/sparse"
	rm -rf "$root"
	mv "$root.new" "$root"
fi
echo "$root/bin"
