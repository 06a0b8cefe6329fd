// SPDX-License-Identifier: GPL-2.0-only
/* A fix for the kernel's file of this name. See the head of harness/overlay/splice.py for how to read it. */

unsigned long kvm_riscv_vcpu_unpriv_read(struct kvm_vcpu *vcpu,
					 bool read_insn,
					 unsigned long guest_addr,
					 struct kvm_cpu_trap *trap)
{
	/* tree: ... */

	/* tree: local_irq_save */

	/*
	 * Since the last exit, the VMID in hgatp may have become another VM's.
	 * While interrupts are off that cannot happen: a rollover waits for
	 * this CPU to flush its TLB.
	 */
	while (kvm_riscv_gstage_vmid_ver_changed(&vcpu->kvm->arch.vmid)) {
		local_irq_restore(flags);
		kvm_riscv_gstage_vmid_update(vcpu);
		local_irq_save(flags);
	}
	if (kvm_riscv_gstage_vmid_bits())
		kvm_riscv_mmu_update_hgatp(vcpu);
	/* tree: ... */
}
