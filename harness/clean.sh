#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# clean.sh [all]: remove what was built, unless a run is using it; with "all" the fetched kernel sources as well.

. "$(dirname "$0")/common.sh"
only all "$@"
lock
keep=(! -name .lock ! -name download ! -name 'linux-*')
[[ ${1-} != all ]] || keep=(! -name .lock)
# build may be a symbolic link.
find -H "$build" -mindepth 1 -maxdepth 1 "${keep[@]}" -exec rm -rf {} +
