#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# e2e-mutants.sh [NAME...]: boot kernels with the faults of e2e-mutants.toml, and see which check of e2e notices each.
# They are built in a tree of their own, whose files are links to the other's, from a copy of its objects.

. "$(dirname "$0")/../common.sh"
"$harness/fetch/deps.sh" kunit-arm64 e2e-arm64
lock
tree=$("$harness/overlay/tree.sh")
image=$build/e2e/mutants mutants=$tree-mutants
"$harness/e2e/e2e-build.sh" "$tree" arm64 plain "$image"
link() {
	mkdir -p "$mutants"
	rsync -a --delete --link-dest="$tree" --exclude='/.kunit*' --exclude='/.*-matrix' --exclude='/.lint*' "$tree/" "$mutants/"
	rsync -a --delete "$tree/.kunit-e2e" "$mutants/"
}
step "linking $tree to $mutants" link
"$harness/e2e/e2e_mutants.py" "$mutants" "$image" "$@"
record e2e-mutants
