// SPDX-License-Identifier: GPL-2.0-only
/* A fix for the kernel's file of this name. See the head of harness/overlay/splice.py for how to read it. */

/* tree: flush_tlb_all */

/* The CPUs that may have TLB entries of mm, after its page table changed */
static const struct cpumask *mm_flush_mask(struct mm_struct *mm)
{
	/*
	 * A CPU that sets its bit too late to be found here walks the page
	 * table after the change. Pairs with the barriers in switch_mm() and
	 * cpu_switch_mm().
	 */
	smp_mb();
	return mm_cpumask(mm);
}

void flush_tlb_mm(struct mm_struct *mm)
{
	/* gone: on_each_cpu_mask */
	if (tlb_ops_need_broadcast())
		on_each_cpu_mask(mm_flush_mask(mm), ipi_flush_tlb_mm, mm, 1);
	/* tree: ... */
}

void flush_tlb_page(struct vm_area_struct *vma, unsigned long uaddr)
{
	/* tree: ... */
	/* gone: on_each_cpu_mask */
		on_each_cpu_mask(mm_flush_mask(vma->vm_mm), ipi_flush_tlb_page,
				 &ta, 1);
	/* tree: ... */
}

void flush_tlb_range(struct vm_area_struct *vma,
		     unsigned long start, unsigned long end)
{
	/* tree: ... */
	/* gone: on_each_cpu_mask */
		on_each_cpu_mask(mm_flush_mask(vma->vm_mm), ipi_flush_tlb_range,
				 &ta, 1);
	/* tree: ... */
}
