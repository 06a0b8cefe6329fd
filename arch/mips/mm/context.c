// SPDX-License-Identifier: GPL-2.0
/*
 * Conversion of the kernel's file of this name to idgen_alloc. The head of
 * harness/overlay/splice.py describes the format.
 */

#include <linux/idgen_alloc.h>
#include <linux/log2.h>
/* gone: <linux/spinlock.h> */

/* gone: cpu_mmid_lock mmid_version */
/* tree: num_mmids */
/* gone: mmid_map reserved_mmids tlb_flush_pending */

static struct idgen_alloc mmids;
static DEFINE_PER_CPU(struct idgen_slot, mmid_slots);

/* idgen_alloc never allocates ID 0. */
static_assert(MMID_KERNEL_WIRED == 0);

/* tree: EXPORT_SYMBOL_GPL(check_mmu_context) */

static void mmid_flush_cpu(struct idgen_alloc *a)
{
	if (cpu_has_vtag_icache)
		flush_icache_all();
	local_flush_tlb_all();
}

static const struct idgen_ops mmid_ops = {
	.name		= "mmid",
	.flush_cpu	= mmid_flush_cpu,
};

#ifdef CONFIG_SMP
static bool sibling_flush_pending(const struct cpumask *siblings)
{
	unsigned int cpu;

	for_each_cpu(cpu, siblings)
		if (atomic64_read(&per_cpu(mmid_slots, cpu).active) &
		    IDGEN_TAKEN)
			return true;
	return false;
}
#endif
/* gone: flush_context check_update_reserved_mmid get_new_mmid */

void check_switch_mmu_context(struct mm_struct *mm)
{
	/* tree: smp_processor_id() */

	/* tree: !cpu_has_mmid */

	idgen_alloc_switch(&mmids, this_cpu_ptr(&mmid_slots),
			   &mm->context.mmid, NULL);
	/* gone: write_c0_memorymapid */
	write_c0_memorymapid(atomic64_read(&mm->context.mmid) & IDGEN_ID_MASK);

	/* tree: CONFIG_SMP */
	/* gone head: cpu_has_shared_ftlb_entries */
	if (cpu_has_shared_ftlb_entries &&
	    sibling_flush_pending(&cpu_sibling_map[cpu])) {
	/* tree: ... */
}

static int __init mmid_init(void)
{
	/* tree: !cpu_has_mmid */

	/* tree code: num_mmids = */
	if (idgen_alloc_init(&mmids, &mmid_ops, ilog2(num_mmids), &mmid_slots))
		panic("Failed to allocate bitmap for %u MMIDs\n", num_mmids);
	/* gone: __set_bit */

	/* tree: pr_info */
	/* tree: ... */
}
/* tree: early_initcall(mmid_init) */

#ifdef CONFIG_MIPS_MMID_KUNIT_TEST
#include "context_kunit.c"
#endif
