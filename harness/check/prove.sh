#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# prove.sh [--deep]: what machines prove of lib/idgen_alloc.c with nothing but Debian's packages: CBMC, all schedules of a
# few steps, litmus tests. The table of CBMC's verdicts is build/prove.csv, the traces in words are in build/prove/.

. "$(dirname "$0")/../common.sh"
"$harness/fetch/deps.sh" prove
lock
idgen=$repo/tools/testing/idgen
CBMC=$("$harness/fetch/tool.sh" cbmc)
export CBMC
failed=0
"$idgen/cbmc/run.py" --jobs "$(nproc)" "$@" || failed=1
make --no-print-directory -C "$idgen" explore || failed=1
"$harness/check/litmus.sh" || failed=1
((!failed)) || die "a proof did not come to the verdict that is expected, see above"
