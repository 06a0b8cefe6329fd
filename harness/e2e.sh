#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# e2e.sh [--quick] [ROW...]: real processes and guests. Builds the kernels that the rows of e2e.toml need, and has
# e2e.py boot them on QEMU at EL2.

. "$(dirname "$0")/common.sh"
"$harness/deps.sh" kunit-arm64 e2e
lock
tree=$("$harness/tree.sh")
"$harness/e2e.py" --kernels "$@" | while read -r kernel; do
	"$harness/e2e-build.sh" "$tree" "$kernel" "$build/e2e/$kernel" </dev/null
done
"$harness/e2e.py" "$@"
