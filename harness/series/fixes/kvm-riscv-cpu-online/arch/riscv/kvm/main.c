// SPDX-License-Identifier: GPL-2.0-only
/* A fix for the kernel's file of this name. See the head of harness/overlay/splice.py for how to read it. */

int kvm_arch_enable_virtualization_cpu(void)
{
	/* tree: ... */

	/* VMIDs may have been reused while this CPU was offline */
	kvm_riscv_local_hfence_gvma_all();

	/* tree code: kvm_riscv_aia_enable */
	/* tree: ... */
}
