// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of what RISC-V adds to the ASID allocator. Included by context.c
 * to reach its static data. The kernel uses this allocator while the tests run.
 */
#include <kunit/idgen_alloc.h>

#include <linux/log2.h>

static int asid_test_init(struct kunit *test)
{
	if (!static_branch_unlikely(&use_asid_allocator))
		kunit_skip(test, "this machine has too few ASIDs");

	/* Each case has its own thread: no need to restore the affinity. */
	set_cpus_allowed_ptr(current, cpumask_of(raw_smp_processor_id()));
	return 0;
}

static unsigned long asid_test_asid(struct mm_struct *mm)
{
	return cntx2asid(atomic_long_read(&mm->context.id));
}

/* Switch to @mm as if another mm had run in between. */
static void asid_test_switch(struct mm_struct *mm)
{
	preempt_disable();
	switch_mm(&init_mm, mm, current);
	preempt_enable();
}

static void asid_bits_match_satp(struct kunit *test)
{
	unsigned long flags, satp, asid;

	local_irq_save(flags);
	satp = csr_read(CSR_SATP);
	csr_set(CSR_SATP, SATP_ASID_MASK << SATP_ASID_SHIFT);
	asid = csr_read(CSR_SATP) >> SATP_ASID_SHIFT & SATP_ASID_MASK;
	csr_write(CSR_SATP, satp);
	local_flush_tlb_all();
	local_irq_restore(flags);

	if (strstr(saved_command_line, "idgen_alloc.bits="))
		KUNIT_EXPECT_LE(test, asids.bits, fls_long(asid));
	else
		KUNIT_EXPECT_EQ(test, asids.bits, fls_long(asid));
}

/* kunit_idgen_roll_over() checks each ASID. */
static void asid_0_is_never_allocated(struct kunit *test)
{
	kunit_idgen_roll_over(test, &asids, 0);
	kunit_idgen_roll_over(test, &asids, 0);
}

static void switch_writes_asid_to_satp(struct kunit *test)
{
	struct mm_struct *mm = kunit_idgen_use_mm(test);
	unsigned long satp, active, value;

	preempt_disable();
	satp = csr_read(CSR_SATP);
	active = idgen_atomic(read)(&this_cpu_ptr(&asid_slots)->active);
	value = atomic_long_read(&mm->context.id);
	preempt_enable();

	KUNIT_EXPECT_NE(test, asid_test_asid(mm), 0);
	KUNIT_EXPECT_EQ(test, satp >> SATP_ASID_SHIFT & SATP_ASID_MASK,
			asid_test_asid(mm));
	KUNIT_EXPECT_EQ(test, satp & SATP_PPN, virt_to_pfn(mm->pgd));
	KUNIT_EXPECT_EQ(test, satp >> SATP_MODE_SHIFT,
			satp_mode >> SATP_MODE_SHIFT);
	KUNIT_EXPECT_EQ(test, active, value);
	kunit_idgen_unuse_mm(mm);
}

/* The ASID stays reserved without a switch, as with lazy TLB. */
static void running_mm_keeps_asid_over_rollovers(struct kunit *test)
{
	struct mm_struct *mm = kunit_idgen_use_mm(test);
	unsigned long asid = asid_test_asid(mm);
	int i;

	for (i = 0; i < 3; i++) {
		kunit_idgen_roll_over(test, &asids, 0);
		KUNIT_EXPECT_TRUE(test, test_bit(asid, asids.map));
	}
	/* The mm moves to the new generation and keeps its ASID. */
	asid_test_switch(mm);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&mm->context.id),
			asids.generation | asid);
	kunit_idgen_unuse_mm(mm);
}

static unsigned int asid_test_flushes, asid_test_cpu;
static struct mm_struct *asid_test_mm;
static bool asid_test_in_mask;

