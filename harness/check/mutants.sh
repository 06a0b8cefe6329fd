#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# mutants.sh [NAME...]: wrong versions of the allocator, and which layer notices each; see harness/check/mutants.py.
# With TLA2TOOLS=/path/tla2tools.jar the model's layer too, with GENMC=/path/genmc that of weak memory.

. "$(dirname "$0")/../common.sh"
"$harness/fetch/deps.sh" uml
lock
tree=$("$harness/overlay/tree.sh")
CBMC=$("$harness/fetch/tool.sh" cbmc) HERD7=$("$harness/fetch/tool.sh" herd7)
export CBMC HERD7
"$repo/harness/check/mutants.py" --linux "$tree" "$@"
