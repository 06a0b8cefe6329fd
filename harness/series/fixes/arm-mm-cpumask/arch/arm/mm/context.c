// SPDX-License-Identifier: GPL-2.0-only
/* A fix for the kernel's file of this name. See the head of harness/overlay/splice.py for how to read it. */

static u64 new_context(struct mm_struct *mm, unsigned int cpu)
{
	/* tree: ... */
	/* tree: cpumask_clear */
	/*
	 * Clear the mask before the caller stores the new ASID. Pairs with the
	 * fast path of check_and_switch_context().
	 */
	smp_wmb();
	/* tree: ... */
}

void check_and_switch_context(struct mm_struct *mm, struct task_struct *tsk)
{
	/* tree: ... */

	/* tree: switch_mm_fastpath: */
	/*
	 * Another CPU may have allocated this ASID, and cleared the mask, since
	 * switch_mm() set our bit. The update of active_asids orders the read
	 * of the ASID before that of the mask. test_and_set is a full barrier,
	 * as in switch_mm(); cpumask_set_cpu() is not.
	 */
	if (unlikely(!cpumask_test_cpu(cpu, mm_cpumask(mm))))
		cpumask_test_and_set_cpu(cpu, mm_cpumask(mm));

	/* tree: cpu_switch_mm */
}
