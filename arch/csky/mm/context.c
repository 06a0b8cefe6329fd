// SPDX-License-Identifier: GPL-2.0-only
/*
 * ASIDs.
 *
 * lib/idgen_alloc.c hands them out. Here is what C-SKY adds: how many there are, the
 * flush of one CPU, and on which CPUs an mm has run. switch_mm(), in asm/mmu_context.h,
 * writes the registers thereafter.
 *
 * A context's value is in mm->context.asid. EntryHi gets the lower word of it as it is:
 * the ASID, and where the hardware puts the address that it looks up, what is left
 * of the generation.
 *
 * Takes the place, and has the interface, of a file that was
 * Copyright (C) 2018 Hangzhou C-SKY Microsystems co.,ltd.
 */
#include <linux/build_bug.h>
#include <linux/cpumask.h>
#include <linux/idgen_alloc.h>
#include <linux/init.h>
#include <linux/mm_types.h>
#include <linux/mmu_context.h>
#include <linux/panic.h>
#include <linux/percpu.h>
#include <linux/printk.h>

static struct idgen_alloc asids;
static DEFINE_PER_CPU(struct idgen_slot, asid_slots);

/*
 * TLB flushes read what the allocator wrote by cpu_asid(), and some do before the sync.is
 * that follows the change to the page table. That will do as long as an atomic64_t has
 * a lock (GENERIC_ATOMIC64): whoever stores an ASID after such a read takes it later,
 * and sees the change.
 */
static_assert(!(ASID_MASK & ~IDGEN_ID_MASK));

/*
 * This comes before the registers are written, so the mm that is being left may be
 * walked once more after it. Its ASID is reserved in this generation, and in the
 * next one this CPU, which alone has the entries, flushes again.
 */
static void asid_flush_cpu(struct idgen_alloc *a)
{
	local_tlb_invalid_all();
}

static const struct idgen_ops asid_ops = {
	.name		= "asid",
	.flush_cpu	= asid_flush_cpu,
};

/*
 * mm_cpumask() tells where the I-cache may have lines of @mm: on each CPU that has run
 * it, whatever ASID it had then. (TLB flushes are broadcast by hardware, and do not
 * ask. A CPU that goes offline loses its bits, though it may keep its lines.)
 *
 * The bit is set before the sync.is in setup_pgd(), after which flush_icache_deferred()
 * looks for what flush_icache_mm_range() has left for this CPU. The latter leaves that
 * before its own sync.is, looks for the bit after it, and clears again what it left
 * when it has flushed where it saw bits. So a CPU that is not flushed, by either, is
 * one that first comes to @mm now, and has no lines of it.
 */
void check_and_switch_context(struct mm_struct *mm, unsigned int cpu)
{
	if (unlikely(!cpumask_test_cpu(cpu, mm_cpumask(mm))))
		cpumask_set_cpu(cpu, mm_cpumask(mm));

	idgen_alloc_switch(&asids, per_cpu_ptr(&asid_slots, cpu),
			   &mm->context.asid, NULL);
}

/* So early that only kernel threads have run. */
static int __init asids_init(void)
{
	int ret = idgen_alloc_init(&asids, &asid_ops, CONFIG_CPU_ASID_BITS, &asid_slots);

	if (ret)
		panic("Failed to set up %u ASIDs: error %d\n",
		      1U << CONFIG_CPU_ASID_BITS, ret);

	pr_info("ASID allocator initialised with %lu entries\n", idgen_alloc_nr(&asids));
	return 0;
}
early_initcall(asids_init);