static void asid_test_flush_cpu(struct idgen_alloc *a)
{
	if (smp_processor_id() == asid_test_cpu) {
		asid_test_flushes++;
		asid_test_in_mask = cpumask_test_cpu(asid_test_cpu,
						     mm_cpumask(asid_test_mm));
	}
	asid_flush_cpu(a);
}

static const struct idgen_ops asid_test_ops = {
	.name		= "asid",
	.flush_cpu	= asid_test_flush_cpu,
};

static void first_switch_after_rollover_flushes_once(struct kunit *test)
{
	struct mm_struct *mm = kunit_idgen_use_mm(test);
	unsigned long flags;
	int i;

	kunit_idgen_roll_over(test, &asids, 0);

	local_irq_save(flags);
	asid_test_cpu = smp_processor_id();
	asid_test_mm = mm;
	asids.ops = &asid_test_ops;
	/* A process that preempted this thread may have flushed already. */
	asid_test_flushes = 0;
	idgen_atomic(or)(IDGEN_TAKEN, &this_cpu_ptr(&asid_slots)->active);
	cpumask_clear_cpu(asid_test_cpu, mm_cpumask(mm));
	for (i = 0; i < 3; i++)
		asid_test_switch(mm);
	asids.ops = &asid_ops;
	local_irq_restore(flags);

	kunit_idgen_unuse_mm(mm);
	KUNIT_EXPECT_EQ(test, asid_test_flushes, 1);
	/* Flushes must reach this CPU from before satp is written. */
	KUNIT_EXPECT_TRUE(test, asid_test_in_mask);
}

static void mm_cpumask_bit_stays_after_switch(struct kunit *test)
{
	struct mm_struct *mm = kunit_idgen_use_mm(test), *other;
	/* The thread cannot migrate. */
	int cpu = raw_smp_processor_id();

	KUNIT_EXPECT_TRUE(test, cpumask_test_cpu(cpu, mm_cpumask(mm)));
	/* Keep the struct. */
	mmget(mm);
	kunit_idgen_unuse_mm(mm);
	other = kunit_idgen_use_mm(test);
	KUNIT_EXPECT_TRUE(test, cpumask_test_cpu(cpu, mm_cpumask(mm)));
	kunit_idgen_unuse_mm(other);
	mmput(mm);
}

static void switch_clears_stale_icache_bit(struct kunit *test)
{
#ifdef CONFIG_SMP
	struct mm_struct *mm = kunit_idgen_use_mm(test);
	cpumask_t *stale = &mm->context.icache_stale_mask;
	bool same, other;

	preempt_disable();
	cpumask_set_cpu(smp_processor_id(), stale);
	/* No flush if the mm does not change. */
	switch_mm(mm, mm, current);
	same = cpumask_test_cpu(smp_processor_id(), stale);
	switch_mm(&init_mm, mm, current);
	other = cpumask_test_cpu(smp_processor_id(), stale);
	preempt_enable();
	kunit_idgen_unuse_mm(mm);
	KUNIT_EXPECT_TRUE(test, same);
	KUNIT_EXPECT_FALSE(test, other);
#else
	kunit_skip(test, "needs CONFIG_SMP");
#endif
}

static struct kunit_case riscv_asid_cases[] = {
	KUNIT_CASE(asid_bits_match_satp),
	KUNIT_CASE(asid_0_is_never_allocated),
	KUNIT_CASE(switch_writes_asid_to_satp),
	KUNIT_CASE(running_mm_keeps_asid_over_rollovers),
	KUNIT_CASE(first_switch_after_rollover_flushes_once),
	KUNIT_CASE(mm_cpumask_bit_stays_after_switch),
	KUNIT_CASE(switch_clears_stale_icache_bit),
	{}
};

static struct kunit_suite riscv_asid_suite = {
	.name = "riscv_asid",
	.init = asid_test_init,
	.test_cases = riscv_asid_cases,
};

/* At boot only: the cases roll over the ASIDs in use. */
kunit_test_init_section_suite(riscv_asid_suite);
