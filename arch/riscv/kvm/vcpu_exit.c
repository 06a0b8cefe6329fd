// SPDX-License-Identifier: GPL-2.0-only
/*
 * Conversion of the kernel's file of this name to idgen_alloc. The head of
 * harness/overlay/splice.py describes the format.
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
