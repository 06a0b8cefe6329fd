#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# [JOBS=N] [SHARD=I/N] e2e.sh [--quick] [ROW...]: real processes and guests. Builds the kernels that the rows of e2e.toml need, and has
# e2e.py boot them on QEMU, arm64 at EL2. ARCH= is arm64 unless another is named.

. "$(dirname "$0")/../common.sh"
[[ $arch != @(mips*|um) ]] || die "ARCH=$arch: there are no rows for it"
set -- --arch="$arch" "$@"
export SHARD=$shard
while read -r needed _; do
	"$harness/fetch/deps.sh" "kunit-$needed" "e2e-$needed"
done < <("$harness/e2e/e2e.py" --kernels "$@")
lock
mkdir -p "$build/e2e"
[[ $arch != riscv32 ]] || cp "$("$harness/fetch/tool.sh" opensbi)" "$build/e2e/"
tree=$("$harness/overlay/tree.sh")
"$harness/e2e/e2e.py" --kernels "$@" | while read -r arch kernel built initramfs; do
	"$harness/e2e/e2e-build.sh" "$tree" "$arch" "$kernel" "$build/e2e/$built" "$initramfs" </dev/null
done
table=e2e-$arch
spread "${table%-arm64}" "$harness/e2e/e2e.py" "$@"
record "${table%-arm64}"
