// SPDX-License-Identifier: GPL-2.0-only
/* A fix for the kernel's file of this name. See the head of harness/overlay/splice.py for how to read it. */

bool kvm_riscv_gstage_vmid_ver_changed(struct kvm_vmid *vmid)
{
	/* tree: ... */

	/* Pairs with the release in kvm_riscv_gstage_vmid_update() */
	/* gone: unlikely */
	return unlikely(smp_load_acquire(&vmid->vmid_version) !=
			READ_ONCE(vmid_version));
}

void kvm_riscv_gstage_vmid_update(struct kvm_vcpu *vcpu)
{
	/* tree: ... */
	/* gone: vmid->vmid_version */
	/* gone: spin_unlock */

	/* tree: kvm_for_each_vcpu */

	/* A VCPU that sees the new version sees the request as well */
	smp_store_release(&vmid->vmid_version, READ_ONCE(vmid_version));

	spin_unlock(&vmid_lock);
}
