// SPDX-License-Identifier: GPL-2.0-only
/* A fix for the kernel's file of this name. See the head of harness/overlay/splice.py for how to read it. */

void check_and_switch_context(struct mm_struct *mm, struct task_struct *tsk)
{
	/* tree: ... */
	/* gone: u64 asid */
	u64 asid, old_active_asid;
	/* tree: ... */

	/*
	 * A rollover leaves 0 in active_asids. Do not replace it without the
	 * lock: the next rollover would reserve an ASID that this CPU does not
	 * run, and that may be another mm's by then.
	 */
	old_active_asid = atomic64_read(&per_cpu(active_asids, cpu));
	/* gone: atomic64_xchg */
	if (old_active_asid &&
	    !((asid ^ atomic64_read(&asid_generation)) >> ASID_BITS) &&
	    atomic64_cmpxchg(&per_cpu(active_asids, cpu),
			     old_active_asid, asid))
		goto switch_mm_fastpath;
	/* tree: ... */
}
