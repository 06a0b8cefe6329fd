// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of what arm64 adds to the ASID allocator. Included by context.c
 * to reach its static data. The kernel uses this allocator while the tests run.
 *
 * Contexts from asid_test_new_mm() never run.
 */
#include <kunit/idgen_alloc.h>

static struct mm_struct *asid_test_new_mm(struct kunit *test)
{
	struct mm_struct *mm = kunit_kzalloc(test, sizeof(*mm), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, mm);
	init_new_context(NULL, mm);
	return mm;
}

/* Includes maps smaller than a long, whose bytes depend on the endianness. */
static void kpti_excludes_odd_asids(struct kunit *test)
{
	unsigned int bits, i;

	for (bits = IDGEN_MIN_BITS; bits <= IDGEN_ID_BITS; bits++) {
		unsigned long nr = 1UL << bits;
		unsigned long *map = kunit_kcalloc(test, BITS_TO_LONGS(nr),
						   sizeof(long), GFP_KERNEL);

		KUNIT_ASSERT_NOT_NULL(test, map);
		set_kpti_asid_bits(map, nr);
		for (i = 0; i < BITS_TO_LONGS(nr); i++)
			KUNIT_ASSERT_EQ(test, map[i], ~0UL / 3 * 2);
	}
}

/*
 * The kernel may need the odd ASIDs until KPTI is decided. Later rollovers may
 * use them, so this case must run first.
 */
static void early_asids_are_even(struct kunit *test)
{
	unsigned long asid;

	if (!IS_ENABLED(CONFIG_UNMAP_KERNEL_AT_EL0))
		kunit_skip(test, "needs CONFIG_UNMAP_KERNEL_AT_EL0");
	if (asids.generation != IDGEN_FIRST_GEN)
		kunit_skip(test, "there was a rollover already");
	for (asid = 1; asid < idgen_alloc_nr(&asids); asid += 2)
		KUNIT_ASSERT_TRUE(test, test_bit(asid, asids.map));
}

/* Commit f88f42f853a8: the kernel's ASIDs stayed excluded without KPTI. */
static void asids_are_paired_only_with_kpti(struct kunit *test)
{
	unsigned long nr = idgen_alloc_nr(&asids);
	unsigned long *map = kunit_kcalloc(test, BITS_TO_LONGS(nr),
					   sizeof(long), GFP_KERNEL);
	bool kpti = arm64_kernel_unmapped_at_el0();

	KUNIT_ASSERT_NOT_NULL(test, map);
	asid_exclude_ids(&asids, map);
	KUNIT_EXPECT_EQ(test, bitmap_weight(map, nr), kpti ? nr / 2 : 0);
	KUNIT_EXPECT_EQ(test, asids.usable, kpti ? nr / 2 - 1 : nr - 1);
	KUNIT_EXPECT_EQ(test, bitmap_weight(asids.base, nr),
			kpti ? nr / 2 + 1 : 1);
}

static void pin_limit_leaves_asid_per_cpu(struct kunit *test)
{
	unsigned long usable = idgen_alloc_nr(&asids) - 1;
	unsigned long others = num_possible_cpus() + 1;

	if (arm64_kernel_unmapped_at_el0())
		usable /= 2;
	KUNIT_EXPECT_EQ(test, asids.max_pinned, max(usable, others) - others);
}

/* kunit_idgen_roll_over() checks each ASID. */
static void asid_0_is_never_allocated(struct kunit *test)
{
	kunit_idgen_roll_over(test, &asids, 0);
	kunit_idgen_roll_over(test, &asids, 0);
}

static void pin_returns_user_asid(struct kunit *test)
{
	struct mm_struct *mm = asid_test_new_mm(test);
	unsigned long asid = arm64_mm_context_get(mm);

	if (!asids.max_pinned)
		kunit_skip(test, "too few ASIDs for pins");
	KUNIT_ASSERT_NE(test, asid, 0);
	KUNIT_EXPECT_EQ(test, asid & ~1UL, ASID(mm) & ~1UL);
	if (arm64_kernel_unmapped_at_el0()) {
		KUNIT_EXPECT_EQ(test, ASID(mm) & 1, 0);
		KUNIT_EXPECT_EQ(test, asid & 1, 1);
	} else {
		KUNIT_EXPECT_EQ(test, asid, ASID(mm));
	}
	arm64_mm_context_put(mm);
}

static void pinned_asid_survives_rollovers(struct kunit *test)
{
	struct mm_struct *mm = asid_test_new_mm(test);
	unsigned long asid = arm64_mm_context_get(mm);
	int i;

	if (!asids.max_pinned)
		kunit_skip(test, "too few ASIDs for pins");
	KUNIT_ASSERT_NE(test, asid, 0);
	for (i = 0; i < 3; i++) {
		kunit_idgen_roll_over(test, &asids, 0);
		KUNIT_EXPECT_EQ(test, arm64_mm_context_get(mm), asid);
		arm64_mm_context_put(mm);
	}
	arm64_mm_context_put(mm);
	KUNIT_EXPECT_EQ(test, refcount_read(&mm->context.pinned), 0);
}

