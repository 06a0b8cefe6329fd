#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# gstage-fence.sh: run the KUnit case of the fix kvm-riscv-gstage-vmid. It is not in our suites, as it needs the fix. It
# must fail in a tree with our files only, and pass once the tree has the fix as well.

. "$(dirname "$0")/../common.sh"
only "" "$@"
"$harness/fetch/deps.sh" kunit-riscv
lock
for_arch riscv
tree=$("$harness/overlay/tree.sh")
fixed=$tree-gstage
# The files that change are written anew, as they are links.
link() {
	link_tree "$fixed"
	cp --remove-destination "$tree/arch/riscv/kvm/vmid.c" "$harness/check/gstage_fence_kunit.c" "$fixed/arch/riscv/kvm/"
	printf '\n#ifdef CONFIG_RISCV_KVM_VMID_KUNIT_TEST\n#include "gstage_fence_kunit.c"\n#endif\n' \
		>>"$fixed/arch/riscv/kvm/vmid.c"
	rm -f "$fixed"/.idgen-overlay.json
}
fix() {
	python3 - "$fixed" <<-'EOF'
		import sys
		from pathlib import Path
		from overlay import Overlay, fixes, load
		[(ours, table)] = [(ours, table) for ours, table in fixes() if ours.name == "kvm-riscv-gstage-vmid"]
		overlay = Overlay(ours, Path(sys.argv[1]), table, load("forms.toml"))
		overlay.work_out()
		overlay.write(overlay.changes())
		sys.exit("\n".join(overlay.problems) or None)
	EOF
}
run() {
	kunit run "$fixed" .kunit-riscv "${kunit_for[@]}" "${kunit_all[@]}" --jobs="$(nproc)" "riscv_kvm_gstage*" \
		>"$build/log/gstage" || true
	grep -Eo '\[(PASSED|FAILED)\] fence_after_sleep_is_for_new_vmid' "$build/log/gstage" ||
		die "no result: see $build/log/gstage"
}
mkdir -p "$build/log"
step "linking $tree to $fixed" link
said=$(run)
[[ $said = *FAILED* ]] || die "the case passes without the fix"
step "making the fix" fix
said=$(run)
[[ $said = *PASSED* ]] || die "the case fails with the fix"
echo "2 passed, 0 failed, 0 skipped"
