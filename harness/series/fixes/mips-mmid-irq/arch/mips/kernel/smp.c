// SPDX-License-Identifier: GPL-2.0
/* A fix for the kernel's file of this name. See the head of harness/overlay/splice.py for how to read it. */

/* tree: flush_tlb_mm */

/*
 * Invalidate the entries of @mm for a pair of pages in all TLBs. MemoryMapID
 * has the MMID of @mm meanwhile. Interrupts are off, as a handler may read user
 * memory.
 */
static void ginvt_page(struct mm_struct *mm, unsigned long addr)
{
	unsigned long flags;
	u32 old_mmid;

	local_irq_save(flags);
	htw_stop();
	old_mmid = read_c0_memorymapid();
	write_c0_memorymapid(cpu_asid(0, mm));
	mtc0_tlbw_hazard();
	ginvt_va_mmid(addr);
	sync_ginv();
	write_c0_memorymapid(old_mmid);
	instruction_hazard();
	htw_start();
	local_irq_restore(flags);
}

void flush_tlb_range(struct vm_area_struct *vma, unsigned long start, unsigned long end)
{
	/* tree: mm = */
	/* tree: addr; */

	/* tree: preempt_disable */
	/* tree head: cpu_has_mmid */
	/* tree: round_down */
	/* tree: round_up */
	/* tree head: do */
			ginvt_page(mm, addr);
	/* tree: += */
	/* tree: while */
	/* gone: htw_start */
	/* tree: ... */
}

void flush_tlb_page(struct vm_area_struct *vma, unsigned long page)
{
	/* gone: old_mmid; */
	/* tree: preempt_disable */
	/* tree head: cpu_has_mmid */
		ginvt_page(vma->vm_mm, page);
	/* gone: htw_start */
	/* tree: ... */
}
