// SPDX-License-Identifier: GPL-2.0-only
/* A fix for the kernel's file of this name. See the head of harness/overlay/splice.py for how to read it. */

static void __flush_tlb_range(struct mm_struct *mm,
			      const struct cpumask *cmask,
			      unsigned long start, unsigned long size,
			      unsigned long stride)
{
	/* gone: get_mm_asid */
	unsigned long asid;
	/* tree: unsigned int cpu */

	/*
	 * Change the page table before reading the ASID and the mask: a CPU
	 * that this flush misses finds the new entry. Pairs with the barriers
	 * in switch_mm(), after the stores of a new ASID and of a new bit.
	 */
	smp_mb();
	asid = get_mm_asid(mm);
	/* tree: ... */
}
