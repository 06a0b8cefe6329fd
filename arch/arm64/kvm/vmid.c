// SPDX-License-Identifier: GPL-2.0-only
/*
 * Conversion of the kernel's file of this name to idgen_alloc. The head of
 * harness/overlay/splice.py describes the format.
 */

#include <linux/idgen_alloc.h>

/* tree: kvm_arm_vmid_bits */
static struct idgen_alloc vmids;
static DEFINE_PER_CPU(struct idgen_slot, vmid_slots);
/* gone: cpu_vmid_lock vmid_generation vmid_map active_vmids reserved_vmids */
/* gone: VMID_MASK VMID_FIRST_VERSION NUM_USER_VMIDS vmid2idx idx2vmid */
/* gone: VMID_ACTIVE_INVALID vmid_gen_match */

static void flush_context(struct idgen_alloc *a)
{
	/* tree: kvm_call_hyp */
}

static const struct idgen_ops vmid_ops = {
	.name		= "vmid",
	.flush_all	= flush_context,
};

/* gone: check_update_reserved_vmid new_vmid */

void kvm_arm_vmid_clear_active(void)
{
	/*
	 * With VHE, VTTBR_EL2 may still hold the VMID. See "Sched out is a
	 * promise" in Documentation/core-api/idgen_alloc.rst.
	 */
	idgen_alloc_sched_out(this_cpu_ptr(&vmid_slots));
}

void kvm_arm_vmid_update(struct kvm_vmid *kvm_vmid)
{
	idgen_alloc_switch(&vmids, this_cpu_ptr(&vmid_slots), &kvm_vmid->id,
			   NULL);
}

int __init kvm_arm_vmid_alloc_init(void)
{
	/* tree: kvm_get_vmid_bits */

	return idgen_alloc_init(&vmids, &vmid_ops, kvm_arm_vmid_bits,
				&vmid_slots);
}

void __init kvm_arm_vmid_alloc_free(void)
{
	idgen_alloc_destroy(&vmids);
}

#ifdef CONFIG_KVM_ARM_VMID_KUNIT_TEST
#include "vmid_kunit.c"
#endif
