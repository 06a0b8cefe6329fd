// SPDX-License-Identifier: GPL-2.0-only
/*
 * Conversion of the kernel's file of this name to idgen_alloc. The head of
 * harness/overlay/splice.py describes the format.
 */

#include <linux/idgen_alloc.h>

/* tree: vmid_bits */
/* gone: vmid_version vmid_next vmid_lock */

/*
 * A slot keeps the VMID of the vCPU that was last loaded on its CPU, even after
 * the put: there is no sched out. hgatp keeps the VMID of that VM, and the host
 * reads guest memory with it (HLV). So a rollover must reserve it.
 *
 * Only kvm_riscv_local_hfence_vvma_*(), the fences of VS-stage entries, write
 * another VMID to hgatp for a moment. It is the VMID at the time when the fence
 * was queued, and may belong to another VM by now. hgatp is in mode Bare
 * meanwhile, so there are no G-stage walks.
 */
static struct idgen_alloc vmids;
static DEFINE_PER_CPU(struct idgen_slot, vmid_slots);

static void flush_cpu(struct idgen_alloc *a)
{
	kvm_riscv_local_hfence_gvma_all();
}

static const struct idgen_ops vmid_ops = {
	.name		= "vmid",
	.flush_cpu	= flush_cpu,
};

void __init kvm_riscv_gstage_vmid_detect(void)
{
	int err, cpu;

	/* tree: ... */

	/* tree comment: 1UL << vmid_bits */
	/* gone: 1UL << vmid_bits */
	if (vmid_bits >= IDGEN_MIN_BITS &&
	    BIT(vmid_bits) - 1 > num_possible_cpus()) {
		err = idgen_alloc_init(&vmids, &vmid_ops, vmid_bits,
				       &vmid_slots);
		/* Flush what CPUs have from before KVM was unloaded. */
		for_each_possible_cpu(cpu)
			idgen_atomic(set)(&per_cpu(vmid_slots, cpu).active,
					  IDGEN_FIRST_GEN | IDGEN_TAKEN);
		if (!err)
			return;
		kvm_err("no VMIDs: error %d\n", err);
	}
	vmid_bits = 0;
}

/* At module exit and when init fails: during boot only, if KVM is built in. */
void __ref kvm_riscv_gstage_vmid_exit(void)
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

/* Called by vCPU load with preemption disabled, before hgatp is written. */
void kvm_riscv_gstage_vmid_update(struct kvm_vmid *vmid)
{
	unsigned long id;

	if (!vmid_bits)
		return;

	idgen_alloc_switch(&vmids, this_cpu_ptr(&vmid_slots), &vmid->id, NULL);
	id = idgen_atomic(read)(&vmid->id) & IDGEN_ID_MASK;
	if (READ_ONCE(vmid->vmid) == id)
		return;

	/* CPUs that race here store the same VMID: it stays in their slots. */
	WRITE_ONCE(vmid->vmid, id);
	/*
	 * Order the store before page table walks with the VMID. Also order it
	 * before the next vCPU load of another VM on this CPU. Until then this
	 * VM keeps its VMID, and a store of a later VMID must not come first.
	 */
	mb();
}

#ifdef CONFIG_RISCV_KVM_VMID_KUNIT_TEST
#include "vmid_kunit.c"
#endif
