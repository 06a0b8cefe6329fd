// SPDX-License-Identifier: GPL-2.0
/* A fix for the kernel's file of this name. See the head of harness/overlay/splice.py for how to read it. */

void flush_tlb_mm(struct mm_struct *mm)
{
	/* tree: ... */

	/* tree head: cpu_has_mmid */
		/*
		 * Change the page table before reading the MMID, and before
		 * the ginvt.
		 */
		smp_mb();
	/* tree: ... */
}

void flush_tlb_range(struct vm_area_struct *vma, unsigned long start, unsigned long end)
{
	/* tree: ... */
	/* tree head: cpu_has_mmid */
		smp_mb();	/* As in flush_tlb_mm() */
	/* tree: ... */
}

void flush_tlb_page(struct vm_area_struct *vma, unsigned long page)
{
	/* tree: ... */
	/* tree head: cpu_has_mmid */
		smp_mb();	/* As in flush_tlb_mm() */
	/* tree: ... */
}
