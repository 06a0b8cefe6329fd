// SPDX-License-Identifier: GPL-2.0-only
/* Changes nothing, but refuses a tree that has the conversion: kvm_riscv_vcpu_unpriv_read() calls this function. */

bool kvm_riscv_gstage_vmid_ver_changed(struct kvm_vmid *vmid)
{
	/* tree: ... */
}
