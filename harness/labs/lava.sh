#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# lava.sh ARCH DEVICE URL [KERNEL_ARGS]: print a job for a LAVA lab. ARCH is arm64, arm or riscv. DEVICE is a device
# type of the lab. Below URL are the kernel (Image, zImage for arm), DEVICE.dtb, modules.tar.xz, kselftest.tar.gz from
# the kernel's "make -C tools/testing/selftests gen_tar", and rootfs.tar.xz, any Debian with wget. With
# idgen_alloc.bits=asid:4,vmid:4 as KERNEL_ARGS, rollovers are frequent, even on hardware with 16 bits.

set -euo pipefail
(($# == 3 || $# == 4)) || { sed -n '4,7s/^# \?//p' "$0" >&2 && exit 2; }
arch=$1 image=Image suites="idgen_alloc" selftests="kvm:vmid_rollover mm:asid_rollover"
case $arch in
arm64) suites+=" arm64_asid kvm_arm_vmid" ;;
arm) suites+=" arm_asid" image=zImage selftests=mm:asid_rollover ;;
riscv) suites+=" riscv_asid riscv_kvm_vmid" ;;
*) echo "error: $arch: there are only jobs for arm64, arm and riscv" >&2 && exit 1 ;;
esac
# Escape what is special in a replacement of sed.
# shellcheck disable=SC2001
quoted() { sed 's/[\\&,]/\\&/g' <<<"$1"; }
# Escape what is special in a quoted string of YAML.
# shellcheck disable=SC2001
escaped() { sed 's/[\\"]/\\&/g' <<<"$1"; }
[[ $* != *$'\n'* ]] || { echo "error: an argument has more than one line" >&2 && exit 1; }
sed -e "s,@ARCH@,$arch,; s,@DEVICE@,$(quoted "$2"),; s,@URL@,$(quoted "$3")," \
	-e "s,@ARGS@,$(quoted "$(escaped "${4-}")"),; s,@IMAGE@,$image,; s,@TYPE@,${image,,}," \
	-e "s,@SUITES@,$suites,; s,@SELFTESTS@,$selftests," "$(dirname "$0")/lava.yaml"
