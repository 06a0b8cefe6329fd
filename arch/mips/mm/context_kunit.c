// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of what MIPS adds to the MMID allocator. Included by context.c to
 * reach its static data.
 *
 * The tests run on a single CPU without MMIDs. They initialise the allocator,
 * which is unused there, and set the CPU's MMID option with interrupts off for
 * one switch at a time. The CPU ignores writes to MemoryMapID. On a CPU with
 * MMIDs, processes would use the allocator meanwhile.
 */
#include <kunit/idgen_alloc.h>

#include <linux/cpumask.h>

#include <asm/cpu.h>

static int mmid_test_suite_init(struct kunit_suite *suite)
{
	if (cpu_has_mmid)
		return 0;
	return idgen_alloc_init(&mmids, &mmid_ops, 8, &mmid_slots);
}

static void mmid_test_suite_exit(struct kunit_suite *suite)
{
	if (!cpu_has_mmid)
		idgen_alloc_destroy(&mmids);
}

static int mmid_test_init(struct kunit *test)
{
	if (cpu_has_mmid)
		kunit_skip(test, "the kernel uses MMIDs");
	/* Other CPUs would see the MMID option. */
	if (num_online_cpus() > 1)
		kunit_skip(test, "needs a single CPU");
	return 0;
}

/* An mm that is only switched to. */
static struct mm_struct *mmid_test_new_mm(struct kunit *test)
{
	struct mm_struct *mm = kunit_kzalloc(test, sizeof(*mm), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, mm);
	mm->pgd = init_mm.pgd;
	return mm;
}

/* Switch to @mm and back. Returns this CPU's slot in between. */
static u64 mmid_test_run(struct mm_struct *mm)
{
	unsigned long flags, options;
	u64 active;

	local_irq_save(flags);
	htw_stop();
	options = cpu_data[0].options;
	cpu_data[0].options |= MIPS_CPU_MMID;
	check_switch_mmu_context(mm);
	active = atomic64_read(&this_cpu_ptr(&mmid_slots)->active);
	cpu_data[0].options = options;
	check_switch_mmu_context(current->active_mm);
	htw_start();
	local_irq_restore(flags);
	return active;
}

static u64 mmid_test_mmid(struct mm_struct *mm)
{
	return atomic64_read(&mm->context.mmid) & IDGEN_ID_MASK;
}

static void switch_stores_mmid_in_slot(struct kunit *test)
{
	struct mm_struct *mm = mmid_test_new_mm(test);
	u64 active = mmid_test_run(mm);

	KUNIT_EXPECT_EQ(test, active, atomic64_read(&mm->context.mmid));
	KUNIT_EXPECT_NE(test, mmid_test_mmid(mm), MMID_KERNEL_WIRED);
}

/* kunit_idgen_roll_over() checks each MMID. */
static void wired_mmid_is_never_allocated(struct kunit *test)
{
	kunit_idgen_roll_over(test, &mmids, 0);
	kunit_idgen_roll_over(test, &mmids, 0);
}

static void running_mm_keeps_mmid_over_rollovers(struct kunit *test)
{
	struct mm_struct *mm = mmid_test_new_mm(test);
	u64 mmid;
	int i;

	mmid_test_run(mm);
	mmid = mmid_test_mmid(mm);
	for (i = 0; i < 3; i++) {
		kunit_idgen_roll_over(test, &mmids, 0);
		KUNIT_EXPECT_TRUE(test, test_bit(mmid, mmids.map));
	}
	mmid_test_run(mm);
	KUNIT_EXPECT_EQ(test, atomic64_read(&mm->context.mmid),
			mmids.generation | mmid);
}

static unsigned int mmid_test_flushes;

static void mmid_test_flush_cpu(struct idgen_alloc *a)
{
	mmid_test_flushes++;
	mmid_flush_cpu(a);
}

static const struct idgen_ops mmid_test_ops = {
	.name		= "mmid",
	.flush_cpu	= mmid_test_flush_cpu,
};

static void first_switch_after_rollover_flushes_once(struct kunit *test)
{
	struct mm_struct *mm = mmid_test_new_mm(test);
	int i;

	mmid_test_run(mm);
	kunit_idgen_roll_over(test, &mmids, 0);
	mmids.ops = &mmid_test_ops;
	mmid_test_flushes = 0;
	for (i = 0; i < 3; i++)
		mmid_test_run(mm);
	mmids.ops = &mmid_ops;
	KUNIT_EXPECT_EQ(test, mmid_test_flushes, 1);
}

/* Whether the TLB has an entry for the address and ASID in EntryHi. */
static bool mmid_test_in_tlb(unsigned long entryhi)
{
	write_c0_entryhi(entryhi);
	mtc0_tlbw_hazard();
	tlb_probe();
	tlb_probe_hazard();
	return (int)read_c0_index() >= 0;
}

