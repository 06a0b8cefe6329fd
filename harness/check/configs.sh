#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# [JOBS=N] [SHARD=I/N] configs.sh [ARCH...]: compile our objects in the kernel's own configurations, with gcc and clang
# and without warnings. Architectures without users compile the library only. The default is all architectures.
#
# Each architecture has one build directory. Only our objects and their prerequisites are built, which takes 10 to 40 s
# for each row.

. "$(dirname "$0")/../common.sh"
"$harness/fetch/deps.sh" configs
lock
(($# == 0)) || VARIANT+=-some
tree=$("$harness/overlay/tree.sh")
((jobs == 1)) || { spread configs own_build "$0" "$@"; exit; }

# for_make ARCH COMPILER: set "make" to the command. um needs SUBARCH, as it is 32-bit otherwise. With clang
# it also needs the target, which the kernel's Makefile.clang does not set for um.
for_make() {
	local cross=${crosses[$1]-}
	dir=$tree/.configs-$1
	make=(make -C "$tree" O="$dir" ARCH="${1/mips64el/mips}" SUBARCH=x86_64 -j"$(nproc)" 'HOSTCC=ccache gcc')
	case $2 in
	gcc) make+=(CROSS_COMPILE="$cross" "CC=ccache ${cross}gcc") ;;
	clang) make+=(LLVM=-19 'CC=ccache clang-19' CLANG_TARGET_FLAGS_x86_64=x86_64-linux-gnu) ;;
	esac
}

# compile ARCH COMPILER CONFIG: compile our objects and their suites, if the configuration allows them.
compile() {
	local arch=$1 config=$3 lacks='^$' want dir make
	for_make "$1" "$2"
	"${make[@]}" "$config"
	# If nothing else selects the library, its suite does. The suites of its users are part of their objects, except
	# in allmodconfig, where KUnit is a module.
	[[ $config = allmodconfig ]] || printf 'CONFIG_%s=y\n' KUNIT RUNTIME_TESTING_MENU IDGEN_ALLOC_KUNIT_TEST \
		ARM64_ASID_KUNIT_TEST KVM_ARM_VMID_KUNIT_TEST ARM_ASID_KUNIT_TEST ARM_ERRATA_798181 PID_IN_CONTEXTIDR \
		RISCV_ASID_KUNIT_TEST RISCV_KVM_VMID_KUNIT_TEST MIPS_MMID_KUNIT_TEST >>"$dir/.config"
	echo CONFIG_WERROR=y >>"$dir/.config"
	"${make[@]}" olddefconfig
	grep -E '^CONFIG_(CC_VERSION_TEXT|WERROR|SMP|KUNIT|KVM|.*IDGEN_ALLOC.*|.*_(ASID|VMID|MMID)_KUNIT_TEST)=' \
		"$dir/.config"
	grep -q '^CONFIG_WERROR=y' "$dir/.config"
	grep -q '^CONFIG_IDGEN_ALLOC_KUNIT_TEST=' "$dir/.config"
	[[ ! -v crosses[$arch] ]] || for_arch "$arch"
	[[ -n ${crosses[$arch]-} ]] || lacks+='|^arch/'
	[[ $arch != arm ]] || grep -q '^CONFIG_CPU_HAS_ASID=y' "$dir/.config" || lacks+='|/mm/'
	grep -q '^CONFIG_KVM=[my]' "$dir/.config" || lacks+='|/kvm/'
	mapfile -t want < <(printf '%s\n' "${objects[@]}" | grep -vE "$lacks")
	(cd "$dir" && rm -f "${want[@]}")
	"${make[@]}" "${want[@]}" 2>&1 | tee "$build/log/said"
	(cd "$dir" && ls -l "${want[@]}")
	! grep -i 'warning:' "$build/log/said"
}

# kunit_module ARCH: distributions have KUnit as a module. With that, and without our suites, our objects must have the
# same sections and symbols as without KUnit.
kunit_module() {
	local kunit object dir make config=defconfig
	[[ $1 != mips64el ]] || config=64r6el_defconfig
	for_make "$1" gcc
	for_arch "$1"
	for kunit in n m; do
		"${make[@]}" "$config"
		printf 'CONFIG_KUNIT=%s\n' "$kunit" >>"$dir/.config"
		"${make[@]}" olddefconfig
		[[ $(sed -nE 's/^CONFIG_KUNIT=//p' "$dir/.config") = "${kunit#n}" ]]
		! grep -qE '^CONFIG_(DEBUG_IDGEN_ALLOC|.*(IDGEN_ALLOC|_ASID|_VMID|_MMID)_KUNIT_TEST)=' "$dir/.config" ||
			return 1
		mapfile -t objects < <(printf '%s\n' "${objects[@]}" | grep -v _kunit)
		(cd "$dir" && rm -f "${objects[@]}")
		"${make[@]}" "${objects[@]}"
		for object in "${objects[@]}"; do
			"${crosses[$1]}size" -A "$dir/$object"
			"${crosses[$1]}nm" "$dir/$object" | sed -E 's/^[0-9a-f]* *//'
		done >"$build/log/sections-$kunit"
	done
	grep -q '__idgen_alloc_switch$' "$build/log/sections-n"
	diff "$build/log/sections-n" "$build/log/sections-m"
}

# built_in ARCH: link a kernel with KVM and without our suites. modpost refuses code that refers to the init section,
# which the allocator is in then.
built_in() {
	local dir make
	for_make "$1" gcc
	"${make[@]}" allnoconfig
	printf 'CONFIG_%s\n' SMP=y FPU=y RISCV_ISA_V=y VIRTUALIZATION=y KVM=y SECTION_MISMATCH_WARN_ONLY=n >>"$dir/.config"
	"${make[@]}" olddefconfig
	grep -q '^CONFIG_KVM=y' "$dir/.config"
	! grep -qE '^CONFIG_(KUNIT=|SECTION_MISMATCH_WARN_ONLY)' "$dir/.config" || return 1
	"${make[@]}" vmlinux
}

(($#)) || set -- arm64 x86_64 arm riscv mips64el um
archs=("$@")
rows() {
	local arch compiler config configs
	for arch in "${archs[@]}"; do
		configs=(allnoconfig defconfig allmodconfig)
		# Page tables of three levels, and ARMv6.
		[[ $arch != arm ]] || configs+=(multi_v7_lpae_defconfig imx_v6_v7_defconfig)
		# Other configurations have no MMIDs.
		[[ $arch != mips64el ]] || configs=(64r6el_defconfig)
		for compiler in gcc clang; do
			for config in "${configs[@]}"; do
				# A kernel header (asm-generic/io.h) does not compile in this configuration.
				[[ $arch-$compiler-$config != um-clang-allmodconfig ]] || {
					skip "configs-$arch-$compiler-$config" "a header of the kernel fails"
					continue
				}
				check "configs-$arch-$compiler-$config" compile "$arch" "$compiler" "$config"
			done
		done
		[[ -z ${crosses[$arch]-} ]] || check "configs-$arch-kunit-module" kunit_module "$arch"
		[[ $arch != riscv ]] || check "configs-$arch-kvm-built-in" built_in "$arch"
	done
}
used=("${compilers[@]}" clang-19)
sharded rows
report configs
