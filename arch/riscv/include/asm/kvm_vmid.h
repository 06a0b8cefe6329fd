/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMIDs; see arch/riscv/kvm/vmid.c.
 *
 * Takes the place, and has the interface, of a file that was
 * Copyright (c) 2025 Ventana Micro Systems Inc.
 */

#ifndef __RISCV_KVM_VMID_H_
#define __RISCV_KVM_VMID_H_

#include <linux/idgen_alloc.h>
#include <linux/kvm_types.h>

struct kvm_vmid {
	/* The VM's value: a generation above a VMID. 0 if it never ran. */
	idgen_atomic_t id;
	/*
	 * The VMID in it. While a vCPU of this VM is loaded it stays as it is; each
	 * load sees to it, so that it may be written by several CPUs at once.
	 */
	unsigned long vmid;
};

void __init kvm_riscv_gstage_vmid_detect(void);
void kvm_riscv_gstage_vmid_exit(void);
unsigned long kvm_riscv_gstage_vmid_bits(void);
int kvm_riscv_gstage_vmid_init(struct kvm *kvm);
void kvm_riscv_gstage_vmid_update(struct kvm_vmid *vmid);

#endif