static void pins_beyond_limit_are_refused(struct kunit *test)
{
	struct mm_struct *mm = asid_test_new_mm(test);
	unsigned long limit = asids.max_pinned;

	if (!limit)
		kunit_skip(test, "too few ASIDs for pins");
	asids.max_pinned = asids.nr_pinned;
	KUNIT_EXPECT_EQ(test, arm64_mm_context_get(mm), 0);
	KUNIT_EXPECT_EQ(test, refcount_read(&mm->context.pinned), 0);
	asids.max_pinned = limit;
	KUNIT_EXPECT_NE(test, arm64_mm_context_get(mm), 0);
	arm64_mm_context_put(mm);
}

/* On an allocator of its own, as that of the kernel is updated already. */
static void __init pins_wait_for_update_of_limit(struct kunit *test)
{
	struct idgen_slot __percpu *slots = alloc_percpu(struct idgen_slot);
	refcount_t pins = REFCOUNT_INIT(0);
	atomic64_t value = ATOMIC64_INIT(0);
	struct idgen_alloc a = {};

	KUNIT_ASSERT_TRUE(test, slots);
	/* With 8 bits, there could be too few ASIDs for the CPUs. */
	KUNIT_EXPECT_EQ(test, idgen_alloc_init(&a, &asid_ops, IDGEN_ID_BITS,
					       slots), 0);
	KUNIT_EXPECT_EQ(test, idgen_alloc_pin(&a, &value, &pins), 0);
	KUNIT_EXPECT_EQ(test, idgen_alloc_update_excluded(&a), 0);
	KUNIT_EXPECT_NE(test, idgen_alloc_pin(&a, &value, &pins), 0);
	idgen_alloc_destroy(&a);
	free_percpu(slots);
}

static unsigned long asid_test_read_ttbr1(void)
{
	return read_sysreg(ttbr1_el1) >> USER_ASID_BIT;
}

static void switch_writes_asid_to_ttbr1(struct kunit *test)
{
	struct mm_struct *mm = kunit_idgen_use_mm(test);
	unsigned long asid, active;

	preempt_disable();
	asid = asid_test_read_ttbr1();
	active = atomic64_read(&this_cpu_ptr(&asid_slots)->active);
	preempt_enable();

	KUNIT_EXPECT_NE(test, ASID(mm), 0);
	/* With emulated PAN, the kernel runs with ASID 0. */
	KUNIT_EXPECT_EQ(test, asid, system_uses_ttbr0_pan() ? 0 : ASID(mm));
	KUNIT_EXPECT_EQ(test, active, atomic64_read(&mm->context.id));
	kunit_idgen_unuse_mm(mm);
}

/* The ASID stays reserved without a switch, as with lazy TLB. */
static void running_mm_keeps_asid_over_rollovers(struct kunit *test)
{
	struct mm_struct *mm = kunit_idgen_use_mm(test);
	unsigned long asid, flags;
	int i;

	asid = ASID(mm);
	for (i = 0; i < 3; i++) {
		kunit_idgen_roll_over(test, &asids, 0);
		KUNIT_EXPECT_TRUE(test, test_bit(asid, asids.map));
	}
	/* The mm moves to the new generation and keeps its ASID. */
	local_irq_save(flags);
	check_and_switch_context(mm);
	local_irq_restore(flags);
	KUNIT_EXPECT_EQ(test, atomic64_read(&mm->context.id),
			asids.generation | asid);
	kunit_idgen_unuse_mm(mm);
}

/* The CnP bit of TTBR0_EL1. */
#define ASID_TEST_CNP	BIT(0)

static void cnp_is_set_except_for_asid_0(struct kunit *test)
{
	unsigned long ttbr0, ttbr1, with_0, with_1, flags;
	struct mm_struct *mm = asid_test_new_mm(test);

	if (!system_supports_cnp())
		kunit_skip(test, "needs CnP");

	local_irq_save(flags);
	ttbr0 = read_sysreg(ttbr0_el1);
	ttbr1 = read_sysreg(ttbr1_el1);
	cpu_do_switch_mm(__pa_symbol(reserved_pg_dir), mm);
	with_0 = read_sysreg(ttbr0_el1);
	atomic64_set(&mm->context.id, IDGEN_FIRST_GEN | 1);
	cpu_do_switch_mm(__pa_symbol(reserved_pg_dir), mm);
	with_1 = read_sysreg(ttbr0_el1);
	write_sysreg(ttbr1, ttbr1_el1);
	write_sysreg(ttbr0, ttbr0_el1);
	isb();
	local_irq_restore(flags);

	KUNIT_EXPECT_EQ(test, with_0 & ASID_TEST_CNP, 0);
	KUNIT_EXPECT_EQ(test, with_1 & ASID_TEST_CNP, ASID_TEST_CNP);
}

