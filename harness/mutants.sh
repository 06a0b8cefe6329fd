#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# mutants.sh [NAME...]: wrong versions of the allocator, and which layer notices each; see tools/testing/idgen/mutants.py.
# With TLA2TOOLS=/path/tla2tools.jar the model's layer too.

. "$(dirname "$0")/common.sh"
"$harness/deps.sh" uml
lock
tree=$("$harness/tree.sh")
CBMC=$("$harness/cbmc.sh") HERD7=$("$harness/herd7.sh")
export CBMC HERD7
"$repo/tools/testing/idgen/mutants.py" --linux "$tree" "$@"
