// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMIDs, one for each stage-2 MMU that is about to run.
 *
 * lib/idgen_alloc.c hands them out. What KVM adds: rollovers are rare, so one
 * CPU flushes for all; and vCPUs are known to stop running, so that an idle CPU
 * keeps no VMID out of use.
 *
 * A VMID that is out of use must not be walked with: an entry that a CPU takes in
 * after the flush would be there when the VMID's next owner runs on it. With nVHE
 * the host's own stage 2 is in VTTBR_EL2 whenever the host runs. With VHE, the last
 * guest's stays there, but HCR_EL2.TGE makes all of the host's walks EL2&0 ones,
 * for which it does not count; KVM sees to the errata by which CPUs do otherwise
 * (1165522, 1530923). The same holds from a vCPU's load until it enters.
 *
 * Takes the place, and has the interface, of a file that was
 * Copyright (C) 2002-2003 Deep Blue Solutions Ltd, 2012 ARM Ltd.
 */

#include <linux/idgen_alloc.h>
#include <linux/percpu.h>

#include <asm/kvm_asm.h>
#include <asm/kvm_mmu.h>

/* What the hardware has; the allocator may be told to use fewer. */
unsigned int __ro_after_init kvm_arm_vmid_bits;

static struct idgen_alloc vmids;
static DEFINE_PER_CPU(struct idgen_slot, vmid_slots);

/* TLBs of all CPUs. */
static void vmid_flush_all(struct idgen_alloc *a)
{
	kvm_call_hyp(__kvm_flush_vm_context);
}

static const struct idgen_ops vmid_ops = {
	.name		= "vmid",
	.flush_all	= vmid_flush_all,
};

/*
 * vCPU put, with preemption disabled. The slot has INVALID_VMID from now on: VMID
 * 0 of its generation. VMID 0 is never handed out.
 */
void kvm_arm_vmid_clear_active(void)
{
	idgen_alloc_sched_out(&vmids, this_cpu_ptr(&vmid_slots));
}

/* vCPU load, with preemption disabled: before VTTBR_EL2 is given the VMID. */
void kvm_arm_vmid_update(struct kvm_vmid *kvm_vmid)
{
	idgen_alloc_switch(&vmids, this_cpu_ptr(&vmid_slots), &kvm_vmid->id, NULL);
}

int __init kvm_arm_vmid_alloc_init(void)
{
	kvm_arm_vmid_bits = kvm_get_vmid_bits();
	return idgen_alloc_init(&vmids, &vmid_ops, kvm_arm_vmid_bits, &vmid_slots);
}

void __init kvm_arm_vmid_alloc_free(void)
{
	idgen_alloc_destroy(&vmids);
}

#ifdef CONFIG_KVM_ARM_VMID_KUNIT_TEST
#include "vmid_kunit.c"
#endif
