// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of what 32-bit ARM adds to the ASID allocator. Included by
 * context.c to reach its static data. The kernel uses this allocator while the
 * tests run.
 *
 * Contexts from asid_test_new_mm() never run.
 */
#include <kunit/idgen_alloc.h>

/*
 * Switch to @mm on an imaginary CPU that rollovers do not scan and that has no
 * flush pending.
 */
static void asid_test_switch_elsewhere(struct mm_struct *mm)
{
	struct idgen_slot elsewhere = {
		.active = ATOMIC64_INIT(IDGEN_FIRST_GEN),
	};

	preempt_disable();
	idgen_alloc_switch(&asids, &elsewhere, &mm->context.id, NULL);
	preempt_enable();
}

static struct mm_struct *asid_test_new_mm(struct kunit *test)
{
	/* mm_cpumask() follows the struct. */
	struct mm_struct *mm = kunit_kzalloc(test, sizeof(*mm) + cpumask_size(),
					     GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, mm);
	init_new_context(NULL, mm);
	return mm;
}

static u64 asid_test_take(struct kunit *test, struct mm_struct *mm)
{
	init_new_context(NULL, mm);
	asid_test_switch_elsewhere(mm);
	KUNIT_ASSERT_NE(test, ASID(mm), 0);
	KUNIT_ASSERT_LT(test, atomic64_read(&mm->context.id) & IDGEN_ID_MASK,
			idgen_alloc_nr(&asids));
	return atomic64_read(&mm->context.id);
}

static void asid_test_roll_over(struct kunit *test)
{
	struct mm_struct *mm = asid_test_new_mm(test);
	u64 generation = READ_ONCE(asids.generation);
	unsigned long left = idgen_alloc_nr(&asids);

	while ((asid_test_take(test, mm) & ~IDGEN_ID_MASK) == generation)
		KUNIT_ASSERT_NE(test, left--, 0);
	KUNIT_ASSERT_EQ(test, READ_ONCE(asids.generation),
			generation + IDGEN_GEN_STEP);
}

/* asid_test_take() checks each ASID. */
static void asid_0_is_never_allocated(struct kunit *test)
{
	asid_test_roll_over(test);
	asid_test_roll_over(test);
}

/* ASID() and assembly code read the lowest 8 bits of mm->context.id. */
static void asid_is_in_lowest_byte(struct kunit *test)
{
	struct mm_struct *mm = asid_test_new_mm(test);
	u64 value = asid_test_take(test, mm);

	KUNIT_EXPECT_LE(test, idgen_alloc_nr(&asids), 1UL << ASID_BITS);
	KUNIT_EXPECT_EQ(test, ASID(mm), value & IDGEN_ID_MASK);
}

static void new_asid_clears_mm_cpumask(struct kunit *test)
{
	struct mm_struct *taker = asid_test_new_mm(test);
	struct mm_struct *mm = asid_test_new_mm(test);

	cpumask_setall(mm_cpumask(mm));
	asid_test_switch_elsewhere(mm);
	KUNIT_EXPECT_TRUE(test, cpumask_empty(mm_cpumask(mm)));

	/* Not cleared when another mm takes its ASID. */
	cpumask_setall(mm_cpumask(mm));
	asid_test_roll_over(test);
	do {
		asid_test_take(test, taker);
	} while (!test_bit(ASID(mm), asids.map));
	KUNIT_EXPECT_TRUE(test, cpumask_full(mm_cpumask(mm)));
	/* Cleared when the mm gets a new ASID. */
	asid_test_switch_elsewhere(mm);
	KUNIT_EXPECT_TRUE(test, cpumask_empty(mm_cpumask(mm)));
}

static void kept_asid_keeps_mm_cpumask(struct kunit *test)
{
	struct mm_struct *mm = kunit_idgen_use_mm(test);

	cpumask_setall(mm_cpumask(mm));
	asid_test_switch_elsewhere(mm);
	asid_test_roll_over(test);
	/* The ASID is reserved for this CPU. */
	asid_test_switch_elsewhere(mm);
	KUNIT_EXPECT_EQ(test, atomic64_read(&mm->context.id) & ~IDGEN_ID_MASK,
			asids.generation);
	KUNIT_EXPECT_TRUE(test, cpumask_full(mm_cpumask(mm)));
	kunit_idgen_unuse_mm(mm);
}

