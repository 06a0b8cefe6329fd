// SPDX-License-Identifier: GPL-2.0-only
/* A fix for the kernel's file of this name. See the head of harness/overlay/splice.py for how to read it. */

static void set_mm_asid(struct mm_struct *mm, unsigned int cpu)
{
	/* tree: ... */

	/* tree: raw_spin_unlock_irqrestore */

	/* Show the new ASID before the page table is walked: see set_mm() */
	mb();
	/* tree: ... */
}

static inline void set_mm(struct mm_struct *prev,
			  struct mm_struct *next, unsigned int cpu)
{
	/* tree comment: cpumask_set_cpu */
	/* gone: cpumask_set_cpu */
	if (!cpumask_test_cpu(cpu, mm_cpumask(next))) {
		cpumask_set_cpu(cpu, mm_cpumask(next));
		/*
		 * Show the bit before the page table is walked. Pairs with the
		 * barrier in __flush_tlb_range(). It is mb() and not smp_mb()
		 * as FENCE orders writes of CSRs as device output.
		 */
		mb();
	}
	/* tree: ... */
}
