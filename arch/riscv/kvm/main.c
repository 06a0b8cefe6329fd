// SPDX-License-Identifier: GPL-2.0-only
/*
 * Conversion of the kernel's file of this name to idgen_alloc. The head of
 * harness/overlay/splice.py describes the format.
 */

static void kvm_riscv_teardown(void)
{
	/* tree: kvm_riscv_aia_exit */
	kvm_riscv_gstage_vmid_exit();
	/* tree: ... */
}

static int __init riscv_kvm_init(void)
{
	/* tree: ... */

	/* tree: kvm_riscv_aia_init */
	/* tree head: rc && rc != -ENODEV */
		kvm_riscv_gstage_vmid_exit();
	/* tree: ... */
}