static unsigned int asid_test_hardenings;

static void asid_test_harden(void)
{
	asid_test_hardenings++;
}

static void switch_hardens_branch_predictor(struct kunit *test)
{
	struct mm_struct *mm;
	bp_hardening_cb_t fn;
	unsigned long flags;

	if (!cpus_have_final_cap(ARM64_SPECTRE_V2))
		kunit_skip(test, "this CPU needs no hardening");

	mm = kunit_idgen_use_mm(test);
	local_irq_save(flags);
	asid_test_hardenings = 0;
	fn = __this_cpu_read(bp_hardening_data.fn);
	__this_cpu_write(bp_hardening_data.fn, asid_test_harden);
	check_and_switch_context(mm);
	__this_cpu_write(bp_hardening_data.fn, fn);
	local_irq_restore(flags);
	kunit_idgen_unuse_mm(mm);
	KUNIT_EXPECT_EQ(test, asid_test_hardenings, 1);
}

static unsigned int asid_test_flushes, asid_test_cpu;
static unsigned long asid_test_ttbr0;

static void asid_test_flush_cpu(struct idgen_alloc *a)
{
	if (smp_processor_id() == asid_test_cpu) {
		asid_test_flushes++;
		asid_test_ttbr0 = read_sysreg(ttbr0_el1);
	}
	asid_flush_cpu(a);
}

static const struct idgen_ops asid_test_ops = {
	.name		= "asid",
	.exclude_ids	= asid_exclude_ids,
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
	asids.ops = &asid_test_ops;
	/* A process that preempted this thread may have flushed already. */
	asid_test_flushes = 0;
	atomic64_or(IDGEN_TAKEN, &this_cpu_ptr(&asid_slots)->active);
	for (i = 0; i < 3; i++)
		check_and_switch_context(mm);
	asids.ops = &asid_ops;
	local_irq_restore(flags);

	kunit_idgen_unuse_mm(mm);
	KUNIT_EXPECT_EQ(test, asid_test_flushes, 1);
	/* With CnP, the old tables must not be walked during a switch. */
	if (system_supports_cnp())
		KUNIT_EXPECT_EQ(test, asid_test_ttbr0,
				phys_to_ttbr(__pa_symbol(reserved_pg_dir)));
}

static void asid_bits_match_hardware(struct kunit *test)
{
	u64 field;

	/* asid_bits is that of the boot CPU. Others may have more bits. */
	set_cpus_allowed_ptr(current, cpumask_of(0));
	field = SYS_FIELD_GET(ID_AA64MMFR0_EL1, ASIDBITS,
			      read_cpuid(ID_AA64MMFR0_EL1));
	KUNIT_EXPECT_EQ(test, asid_bits,
			field == ID_AA64MMFR0_EL1_ASIDBITS_16 ? 16 : 8);
	if (strstr(saved_command_line, "idgen_alloc.bits="))
		KUNIT_EXPECT_LE(test, asids.bits, asid_bits);
	else
		KUNIT_EXPECT_EQ(test, asids.bits, asid_bits);
	/* Does not return on a mismatch. */
	preempt_disable();
	verify_cpu_asid_bits();
	preempt_enable();
}

static struct kunit_case __refdata arm64_asid_cases[] = {
	KUNIT_CASE(early_asids_are_even),
	KUNIT_CASE(kpti_excludes_odd_asids),
	KUNIT_CASE(asids_are_paired_only_with_kpti),
	KUNIT_CASE(pin_limit_leaves_asid_per_cpu),
	KUNIT_CASE(asid_0_is_never_allocated),
	KUNIT_CASE(pin_returns_user_asid),
	KUNIT_CASE(pinned_asid_survives_rollovers),
	KUNIT_CASE(pins_beyond_limit_are_refused),
	KUNIT_CASE(pins_wait_for_update_of_limit),
	KUNIT_CASE(switch_writes_asid_to_ttbr1),
	KUNIT_CASE(running_mm_keeps_asid_over_rollovers),
	KUNIT_CASE(cnp_is_set_except_for_asid_0),
	KUNIT_CASE(switch_hardens_branch_predictor),
	KUNIT_CASE(first_switch_after_rollover_flushes_once),
	KUNIT_CASE(asid_bits_match_hardware),
	{}
};

static struct kunit_suite arm64_asid_suite __refdata = {
	.name = "arm64_asid",
	.test_cases = arm64_asid_cases,
};

/* At boot only: the cases roll over and replace the callbacks in use. */
kunit_test_init_section_suite(arm64_asid_suite);
