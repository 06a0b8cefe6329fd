#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# apply.sh: lay our files over the tree LINUX=/path, all of them or none.

. "$(dirname "$0")/../common.sh"
only "" "$@"
[[ -n ${LINUX-} ]] || die "name the tree to lay our files over: make apply LINUX=/path"
[[ -f $LINUX/Kconfig && -f $LINUX/MAINTAINERS ]] || die "LINUX=$LINUX: not a kernel source tree"
command -v python3 >/dev/null || die "python3 (3.11 or later) is missing: apt-get install python3"
exec 9<"$LINUX"
flock -n 9 || die "another run is using LINUX=$LINUX; wait for it"
"$harness/overlay/overlay.py" "$LINUX"
