// SPDX-License-Identifier: GPL-2.0-only
/*
 * Conversion of the kernel's file of this name to idgen_alloc. The head of
 * harness/overlay/splice.py describes the format.
 */

#include <linux/idgen_alloc.h>

/* tree comment: ASID_FIRST_VERSION */
static struct idgen_alloc asids;
static DEFINE_PER_CPU(struct idgen_slot, asid_slots);
/* gone: ASID_FIRST_VERSION NUM_USER_ASIDS cpu_asid_lock asid_generation */
/* gone: asid_map active_asids reserved_asids tlb_flush_pending */

void a15_erratum_get_cpumask(int this_cpu, struct mm_struct *mm,
			     cpumask_t *mask)
{
	/* tree: ... */

	/* gone: raw_spin_lock_irqsave */
	raw_spin_lock_irqsave(&asids.lock, flags);
	/* tree: ... */
	/* tree comment: active_asids */
	/* gone: active_asids */
		asid = atomic64_read(&per_cpu(asid_slots.active, cpu));
		if (asid & IDGEN_TAKEN)
			asid = per_cpu(asid_slots.reserved, cpu);
	/* gone: reserved_asids */
	/* tree: ... */
	/* gone: raw_spin_unlock_irqrestore */
	raw_spin_unlock_irqrestore(&asids.lock, flags);
}

/* gone: new_context check_update_reserved_asid flush_context */

/* Flush all that may be tagged with ASIDs. CPUs share none of it. */
static void asid_flush_cpu(struct idgen_alloc *a)
{
	if (icache_is_vivt_asid_tagged())
		__flush_icache_all();
	local_flush_bp_all();
	local_flush_tlb_all();
}

/* CPUs that may have TLB entries for the new ASID have a flush pending. */
static void asid_new_id(struct idgen_alloc *a, atomic64_t *id)
{
	struct mm_struct *mm = container_of(id, struct mm_struct, context.id);

	cpumask_clear(mm_cpumask(mm));
	/* Clear the mask before the ASID is set; pairs with smp_rmb(). */
	smp_wmb();
}

static const struct idgen_ops asid_ops = {
	.name		= "asid",
	.flush_cpu	= asid_flush_cpu,
	.new_id		= asid_new_id,
};

void check_and_switch_context(struct mm_struct *mm, struct task_struct *tsk)
{
	/* tree: check_vmalloc_seq */

	/* tree: cpu_set_reserved_ttbr0 */

	idgen_alloc_switch(&asids, this_cpu_ptr(&asid_slots), &mm->context.id,
			   NULL);

	/*
	 * switch_mm() has set this CPU's bit, but asid_new_id(), here or on
	 * another CPU, may have cleared it since. That cannot happen again
	 * while this CPU's slot has the ASID. Pairs with smp_wmb() there.
	 */
	smp_rmb();
	if (unlikely(!cpumask_test_cpu(smp_processor_id(), mm_cpumask(mm)))) {
		cpumask_set_cpu(smp_processor_id(), mm_cpumask(mm));
		/* Order the bit before page table walks. */
		dsb(ishst);
	}

	/* tree: cpu_switch_mm */
}

static int __init asids_init(void)
{
	int ret = idgen_alloc_init(&asids, &asid_ops, ASID_BITS, &asid_slots);

	if (ret)
		panic("Failed to set up %u ASIDs: error %d\n",
		      1U << ASID_BITS, ret);
	return 0;
}
early_initcall(asids_init);

#ifdef CONFIG_ARM_ASID_KUNIT_TEST
#include "context_kunit.c"
#endif
