#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# series.sh [DIRECTORY]: write a set of patches against a kernel tree (LINUX= or Debian's, see tree.sh), with a cover
# letter, as single files and as one mbox. The default is SET=core, in build/series. Other sets go to build/series-SET.
# DIRECTORY is replaced. It must be empty, or from an earlier run.
# README.md lists the sets. The tree is only read. SIGNOFF=1 adds your Signed-off-by. "series.sh refresh" instead
# rebases the patch files in harness/series/patches onto our files.

. "$(dirname "$0")/../common.sh"
[[ $# -le 1 && ${1-refresh} = @(refresh|*/*) ]] || die "series.sh: give refresh, or a directory with a slash, not '$*'"
"$harness/fetch/deps.sh" series
lock
if [[ ${1-} = refresh ]]; then
	"$harness/series/series.py" refresh ${EDIT:+--edit} "$build/stages"
	git -C "$repo" status --short harness/series
	exit
fi
set=${SET:-core}
out=$build/series
[[ $set = core ]] || out+=-$set
out=${1-$out}
# The optional patch is a set of its own.
[[ $set != csky ]] || export WITH=csky
work=$("$harness/overlay/tree.sh" aside)
[[ -z ${LINUX-} || ! -e $LINUX/.idgen-overlay.json ]] ||
	die "LINUX=$LINUX has our files already: give an unmodified tree"

# The commit of the tree, if it is a git work tree and the files of concern are unmodified. Nothing is written there.
export GIT_OPTIONAL_LOCKS=0
commit=
if [[ -n ${LINUX-} && $(git -C "$LINUX" rev-parse --show-toplevel 2>/dev/null) = "$(realpath "$LINUX")" ]]; then
	mapfile -t paths < <(cd "$work/base" && find . -type f)
	git -C "$LINUX" diff --quiet HEAD -- "${paths[@]}" && commit=$(git -C "$LINUX" rev-parse HEAD)
fi

echo "==> making the set \"$set\" for Linux $(<"$work/version")" >&2
status=0
"$harness/series/series.py" make "$work/base" "$out" "$(<"$work/version")" "$set" "$commit" || status=$?
[[ $status = @(0|3) ]] || exit "$status"
[[ -s $out/series.mbox ]] || exit 1
echo "in a kernel tree: git am --empty=drop $out/series.mbox"
exit "$status"
