#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# lava.sh ARCH DEVICE URL [KERNEL_ARGS]: print a job for a LAVA lab. ARCH is arm64, arm or riscv; DEVICE a device type of the
# lab's; below URL are the kernel (Image, zImage for arm), DEVICE.dtb, modules.tar.xz, kselftest.tar.gz as the kernel's
# "make -C tools/testing/selftests gen_tar" makes it, and rootfs.tar.xz, any Debian. KERNEL_ARGS can be
# idgen_alloc.bits=asid:4,vmid:4: so few IDs roll over often, on hardware that has 16 bits as well.

set -euo pipefail
(($# >= 3)) || { sed -n '4,7s/^# \?//p' "$0" >&2 && exit 2; }
arch=$1 image=Image suites="idgen_alloc" selftests="kvm:vmid_rollover mm:asid_rollover"
case $arch in
arm64) suites+=" arm64_asid kvm_arm_vmid" ;;
arm) suites+=" arm_asid" image=zImage selftests=mm:asid_rollover ;;
riscv) suites+=" riscv_asid riscv_kvm_vmid" ;;
*) echo "error: $arch: there is no job for it, but for arm64, arm and riscv" >&2 && exit 1 ;;
esac
sed -e "s,@ARCH@,$arch,; s,@DEVICE@,$2,; s,@URL@,$3,; s|@ARGS@|${4-}|; s,@IMAGE@,$image,; s,@TYPE@,${image,,}," \
	-e "s,@SUITES@,$suites,; s,@SELFTESTS@,$selftests," "$(dirname "$0")/lava.yaml"
