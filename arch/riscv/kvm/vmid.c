// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMIDs, one for each VM of which a vCPU is about to run.
 *
 * lib/idgen_alloc.c hands them out. A rollover does not stop guests: what is loaded
 * on a CPU keeps its VMID, and so all vCPUs of a VM that are loaded anywhere have the
 * same. Each CPU flushes for itself when it first loads a vCPU after a rollover.
 *
 * The slot of a CPU shows the VM of the vCPU that was last loaded on it, also when
 * that has been put: it is never sched out. So hgatp, which a put leaves as it is,
 * never has a VMID that could be another VM's; that counts where the host uses hgatp,
 * which it does to read the guest's memory (HLV), and for what the CPU speculates
 * of that. It also means that a vCPU which is loaded where it was last, with
 * no other in between, finds hgatp as it needs it: its VM's VMID was reserved for
 * this CPU all along. It costs a VMID for each CPU that no longer runs guests.
 *
 * A load writes hgatp after the slot, and after the flush if one is due. That is in
 * order even if the VM in hgatp were walked meanwhile, as it is with ASIDs: see
 * asid_flush_cpu() in arch/riscv/mm/context.c.
 *
 * Takes the place, and has the interface, of a file that was
 * Copyright (C) 2019 Western Digital Corporation or its affiliates.
 */

#include <linux/idgen_alloc.h>
#include <linux/kvm_host.h>
#include <linux/percpu.h>
#include <linux/smp.h>

#include <asm/csr.h>
#include <asm/kvm_gstage.h>
#include <asm/kvm_tlb.h>
#include <asm/kvm_vmid.h>

/* What the hardware has. 0: too few to be of use, all VMs have VMID 0. */
static unsigned long vmid_bits __ro_after_init;

static struct idgen_alloc vmids;
static DEFINE_PER_CPU(struct idgen_slot, vmid_slots);

static void vmid_flush_cpu(struct idgen_alloc *a)
{
	kvm_riscv_local_hfence_gvma_all();
}

static const struct idgen_ops vmid_ops = {
	.name		= "vmid",
	.flush_cpu	= vmid_flush_cpu,
};

static void flush_this_cpu(void *unused)
{
	kvm_riscv_local_hfence_gvma_all();
}

/* VMID bits that hgatp keeps, with a mode in which it has any. */
static unsigned long __init probe_vmid_bits(void)
{
	unsigned long mode = kvm_riscv_gstage_mode(kvm_riscv_gstage_max_pgd_levels);
	unsigned long ones;

	csr_write(CSR_HGATP, mode << HGATP_MODE_SHIFT | HGATP_VMID);
	ones = (csr_read(CSR_HGATP) & HGATP_VMID) >> HGATP_VMID_SHIFT;
	csr_write(CSR_HGATP, 0);

	return fls_long(ones);
}

void __init kvm_riscv_gstage_vmid_detect(void)
{
	vmid_bits = probe_vmid_bits();

	/*
	 * Nothing is flushed in the first generation. What the probe left here, and
	 * VMs from before KVM was last unloaded on any CPU, has to go now.
	 */
	on_each_cpu(flush_this_cpu, NULL, 1);

	if (idgen_alloc_init(&vmids, &vmid_ops, vmid_bits, &vmid_slots))
		vmid_bits = 0;
}

/* KVM is unloaded, or did not come up. */
void kvm_riscv_gstage_vmid_exit(void)
{
	idgen_alloc_destroy(&vmids);
}

unsigned long kvm_riscv_gstage_vmid_bits(void)
{
	return vmid_bits;
}

int kvm_riscv_gstage_vmid_init(struct kvm *kvm)
{
	idgen_atomic(set)(&kvm->arch.vmid.id, 0);
	kvm->arch.vmid.vmid = 0;
	return 0;
}

/* vCPU load, with preemption disabled: before hgatp is given the VMID. */
void kvm_riscv_gstage_vmid_update(struct kvm_vmid *vmid)
{
	unsigned long id;

	if (!vmid_bits)
		return;

	idgen_alloc_switch(&vmids, this_cpu_ptr(&vmid_slots), &vmid->id, NULL);
	id = idgen_atomic(read)(&vmid->id) & IDGEN_ID_MASK;
	if (READ_ONCE(vmid->vmid) != id)
		WRITE_ONCE(vmid->vmid, id);
}

#ifdef CONFIG_RISCV_KVM_VMID_KUNIT_TEST
#include "vmid_kunit.c"
#endif
