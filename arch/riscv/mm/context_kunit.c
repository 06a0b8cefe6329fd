// SPDX-License-Identifier: GPL-2.0-only
/*
 * What RISC-V adds to the ASID allocator: part of context.c, so that its allocator
 * can be looked at while the kernel runs on it.
 */
#include <kunit/test.h>

#include <linux/kthread.h>
#include <linux/log2.h>
#include <linux/sched/mm.h>

static int asid_test_init(struct kunit *test)
{
	if (!static_branch_unlikely(&use_asid_allocator))
		kunit_skip(test, "this machine has too few ASIDs");

	/* The case runs on this thread, which then ends. */
	set_cpus_allowed_ptr(current, cpumask_of(raw_smp_processor_id()));
	return 0;
}

/*
 * Hand out the next ASID, on a CPU that rollovers do not know, so that it has a TLB
 * without entries and owes no flush.
 */
static unsigned long take_asid(struct kunit *test)
{
	struct idgen_slot elsewhere = {};
	atomic_long_t value = {};
	unsigned long asid;

	idgen_atomic(set)(&elsewhere.active, IDGEN_FIRST_GEN);
	idgen_alloc_switch(&asids, &elsewhere, &value, NULL);
	asid = cntx2asid(atomic_long_read(&value));
	KUNIT_ASSERT_NE(test, asid, 0);
	KUNIT_ASSERT_LT(test, asid, idgen_alloc_nr(&asids));
	return asid;
}

static void asid_roll_over(struct kunit *test)
{
	idgen_value_t generation = READ_ONCE(asids.generation);
	unsigned long left = idgen_alloc_nr(&asids);

	do {
		KUNIT_ASSERT_NE(test, left--, 0);
		take_asid(test);
	} while (READ_ONCE(asids.generation) == generation);
}

/* To begin with, and until another is switched to, it runs on this CPU. */
static struct mm_struct *use_new_mm(struct kunit *test)
{
	struct mm_struct *mm = mm_alloc();

	KUNIT_ASSERT_NOT_NULL(test, mm);
	kthread_use_mm(mm);
	return mm;
}

static void unuse_mm(struct mm_struct *mm)
{
	kthread_unuse_mm(mm);
	mmput(mm);
}

static unsigned long asid_of(struct mm_struct *mm)
{
	return cntx2asid(atomic_long_read(&mm->context.id));
}

/* As if another had run in between. */
static void switch_to_again(struct mm_struct *mm)
{
	preempt_disable();
	switch_mm(&init_mm, mm, current);
	preempt_enable();
}

static void asids_are_as_many_as_satp_has(struct kunit *test)
{
	/* SATP_ASID_BITS is what there can be. */
	KUNIT_EXPECT_LE(test, asids.bits, SATP_ASID_BITS);
	KUNIT_EXPECT_EQ(test, asids.usable, idgen_alloc_nr(&asids) - 1);
}

/* take_asid() looks at each. */
static void asid_0_is_never_handed_out(struct kunit *test)
{
	asid_roll_over(test);
	asid_roll_over(test);
}

static void switch_puts_the_asid_into_satp(struct kunit *test)
{
	struct mm_struct *mm = use_new_mm(test);
	unsigned long satp, active, value;

	preempt_disable();
	satp = csr_read(CSR_SATP);
	active = idgen_atomic(read)(&this_cpu_ptr(&asid_slots)->active);
	value = atomic_long_read(&mm->context.id);
	preempt_enable();

	KUNIT_EXPECT_NE(test, asid_of(mm), 0);
	KUNIT_EXPECT_EQ(test, satp >> SATP_ASID_SHIFT & SATP_ASID_MASK, asid_of(mm));
	KUNIT_EXPECT_EQ(test, satp & SATP_PPN, virt_to_pfn(mm->pgd));
	KUNIT_EXPECT_EQ(test, satp >> SATP_MODE_SHIFT, satp_mode >> SATP_MODE_SHIFT);
	KUNIT_EXPECT_EQ(test, active, value);
	unuse_mm(mm);
}

