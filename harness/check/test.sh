#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# test.sh [unit]: all checks that are quick enough: KUnit on all architectures but those of mips, on several machines
# and on Linux 6.12, lint, threads and proofs, costs, real processes and guests, the series, configurations that only
# compile, and csky without a compiler for it. "unit" is only the tests of our own scripts.
#
# The rows that only compile share one build directory and build only our files. Each additional kernel that boots would
# take about eight minutes.

. "$(dirname "$0")/../common.sh"
only unit "$@"
units() {
	check overlay "$harness/overlay/overlay_test.py"
	check input "$harness/check/input_test.sh"
	check series-refresh "$harness/series/series_test.py"
}
if [[ ${1-} = unit ]]; then
	"$harness/fetch/deps.sh" series kunit-host
	lock
	units
	report unit
	exit
fi
"$harness/fetch/deps.sh" kunit-arm64 kunit-arm kunit-riscv kunit-riscv32 kunit-um lint litmus prove bench e2e-arm64 \
	e2e-arm e2e-riscv series series-check csky
lock
tree=$("$harness/overlay/tree.sh")

# again ARGS...: boot the kernel of make kunit again.
again() {
	rm -f "$build/again.json"
	kunit exec "$tree" .kunit "${kunit_for[@]}" --kunitconfig=.kunitconfig --json="$build/again.json" "$@"
	"$harness/check/kunit_results.py" --log="$tree/.kunit/test.log" "$build/again.json" "${suites[@]}"
}

# options NAME=VALUE...: the options of a row for kunit.py, which fails if one is missing in the final .config.
options() {
	printf -- '--kconfig_add=CONFIG_%s\n' WERROR=y "$@"
}

# compile OBJECT... -- NAME=VALUE...: compile these objects in the configuration of make kunit with these options.
compile() {
	local objects=() more dir=.kunit-matrix
	while [[ $1 != -- ]]; do
		objects+=("$1")
		shift
	done
	mapfile -t more < <(options "${@:2}")
	kunit config "$tree" "$dir" "${kunit_for[@]}" --kunitconfig=.kunitconfig "${more[@]}"
	(cd "$tree/$dir" && rm -f "${objects[@]}")
	make -C "$tree" O="$dir" -j"$(nproc)" "${make_for[@]}" "${objects[@]}"
	(cd "$tree/$dir" && ls -l "${objects[@]}")
}

# Every idgen_ symbol that the suite needs as a module must be exported.
compile_module() {
	local symbol
	compile "${objects[@]}" -- KUNIT=m MODULES=y IDGEN_ALLOC_KUNIT_TEST=m ARM64_ASID_KUNIT_TEST=n \
		KVM_ARM_VMID_KUNIT_TEST=n
	cd "$tree/.kunit-matrix"
	"${cross}nm" lib/idgen_alloc.o >"$build/log/exports"
	for symbol in $("${cross}nm" -u lib/tests/idgen_alloc_kunit.o | grep -o '\bidgen_.*'); do
		grep -E "__(export_symbol|ksymtab)_$symbol$" "$build/log/exports" ||
			die "$symbol is used by the test as a module, but not exported"
	done
}

kunit_612() { LINUX='' LINUX_VERSION=6.12 SAN='' KUNIT_ARGS='' "$harness/check/kunit.sh"; }
e2e_arm() { ARCH=arm "$harness/e2e/e2e.sh" --quick; }
kunit_main() { ARCH=$1 SAN='' KUNIT_ARGS='' "$harness/check/kunit.sh"; }

# The kernel's own parser must read the KTAP beside each table, and count as our last line does. One more document has
# all checks so far, and a test with each verdict.
parse_ktap() {
	local file ours said
	cd "$tree"
	KTAP='' VARIANT='' "$harness/check/ktap.py" report ktap "$build/log" "${checks[@]}" \
		good ok 0 '' bad 'not ok' 0 because left-out skip 0 because || true
	while read -r file; do
		ours=$(sed -nE '/^# [0-9]+ passed/{s/([0-9]+) ([a-z]+)/\2: \1/g; s/, [a-z]+: 0//g; s/^# (passed: 0, )?//p}' \
			"$file")
		said=$(./tools/testing/kunit/kunit.py parse "$file" || true)
		echo "$file: $ours"
		[[ $said$'\n' = *"tests: $ours"$'\n'* ]] || die "$file: kunit.py says ${said##*complete.}"
		[[ $file != */ktap.ktap || $said = *'[FAILED] bad'*'[SKIPPED] left-out (because)'* ]]
	done < <(grep -lE '^# [0-9]+ passed' "$build"/*.ktap "$build"/log/*.ktap)
}

no_kvm=("${objects[@]:0:3}")
units
check kunit kunit_main arm64
check kunit-kpti again --kernel_args=kpti=1
check kunit-smp-el2 again --qemu_args='-smp 4' --qemu_args='-machine virtualization=on'
# The fewest IDs, so that every few switches roll over, without VHE.
check kunit-nvhe-4-bits again --qemu_args='-cpu cortex-a57' --qemu_args='-machine virtualization=on' \
	--kernel_args=idgen_alloc.bits=asid:4,vmid:4
for port in arm riscv riscv32; do
	for_arch "$port"
	[[ -f $tree/${kunitconfigs[0]} ]] || { skip "kunit-$port" "this kernel is too old" && continue; }
	check "kunit-$port" kunit_main "$port"
done
for_arch arm64
check kunit-um kunit_main um
check lint "$harness/check/lint.sh"
check torture "$harness/check/host.sh" torture SECONDS=1
for name in explore litmus prove; do
	check "$name" "$harness/check/host.sh" "$name"
done
check bench "$harness/bench/bench.sh" quick
check e2e "$harness/e2e/e2e.sh" --quick
check e2e-arm e2e_arm
check compile-no-kvm compile "${no_kvm[@]}" -- KVM=n KVM_ARM_VMID_KUNIT_TEST=n
check compile-kunit-module compile_module
check compile-no-kpti compile "${objects[@]}" -- EXPERT=y UNMAP_KERNEL_AT_EL0=n
check compile-4096-cpus compile "${objects[@]}" -- DEBUG_KERNEL=y DEBUG_PER_CPU_MAPS=y CPUMASK_OFFSTACK=y NR_CPUS=4096
check compile-rt compile "${objects[@]}" -- EXPERT=y PREEMPT_RT=y
check compile-64k-pages compile "${objects[@]}" -- ARM64_64K_PAGES=y
check series "$harness/series/series-check.sh" quick
check csky "$harness/check/csky.sh"
check kunit-6.12 kunit_612
check ktap parse_ktap
report test
