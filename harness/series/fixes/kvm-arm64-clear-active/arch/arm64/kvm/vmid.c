// SPDX-License-Identifier: GPL-2.0-only
/* A fix for the kernel's file of this name. See the head of harness/overlay/splice.py for how to read it. */

void kvm_arm_vmid_clear_active(void)
{
	u64 old_active_vmid = atomic64_read(this_cpu_ptr(&active_vmids));

	/*
	 * Keep the 0 of a rollover for the next kvm_arm_vmid_update(), which
	 * must take the lock then. The first rollover after that frees the VMID.
	 */
	if (old_active_vmid != 0)
		atomic64_cmpxchg_relaxed(this_cpu_ptr(&active_vmids),
					 old_active_vmid, VMID_ACTIVE_INVALID);
}
