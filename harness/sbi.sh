#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# sbi.sh: print the path of the firmware for riscv of 32 bits. Debian has it from 13 on, and QEMU brings it in none.

. "$(dirname "$0")/common.sh"
lock
sbi=$build/opensbi/usr/lib/riscv32-linux-gnu/opensbi/generic/fw_dynamic.bin
[[ -f $sbi ]] || dpkg-deb -x "$("$harness/deb.sh" trixie opensbi)" "$build/opensbi"
echo "$sbi"
