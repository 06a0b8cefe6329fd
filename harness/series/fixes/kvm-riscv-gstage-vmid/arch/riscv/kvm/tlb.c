// SPDX-License-Identifier: GPL-2.0-only
/* A fix for the kernel's file of this name. See the head of harness/overlay/splice.py for how to read it. */

int kvm_arch_flush_remote_tlbs_range(struct kvm *kvm, gfn_t gfn, u64 nr_pages)
{
	/* Order the page table before the VMID: see gstage_tlb_flush() */
	smp_mb();
	/* tree: ... */
}