/*
 * switch_mm() sets this CPU's bit in mm_cpumask(). Before the fast path of the
 * switch, another CPU may give the mm a new ASID and clear the mask. Without
 * its bit, this CPU would miss TLB flushes that are sent by IPI.
 */
static void switch_restores_mm_cpumask_bit(struct kunit *test)
{
	struct mm_struct *mm = kunit_idgen_use_mm(test);
	bool empty, fast, slow;
	unsigned long flags;
	u64 active, value;

	local_irq_save(flags);
	/* Retry after a rollover: a taken slot has no fast path. */
	do {
		check_and_switch_context(mm, current);
		init_new_context(NULL, mm);
		cpumask_set_cpu(smp_processor_id(), mm_cpumask(mm));
		asid_test_switch_elsewhere(mm);
		active = atomic64_read(&this_cpu_ptr(&asid_slots)->active);
	} while (active & IDGEN_TAKEN);
	empty = cpumask_empty(mm_cpumask(mm));
	value = atomic64_read(&mm->context.id);
	check_and_switch_context(mm, current);
	fast = cpumask_test_cpu(smp_processor_id(), mm_cpumask(mm));
	/* The slow path sets the bit too. */
	init_new_context(NULL, mm);
	check_and_switch_context(mm, current);
	slow = cpumask_test_cpu(smp_processor_id(), mm_cpumask(mm));
	local_irq_restore(flags);
	kunit_idgen_unuse_mm(mm);

	KUNIT_EXPECT_TRUE(test, empty);
	KUNIT_EXPECT_EQ(test, active & ~IDGEN_ID_MASK, value & ~IDGEN_ID_MASK);
	KUNIT_EXPECT_TRUE(test, fast);
	KUNIT_EXPECT_TRUE(test, slow);
}

static unsigned long asid_test_read_register(void)
{
	unsigned long value;

#ifdef CONFIG_ARM_LPAE
	value = cpu_get_ttbr(0) >> 48;
#else
	asm volatile("mrc	p15, 0, %0, c13, c0, 1	@ CONTEXTIDR"
		     : "=r" (value));
#endif
	return value & ~ASID_MASK;
}

static void switch_writes_asid_register(struct kunit *test)
{
	struct mm_struct *mm = kunit_idgen_use_mm(test);
	unsigned long asid;
	u64 active, value;

	preempt_disable();
	asid = asid_test_read_register();
	active = atomic64_read(&this_cpu_ptr(&asid_slots)->active);
	value = atomic64_read(&mm->context.id);
	preempt_enable();

	KUNIT_EXPECT_NE(test, ASID(mm), 0);
	KUNIT_EXPECT_EQ(test, asid, ASID(mm));
	KUNIT_EXPECT_EQ(test, active, value);
	kunit_idgen_unuse_mm(mm);
}

static unsigned int asid_test_flushes, asid_test_cpu;
static bool asid_test_tables_set_aside;

static void asid_test_flush_cpu(struct idgen_alloc *a)
{
	unsigned long ttbr0, ttbr1;

	asm volatile("mrc	p15, 0, %0, c2, c0, 0" : "=r" (ttbr0));
	asm volatile("mrc	p15, 0, %0, c2, c0, 1" : "=r" (ttbr1));
	if (smp_processor_id() == asid_test_cpu) {
		asid_test_flushes++;
		asid_test_tables_set_aside = ttbr0 == ttbr1;
	}
	asid_flush_cpu(a);
}

static const struct idgen_ops asid_test_ops = {
	.name		= "asid",
	.flush_cpu	= asid_test_flush_cpu,
	.new_id		= asid_new_id,
};

static void first_switch_after_rollover_flushes_once(struct kunit *test)
{
	struct mm_struct *mm = kunit_idgen_use_mm(test);
	unsigned long flags;
	int i;

	asid_test_roll_over(test);

	local_irq_save(flags);
	asid_test_cpu = smp_processor_id();
	asids.ops = &asid_test_ops;
	/* A process that preempted this thread may have flushed already. */
	asid_test_flushes = 0;
	atomic64_or(IDGEN_TAKEN, &this_cpu_ptr(&asid_slots)->active);
	for (i = 0; i < 3; i++)
		check_and_switch_context(mm, current);
	asids.ops = &asid_ops;
	local_irq_restore(flags);

	kunit_idgen_unuse_mm(mm);
	KUNIT_EXPECT_EQ(test, asid_test_flushes, 1);
	/* With LPAE, one write sets tables and ASID. */
	if (!IS_ENABLED(CONFIG_ARM_LPAE))
		KUNIT_EXPECT_TRUE(test, asid_test_tables_set_aside);
}

