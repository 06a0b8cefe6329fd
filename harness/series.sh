#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# series.sh [DIRECTORY]: the project as patches against a kernel tree (LINUX= or Debian's, see tree.sh), with a cover
# letter, one by one and as one mbox, in build/series. The tree is only read. "refresh" instead brings the
# patch files in harness/series up to date with our files.

. "$(dirname "$0")/common.sh"
"$harness/deps.sh" series
lock
if [[ ${1-} = refresh ]]; then
	"$harness/series.py" refresh "$build/series"
	git -C "$repo" status --short harness/series
	exit
fi
out=${1-$build/series}
work=$("$harness/tree.sh" aside)
[[ -z ${LINUX-} || ! -e $LINUX/.idgen-overlay.json ]] ||
	die "LINUX=$LINUX has our files in it already: give a tree that was left as it was"

# What the files of the tree are a commit of, if it is a git work tree and they were not edited. Nothing is written there.
export GIT_OPTIONAL_LOCKS=0
commit=
if [[ -n ${LINUX-} && $(git -C "$LINUX" rev-parse --show-toplevel 2>/dev/null) = "$(realpath "$LINUX")" ]]; then
	mapfile -t paths < <(cd "$work/base" && find . -type f)
	git -C "$LINUX" diff --quiet HEAD -- "${paths[@]}" && commit=$(git -C "$LINUX" rev-parse HEAD)
fi

step "making the series for Linux $(<"$work/version")" \
	"$harness/series.py" make "$work/base" "$out" "$(<"$work/version")" "$commit"
# What the last patch comes to, and what make apply makes.
diff -r -x .git -x .idgen-overlay.json "$out/repo" "$work/laid" >&2 ||
	die "the tree after the last patch is not what make apply makes (see above)"
echo "$(find "$out" -name '0*.patch' ! -name '0000-*' | wc -l) patches and a cover letter: $out/*.patch"
echo "in a kernel tree: git am --empty=drop $out/series.mbox"
