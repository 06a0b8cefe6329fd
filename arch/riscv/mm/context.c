// SPDX-License-Identifier: GPL-2.0-only
/*
 * Conversion of the kernel's file of this name to idgen_alloc. The head of
 * harness/overlay/splice.py describes the format.
 */

#include <linux/idgen_alloc.h>
/* gone: <linux/slab.h> */

/* tree: num_asids */

/* gone: current_version context_lock context_tlb_flush_pending */
/* gone: context_asid_map active_context reserved_context */

static struct idgen_alloc asids;
static DEFINE_PER_CPU(struct idgen_slot, asid_slots);

/* cntx2asid() extracts the ID from the allocator's value. */
static_assert(IDGEN_ID_MASK == SATP_ASID_MASK);

/*
 * Called before satp is written, so walks of the previous mm may load entries
 * after this flush. They are harmless: the rollover has reserved the previous
 * ASID, and this hart flushes again before it uses an ASID of the next
 * generation.
 */
static void asid_flush_cpu(struct idgen_alloc *a)
{
	local_flush_tlb_all();
}

static const struct idgen_ops asid_ops = {
	.name		= "asid",
	.flush_cpu	= asid_flush_cpu,
};
/* gone: check_update_reserved_context __flush_context __new_context */

static void set_mm_asid(struct mm_struct *mm, unsigned int cpu)
{
	unsigned long cntx;

	idgen_alloc_switch(&asids, &per_cpu(asid_slots, cpu), &mm->context.id,
			   NULL);
	cntx = atomic_long_read(&mm->context.id);
	/* tree: csr_write */
}

static int __init asids_init(void)
{
	/* tree: ... */

	/* tree comment: 2 * num_possible_cpus() */
	/* gone head: 2 * num_possible_cpus() */
	if (asid_bits >= IDGEN_MIN_BITS &&
	    num_asids > (2 * num_possible_cpus())) {
		if (idgen_alloc_init(&asids, &asid_ops, asid_bits, &asid_slots))
			panic("Failed to allocate bitmap for %lu ASIDs\n",
			      num_asids);
	/* gone: __set_bit */
	/* tree: ... */
}
/* tree: early_initcall(asids_init) */

#ifdef CONFIG_RISCV_ASID_KUNIT_TEST
#include "context_kunit.c"
#endif
