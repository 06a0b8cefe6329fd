/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Conversion of the kernel's file of this name to idgen_alloc. The head of
 * harness/overlay/splice.py describes the format.
 */

#include <linux/idgen_alloc.h>

struct kvm_vmid {
	/* Generation and VMID, or 0 if the VM never ran. */
	idgen_atomic_t id;
	/* The VMID in id, for hgatp and fences. Stored by vCPU load. */
	unsigned long vmid;
};

/* tree: kvm_riscv_gstage_vmid_detect */
void kvm_riscv_gstage_vmid_exit(void);
/* gone: kvm_riscv_gstage_vmid_ver_changed */
void kvm_riscv_gstage_vmid_update(struct kvm_vmid *vmid);