/* A kernel thread, or an idle CPU, leaves the tables in place: lazy TLB. */
static void asid_of_the_mm_that_runs_stays_over_rollovers(struct kunit *test)
{
	struct mm_struct *mm = use_new_mm(test);
	unsigned long asid = asid_of(mm);
	int i;

	for (i = 0; i < 3; i++) {
		asid_roll_over(test);
		KUNIT_EXPECT_TRUE(test, test_bit(asid, asids.map));
	}
	/* For the mm, that is news: it goes on with the same ASID. */
	switch_to_again(mm);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&mm->context.id),
			asids.generation | asid);
	unuse_mm(mm);
}

static unsigned int asid_flushes, counted_cpu;

static void counting_flush_cpu(struct idgen_alloc *a)
{
	asid_flushes += smp_processor_id() == counted_cpu;
	asid_flush_cpu(a);
}

static const struct idgen_ops counting_asid_ops = {
	.flush_cpu	= counting_flush_cpu,
};

static void first_switch_after_a_rollover_flushes_this_cpu_once(struct kunit *test)
{
	struct mm_struct *mm = use_new_mm(test);
	unsigned long flags;
	int i;

	asid_roll_over(test);

	local_irq_save(flags);
	counted_cpu = smp_processor_id();
	asids.ops = &counting_asid_ops;
	/* None if the rollover's thread was preempted in favour of a process. */
	asid_flushes = 0;
	idgen_atomic(or)(IDGEN_TAKEN, &this_cpu_ptr(&asid_slots)->active);
	for (i = 0; i < 3; i++)
		switch_to_again(mm);
	asids.ops = &asid_ops;
	local_irq_restore(flags);

	unuse_mm(mm);
	KUNIT_EXPECT_EQ(test, asid_flushes, 1);
}

static void cpu_stays_in_the_mask_of_an_mm_that_it_has_left(struct kunit *test)
{
	struct mm_struct *mm = use_new_mm(test), *other;
	/* The thread stays on its CPU. */
	int cpu = raw_smp_processor_id();

	KUNIT_EXPECT_TRUE(test, cpumask_test_cpu(cpu, mm_cpumask(mm)));
	/* Keeps it: the struct must not go. */
	mmget(mm);
	unuse_mm(mm);
	other = use_new_mm(test);
	KUNIT_EXPECT_TRUE(test, cpumask_test_cpu(cpu, mm_cpumask(mm)));
	unuse_mm(other);
	mmput(mm);
}

static void icache_that_became_stale_meanwhile_is_flushed_once(struct kunit *test)
{
#ifdef CONFIG_SMP
	struct mm_struct *mm = use_new_mm(test);
	cpumask_t *stale = &mm->context.icache_stale_mask;

	preempt_disable();
	cpumask_set_cpu(smp_processor_id(), stale);
	/* Nothing is flushed for one that runs on. */
	switch_mm(mm, mm, current);
	KUNIT_EXPECT_TRUE(test, cpumask_test_cpu(smp_processor_id(), stale));
	switch_mm(&init_mm, mm, current);
	KUNIT_EXPECT_FALSE(test, cpumask_test_cpu(smp_processor_id(), stale));
	preempt_enable();
	unuse_mm(mm);
#else
	kunit_skip(test, "needs CONFIG_SMP");
#endif
}

static struct kunit_case riscv_asid_cases[] = {
	KUNIT_CASE(asids_are_as_many_as_satp_has),
	KUNIT_CASE(asid_0_is_never_handed_out),
	KUNIT_CASE(switch_puts_the_asid_into_satp),
	KUNIT_CASE(asid_of_the_mm_that_runs_stays_over_rollovers),
	KUNIT_CASE(first_switch_after_a_rollover_flushes_this_cpu_once),
	KUNIT_CASE(cpu_stays_in_the_mask_of_an_mm_that_it_has_left),
	KUNIT_CASE(icache_that_became_stale_meanwhile_is_flushed_once),
	{}
};

static struct kunit_suite riscv_asid_suite = {
	.name = "riscv_asid",
	.init = asid_test_init,
	.test_cases = riscv_asid_cases,
};

kunit_test_init_section_suite(riscv_asid_suite);
