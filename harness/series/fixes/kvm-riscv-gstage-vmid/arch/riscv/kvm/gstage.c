// SPDX-License-Identifier: GPL-2.0-only
/* A fix for the kernel's file of this name. See the head of harness/overlay/splice.py for how to read it. */

static void gstage_tlb_flush(struct kvm_gstage *gstage, u32 level, gpa_t addr)
{
	/* tree: ... */

	/* The VMID may have changed since kvm_riscv_gstage_init() */
	if (!(gstage->flags & KVM_GSTAGE_FLAGS_LOCAL)) {
		/*
		 * Read it after the page table is changed: a VCPU that gets a
		 * later VMID finds the new entry. Pairs with the barrier before
		 * guest entry.
		 */
		smp_mb();
		gstage->vmid = READ_ONCE(gstage->kvm->arch.vmid.vmid);
	}

	/* tree: KVM_GSTAGE_FLAGS_LOCAL */
	/* tree: ... */
}
