#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# litmus.sh: the litmus tests, judged by the memory model of the kernel tree that the main job uses.

. "$(dirname "$0")/../common.sh"
lock
HERD7=$("$harness/fetch/tool.sh" herd7)
export HERD7
LINUX=$("$harness/overlay/tree.sh") "$repo/tools/testing/idgen/litmus/run.sh"
