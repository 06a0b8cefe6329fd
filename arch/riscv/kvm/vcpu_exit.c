// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the conversion to idgen_alloc changes in the kernel's file of this name.
 * See the head of harness/overlay/splice.py for how to read it.
 */

unsigned long kvm_riscv_vcpu_unpriv_read(struct kvm_vcpu *vcpu,
					 bool read_insn,
					 unsigned long guest_addr,
					 struct kvm_cpu_trap *trap)
{
	/* tree: ... */
	/* gone if there: kvm_riscv_gstage_vmid_ver_changed */
	/* gone if there: kvm_riscv_gstage_vmid_bits */
	/* tree: ... */
}
