# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
#
# The architectures: the values of ARCH=, and what each needs to be built and tested. Part of common.sh.

declare -A crosses=([arm64]=aarch64-linux-gnu- [arm]=arm-linux-gnueabihf- [riscv]=riscv64-linux-gnu-
	[riscv32]=riscv64-linux-gnu- [mips64el]=mipsisa64r6el-linux-gnuabi64- [mips64]=mipsisa64r6-linux-gnuabi64- [um]="")
cross=${crosses[arm64]}
mapfile -t compilers < <(printf '%sgcc\n' "${crosses[@]}" | sort -u)

# for_arch ARCH [clang]: set the arrays for ARCH. make_for and kunit_for are the options of make and kunit.py.
# kunitconfigs, suites and objects are our .kunitconfig files, KUnit suites and objects. kunit_all selects all of our
# options, and kunit_dir is the build directory in the tree. boot_for is the machine, for kunit.py. used has the
# programs that build and boot.
for_arch() {
	local cross=${crosses[$1]} arch=${1%32}
	used=("qemu-system-${1/arm64/aarch64}" gcc)
	[[ $1 != riscv ]] || used[0]+=64
	[[ -z $cross ]] || used+=("${cross}gcc")
	# The kernel's name for it.
	[[ $1 != mips64* ]] || arch=mips
	if [[ ${2-} = clang ]]; then
		make_for=(LLVM=-19 "CC=ccache clang-19")
	else
		make_for=("CROSS_COMPILE=$cross" "CC=ccache ${cross}gcc")
	fi
	make_for+=("HOSTCC=ccache gcc")
	mapfile -t kunit_for < <(printf -- '--make_options=%s\n' "${make_for[@]}")
	kunit_for+=("--arch=$1")
	make_for+=("ARCH=$arch")
	objects=(lib/idgen_alloc.o lib/tests/idgen_alloc_kunit.o "arch/$arch/mm/context.o")
	suites=(idgen_alloc)
	kunit_dir=.kunit-$1
	kunitconfigs=("arch/$arch/mm/.kunitconfig")
	boot_for=()
	case $1 in
	um)
		# The library alone, with line coverage.
		kunitconfigs=("$harness/check/uml.kunitconfig" tools/testing/kunit/configs/coverage_uml.config)
		kunit_for+=("--make_options=LDFLAGS_EXECSTACK=-z noexecstack --no-warn-rwx-segments -T $harness/check/gcov.ld")
		objects=("${objects[@]:0:2}")
		;;
	arm64)
		kunitconfigs=(.kunitconfig)
		kunit_dir=.kunit
		suites+=(arm64_asid kvm_arm_vmid)
		objects+=(arch/arm64/kvm/vmid.o)
		;;
	arm)
		suites+=(arm_asid)
		;;
	riscv*)
		suites+=(riscv_asid riscv_kvm_vmid)
		kunitconfigs+=(arch/riscv/kvm/.kunitconfig)
		# All files there that we change.
		objects+=(arch/riscv/kvm/{vmid,vcpu,main,vcpu_exit}.o)
		;;
	mips64*)
		suites+=(mips_mmid)
		# A CPU of release 6, and a second one that stays offline, which has a slot.
		boot_for=("--qemu_args=-cpu I6500 -smp 2" --kernel_args=maxcpus=1)
		;;
	esac
	kunit_all=("${kunitconfigs[@]/#/--kunitconfig=}" --kconfig_add=CONFIG_DEBUG_IDGEN_ALLOC=y)
	# The kernel emulates PAN only on CPUs without it, such as cortex-a57.
	[[ $1 != arm64 ]] || kunit_all+=(--kconfig_add=CONFIG_ARM64_SW_TTBR0_PAN=y)
}
# The default is arm64, by gcc.
for_arch arm64