#ifdef CONFIG_PID_IN_CONTEXTIDR
static void contextidr_has_running_pid(struct kunit *test)
{
	struct mm_struct *mm = kunit_idgen_use_mm(test);
	unsigned long contextidr;

	asm volatile("mrc	p15, 0, %0, c13, c0, 1" : "=r" (contextidr));
	KUNIT_EXPECT_EQ(test, contextidr >> ASID_BITS, task_pid_nr(current));
	kunit_idgen_unuse_mm(mm);
}
#endif

#ifdef CONFIG_ARM_ERRATA_798181
/* Whether this CPU needs an IPI for a TLBI of @mm. */
static bool asid_test_erratum_has_this_cpu(struct mm_struct *mm)
{
	cpumask_t mask = CPU_MASK_NONE;

	a15_erratum_get_cpumask(nr_cpu_ids, mm, &mask);
	return cpumask_test_cpu(smp_processor_id(), &mask);
}

static void erratum_798181_finds_cpus_of_mm(struct kunit *test)
{
	struct mm_struct *mm = mm_alloc(), *other = asid_test_new_mm(test);
	cpumask_t mask = CPU_MASK_NONE;
	int i;

	KUNIT_ASSERT_NOT_NULL(test, mm);
	migrate_disable();
	kthread_use_mm(mm);
	KUNIT_EXPECT_TRUE(test, asid_test_erratum_has_this_cpu(mm));
	a15_erratum_get_cpumask(smp_processor_id(), mm, &mask);
	KUNIT_EXPECT_FALSE(test, cpumask_test_cpu(smp_processor_id(), &mask));

	/* Reserved ASIDs count. */
	for (i = 0; i < 3; i++) {
		asid_test_roll_over(test);
		KUNIT_EXPECT_TRUE(test, asid_test_erratum_has_this_cpu(mm));
	}
	/* Another CPU updates the value of the mm and the reserved copy. */
	asid_test_switch_elsewhere(mm);
	KUNIT_EXPECT_TRUE(test, asid_test_erratum_has_this_cpu(mm));

	/* Another mm: without an ASID, with one, and with a stale one. */
	KUNIT_EXPECT_FALSE(test, asid_test_erratum_has_this_cpu(other));
	asid_test_switch_elsewhere(other);
	KUNIT_EXPECT_FALSE(test, asid_test_erratum_has_this_cpu(other));
	atomic64_set(&other->context.id,
		     atomic64_read(&mm->context.id) - IDGEN_GEN_STEP);
	KUNIT_EXPECT_FALSE(test, asid_test_erratum_has_this_cpu(other));

	/* With lazy TLB, the CPU keeps the tables. */
	kthread_unuse_mm(mm);
	KUNIT_EXPECT_TRUE(test, asid_test_erratum_has_this_cpu(mm));
	migrate_enable();
	mmput(mm);
}
#endif

static struct kunit_case arm_asid_cases[] = {
	KUNIT_CASE(asid_0_is_never_allocated),
	KUNIT_CASE(asid_is_in_lowest_byte),
	KUNIT_CASE(new_asid_clears_mm_cpumask),
	KUNIT_CASE(kept_asid_keeps_mm_cpumask),
	KUNIT_CASE(switch_restores_mm_cpumask_bit),
	KUNIT_CASE(switch_writes_asid_register),
	KUNIT_CASE(first_switch_after_rollover_flushes_once),
#ifdef CONFIG_PID_IN_CONTEXTIDR
	KUNIT_CASE(contextidr_has_running_pid),
#endif
#ifdef CONFIG_ARM_ERRATA_798181
	KUNIT_CASE(erratum_798181_finds_cpus_of_mm),
#endif
	{}
};

static struct kunit_suite arm_asid_suite = {
	.name = "arm_asid",
	.test_cases = arm_asid_cases,
};

/* At boot only: the cases roll over the ASIDs in use. */
kunit_test_init_section_suite(arm_asid_suite);
