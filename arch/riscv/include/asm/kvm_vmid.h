/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the conversion to idgen_alloc changes in the kernel's file of this name.
 * See the head of harness/overlay/splice.py for how to read it.
 */

#include <linux/idgen_alloc.h>

struct kvm_vmid {
	/* Generation and VMID. 0 if the VM never ran. */
	idgen_atomic_t id;
	/* The VMID in it, written at each vCPU load. */
	unsigned long vmid;
};

/* tree: kvm_riscv_gstage_vmid_detect */
void kvm_riscv_gstage_vmid_exit(void);
/* gone: kvm_riscv_gstage_vmid_ver_changed */
void kvm_riscv_gstage_vmid_update(struct kvm_vmid *vmid);