static void flush_drops_tlb_entries(struct kunit *test)
{
	unsigned long flags, old, entryhi;
	bool before, after;

	local_irq_save(flags);
	htw_stop();
	old = read_c0_entryhi();
	entryhi = (old & cpu_asid_mask(&current_cpu_data)) | 0x1000000;
	/* A second entry for the address would be a machine check. */
	if (!mmid_test_in_tlb(entryhi)) {
		write_c0_entrylo0(0);
		write_c0_entrylo1(0);
		mtc0_tlbw_hazard();
		tlb_write_random();
		tlbw_use_hazard();
	}

	before = mmid_test_in_tlb(entryhi);
	mmid_flush_cpu(&mmids);
	after = mmid_test_in_tlb(entryhi);

	write_c0_entryhi(old);
	htw_start();
	local_irq_restore(flags);
	KUNIT_EXPECT_TRUE(test, before);
	KUNIT_EXPECT_FALSE(test, after);
}

static unsigned int mmid_test_icache_flushes;

static void mmid_test_flush_icache_all(void)
{
	mmid_test_icache_flushes++;
}

/* Platforms can make cpu_has_vtag_icache a constant. */
static void flush_includes_virtual_icache(struct kunit *test)
{
	void (*flush)(void) = flush_icache_all;
	unsigned int flags = cpu_data[0].icache.flags;
	unsigned int i, vtag[2], flushes[2];

	preempt_disable();
	flush_icache_all = mmid_test_flush_icache_all;
	for (i = 0; i < 2; i++) {
		cpu_data[0].icache.flags = i ? flags | MIPS_CACHE_VTAG :
					       flags & ~MIPS_CACHE_VTAG;
		mmid_test_icache_flushes = 0;
		mmid_flush_cpu(&mmids);
		flushes[i] = mmid_test_icache_flushes;
		vtag[i] = !!cpu_has_vtag_icache;
	}
	cpu_data[0].icache.flags = flags;
	flush_icache_all = flush;
	preempt_enable();

	KUNIT_EXPECT_EQ(test, flushes[0], vtag[0]);
	KUNIT_EXPECT_EQ(test, flushes[1], vtag[1]);
}

static void sibling_flush_pending_until_switch(struct kunit *test)
{
#ifdef CONFIG_SMP
	int cpu, self = raw_smp_processor_id();

	mmid_test_run(mmid_test_new_mm(test));
	KUNIT_EXPECT_FALSE(test, sibling_flush_pending(cpumask_of(self)));
	kunit_idgen_roll_over(test, &mmids, 0);
	for_each_possible_cpu(cpu)
		KUNIT_EXPECT_TRUE(test, sibling_flush_pending(cpumask_of(cpu)));
	mmid_test_run(mmid_test_new_mm(test));
	KUNIT_EXPECT_FALSE(test, sibling_flush_pending(cpumask_of(self)));
	/* Still pending on the offline CPUs, if there are any. */
	KUNIT_EXPECT_EQ(test, sibling_flush_pending(cpu_possible_mask),
			num_possible_cpus() > 1);
#else
	kunit_skip(test, "needs CONFIG_SMP");
#endif
}

static void cpus_without_mmids_use_asids(struct kunit *test)
{
	unsigned long flags, asid, version;
	struct mm_struct *mm = mmid_test_new_mm(test);
	unsigned long cursor = mmids.cursor;
	unsigned int cpu;
	bool same;

	local_irq_save(flags);
	cpu = smp_processor_id();
	htw_stop();
	check_switch_mmu_context(mm);
	asid = read_c0_entryhi() & cpu_asid_mask(&current_cpu_data);
	same = asid == cpu_asid(cpu, mm);
	version = cpu_context(cpu, mm) & asid_version_mask(cpu);
	check_switch_mmu_context(current->active_mm);
	htw_start();
	local_irq_restore(flags);

	KUNIT_EXPECT_TRUE(test, same);
	KUNIT_EXPECT_NE(test, version, 0);
	KUNIT_EXPECT_EQ(test, cursor, mmids.cursor);
}

static struct kunit_case mips_mmid_cases[] = {
	KUNIT_CASE(switch_stores_mmid_in_slot),
	KUNIT_CASE(wired_mmid_is_never_allocated),
	KUNIT_CASE(running_mm_keeps_mmid_over_rollovers),
	KUNIT_CASE(first_switch_after_rollover_flushes_once),
	KUNIT_CASE(flush_drops_tlb_entries),
	KUNIT_CASE(flush_includes_virtual_icache),
	KUNIT_CASE(sibling_flush_pending_until_switch),
	KUNIT_CASE(cpus_without_mmids_use_asids),
	{}
};

static struct kunit_suite mips_mmid_suite = {
	.name = "mips_mmid",
	.suite_init = mmid_test_suite_init,
	.suite_exit = mmid_test_suite_exit,
	.init = mmid_test_init,
	.test_cases = mips_mmid_cases,
};

kunit_test_suite(mips_mmid_suite);
