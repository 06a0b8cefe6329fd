// SPDX-License-Identifier: GPL-2.0-only
/*
 * Conversion of the kernel's file of this name to idgen_alloc. The head of
 * harness/overlay/splice.py describes the format.
 */

#include <linux/idgen_alloc.h>

/* tree: asid_bits */
static struct idgen_alloc asids;
static DEFINE_PER_CPU(struct idgen_slot, asid_slots);
/* gone: cpu_asid_lock asid_generation asid_map active_asids reserved_asids */
/* gone: tlb_flush_pending max_pinned_asids nr_pinned_asids pinned_asid_map */
/* gone: ASID_MASK ASID_FIRST_VERSION ctxid2asid asid2ctxid */

static void set_kpti_asid_bits(unsigned long *map, unsigned long nr)
{
	unsigned int len = BITS_TO_LONGS(nr) * sizeof(unsigned long);
	/* tree: memset */
}

static void asid_exclude_ids(struct idgen_alloc *a, unsigned long *map)
{
	bool kpti = IS_ENABLED(CONFIG_UNMAP_KERNEL_AT_EL0);

	/* Assume KPTI until all CPUs have been checked. */
	if (system_capabilities_finalized())
		kpti = arm64_kernel_unmapped_at_el0();
	if (kpti)
		set_kpti_asid_bits(map, idgen_alloc_nr(a));
}

static void asid_flush_cpu(struct idgen_alloc *a)
{
	local_flush_tlb_all();
}

static const struct idgen_ops asid_ops = {
	.name		= "asid",
	.pins		= true,
	.provisional	= true,
	.exclude_ids	= asid_exclude_ids,
	.flush_cpu	= asid_flush_cpu,
};
/* gone: set_reserved_asid_bits asid_gen_match flush_context */
/* gone: check_update_reserved_asid new_context */

void check_and_switch_context(struct mm_struct *mm)
{
	/* tree: cpu_set_reserved_ttbr0 */

	idgen_alloc_switch(&asids, this_cpu_ptr(&asid_slots), &mm->context.id,
			   &mm->context.pinned);

	/* tree: arm64_apply_bp_hardening */

	/* tree: system_uses_ttbr0_pan */
}

unsigned long arm64_mm_context_get(struct mm_struct *mm)
{
	u64 asid;

	/* Fails before asids_update_limit(), which sets the limit of pins. */
	asid = idgen_alloc_pin(&asids, &mm->context.id, &mm->context.pinned);

	/* tree: arm64_kernel_unmapped_at_el0 */

	return asid;
}

void arm64_mm_context_put(struct mm_struct *mm)
{
	idgen_alloc_unpin(&asids, &mm->context.id, &mm->context.pinned);
}

static int __init asids_update_limit(void)
{
	/* Cannot fail, as nothing is pinned yet. Warns about too few ASIDs. */
	WARN_ON(idgen_alloc_update_excluded(&asids));

	/* Add ASID #0, which init_mm uses. */
	pr_info("ASID allocator initialised with %lu entries\n",
		asids.usable + 1);
	return 0;
}

static int __init asids_init(void)
{
	/* tree: get_cpu_asid_bits */
	if (idgen_alloc_init(&asids, &asid_ops, asid_bits, &asid_slots))
		panic("Failed to allocate bitmap for %lu ASIDs\n",
		      NUM_USER_ASIDS);
	/* tree: return */
}
/* tree: early_initcall(asids_init) */

#ifdef CONFIG_ARM64_ASID_KUNIT_TEST
#include "context_kunit.c"
#endif
