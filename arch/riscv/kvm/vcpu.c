// SPDX-License-Identifier: GPL-2.0-only
/*
 * Conversion of the kernel's file of this name to idgen_alloc. The head of
 * harness/overlay/splice.py describes the format.
 */

void kvm_arch_vcpu_load(struct kvm_vcpu *vcpu, int cpu)
{
	/* tree: void *nsh */
	/* tree: guest_csr */

	/* If hgatp is not written below, it has this VMID: the slot kept it. */
	kvm_riscv_gstage_vmid_update(&vcpu->kvm->arch.vmid);
	/* tree: ... */
}

static int kvm_riscv_check_vcpu_requests(struct kvm_vcpu *vcpu)
{
	/* tree: ... */
	/* gone: KVM_REQ_UPDATE_HGATP */
	/* tree: ... */
}

int kvm_arch_vcpu_ioctl_run(struct kvm_vcpu *vcpu)
{
	/* tree: ... */
	/* gone: kvm_riscv_gstage_vmid_update */
	/* tree: ... */

	/* tree without: kvm_riscv_gstage_vmid_ver_changed(&vcpu->kvm->arch.vmid) || */
	/* tree: ... */

		/*
		 * Sanitize VMID mappings cached (TLB) on current CPU
		 */
	/* tree code: kvm_riscv_local_tlb_sanitize */
	/* tree: ... */
}
