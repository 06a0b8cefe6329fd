// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the conversion to idgen_alloc changes in the kernel's file of this name.
 * See the head of harness/overlay/splice.py for how to read it.
 */

#include <linux/idgen_alloc.h>

/* tree: vmid_bits */
/* gone: vmid_version vmid_next vmid_lock */

/*
 * A CPU's slot shows the VM of the vCPU that was last loaded there, even after the
 * put: it is never scheduled out. hgatp keeps that VM's VMID, and the host uses it
 * to read guest memory (HLV). So a rollover must reserve the VMID for this CPU.
 *
 * Only fences of VS-stage entries (kvm_riscv_local_hfence_vvma_*()) put another one
 * into hgatp for a moment: the one that was current when they were queued, which
 * can be another VM's by now. hgatp has MODE Bare then, so no G-stage is walked.
 */
static struct idgen_alloc vmids;
static DEFINE_PER_CPU(struct idgen_slot, vmid_slots);

static void flush_cpu(struct idgen_alloc *a)
{
	kvm_riscv_local_hfence_gvma_all();
}

static void flush_this_cpu(void *unused)
{
	kvm_riscv_local_hfence_gvma_all();
}

static const struct idgen_ops vmid_ops = {
	.name		= "vmid",
	.flush_cpu	= flush_cpu,
};

void __init kvm_riscv_gstage_vmid_detect(void)
{
	int err;

	/* tree: ... */

	/*
	 * Drop what the probe left, and what VMs from before KVM was last unloaded
	 * left on any CPU: the first generation flushes nothing.
	 */
	/* gone: kvm_riscv_local_hfence_gvma_all */
	on_each_cpu(flush_this_cpu, NULL, 1);

	/* tree comment: 1UL << vmid_bits */
	/* gone: 1UL << vmid_bits */
	if (BIT(vmid_bits) - 1 > num_possible_cpus()) {
		err = idgen_alloc_init(&vmids, &vmid_ops, vmid_bits, &vmid_slots);
		if (!err)
			return;
		kvm_err("no VMIDs: error %d\n", err);
	}
	vmid_bits = 0;
}

/* KVM is unloaded, or failed to initialise. */
void kvm_riscv_gstage_vmid_exit(void)
{
	idgen_alloc_destroy(&vmids);
}

int kvm_riscv_gstage_vmid_init(struct kvm *kvm)
{
	/* tree comment: vmid_version */
	/* gone: vmid_version */
	idgen_atomic(set)(&kvm->arch.vmid.id, 0);
	/* tree: ... */
}
/* gone: kvm_riscv_gstage_vmid_ver_changed __local_hfence_gvma_all */

/* vCPU load, with preemption disabled: before hgatp is written. */
void kvm_riscv_gstage_vmid_update(struct kvm_vmid *vmid)
{
	unsigned long id;

	if (!vmid_bits)
		return;

	idgen_alloc_switch(&vmids, this_cpu_ptr(&vmid_slots), &vmid->id, NULL);
	id = idgen_atomic(read)(&vmid->id) & IDGEN_ID_MASK;
	if (READ_ONCE(vmid->vmid) == id)
		return;

	/* Several CPUs can be here, all with one VMID: it stays in each slot. */
	WRITE_ONCE(vmid->vmid, id);
	/*
	 * The store comes before walks with the VMID (pairs with the barrier in
	 * gstage_tlb_flush()), and before the slot shows another VM, so before
	 * the store of the VMID that comes after this one.
	 */
	mb();
}

#ifdef CONFIG_RISCV_KVM_VMID_KUNIT_TEST
#include "vmid_kunit.c"
#endif
