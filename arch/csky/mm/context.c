// SPDX-License-Identifier: GPL-2.0-only
/*
 * Conversion of the kernel's file of this name to idgen_alloc. The head of
 * harness/overlay/splice.py describes the format.
 */

#include <linux/idgen_alloc.h>
/* gone: <linux/slab.h> <asm/asid.h> */

/* gone: active_asids reserved_asids asid_info */

static struct idgen_alloc asids;
static DEFINE_PER_CPU(struct idgen_slot, asid_slots);

/*
 * TLB flushes read the ASID with cpu_asid(). Some do so before the sync.is that
 * follows the change to the page table. That is safe while atomic64_t takes a
 * lock (GENERIC_ATOMIC64): a CPU that sets an ASID later takes the same lock,
 * and then sees the change.
 *
 * cpu_asid() masks the value with ASID_MASK, which must have ID bits only.
 */
static_assert(!(ASID_MASK & ~IDGEN_ID_MASK));

/*
 * mm_cpumask() has the CPUs whose I-cache may hold lines of @mm. Set this CPU's
 * bit before the barrier in setup_pgd(): flush_icache_deferred() then checks
 * for a flush that flush_icache_mm_range() has deferred to this CPU.
 */
void check_and_switch_context(struct mm_struct *mm, unsigned int cpu)
{
	if (unlikely(!cpumask_test_cpu(cpu, mm_cpumask(mm))))
		cpumask_set_cpu(cpu, mm_cpumask(mm));

	idgen_alloc_switch(&asids, per_cpu_ptr(&asid_slots, cpu),
			   &mm->context.asid, NULL);
}

static void asid_flush_cpu_ctxt(struct idgen_alloc *a)
{
	/* tree: ... */
}

static const struct idgen_ops asid_ops = {
	.name		= "asid",
	.flush_cpu	= asid_flush_cpu_ctxt,
};

static int __init asids_init(void)
{
	int ret;

	ret = idgen_alloc_init(&asids, &asid_ops, CONFIG_CPU_ASID_BITS,
			       &asid_slots);
	if (ret)
		panic("Unable to initialize ASID allocator for %u ASIDs\n",
		      1U << CONFIG_CPU_ASID_BITS);

	pr_info("ASID allocator initialised with %lu entries\n",
		idgen_alloc_nr(&asids));

	/* tree: return */
}
