/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Helpers that the KUnit suites of the users of idgen_alloc share. A suite may
 * run on an allocator that the kernel uses meanwhile.
 */
#ifndef _KUNIT_IDGEN_ALLOC_H
#define _KUNIT_IDGEN_ALLOC_H

#include <kunit/test.h>

#include <linux/idgen_alloc.h>
#include <linux/kthread.h>
#include <linux/preempt.h>
#include <linux/sched/mm.h>

/**
 * kunit_idgen_roll_over() - Allocate IDs until the next generation starts
 * @test: the test, which fails on a wrong ID or without a rollover
 * @a: an allocator without &idgen_ops.new_id
 * @reserved: an ID that must not be allocated, or 0
 *
 * The IDs are allocated on an imaginary CPU that rollovers do not scan and that
 * has no flush pending.
 *
 * Context: Process context.
 */
static inline void kunit_idgen_roll_over(struct kunit *test,
					 struct idgen_alloc *a,
					 unsigned long reserved)
{
	idgen_value_t generation = READ_ONCE(a->generation);
	unsigned long left = idgen_alloc_nr(a);

	do {
		struct idgen_slot elsewhere = {};
		idgen_atomic_t value = {};
		unsigned long id;

		idgen_atomic(set)(&elsewhere.active, IDGEN_FIRST_GEN);
		preempt_disable();
		idgen_alloc_switch(a, &elsewhere, &value, NULL);
		preempt_enable();
		id = idgen_atomic(read)(&value) & IDGEN_ID_MASK;
		KUNIT_ASSERT_NE(test, id, 0);
		KUNIT_ASSERT_NE(test, id, reserved);
		KUNIT_ASSERT_LT(test, id, idgen_alloc_nr(a));
		KUNIT_ASSERT_NE(test, left--, 0);
	} while (READ_ONCE(a->generation) == generation);
	KUNIT_ASSERT_EQ(test, READ_ONCE(a->generation),
			generation + IDGEN_GEN_STEP);
}

/**
 * kunit_idgen_use_mm() - Run a new mm on this CPU
 * @test: the test, which fails if there is no memory
 *
 * Context: Process context, in a kernel thread without an mm, as KUnit cases
 * are. May sleep.
 * Return: the mm, which runs until there is a switch to another one.
 */
static inline struct mm_struct *kunit_idgen_use_mm(struct kunit *test)
{
	struct mm_struct *mm = mm_alloc();

	KUNIT_ASSERT_NOT_NULL(test, mm);
	kthread_use_mm(mm);
	return mm;
}

/**
 * kunit_idgen_unuse_mm() - End kunit_idgen_use_mm()
 * @mm: the mm, which is freed
 *
 * Context: Process context, in the thread that called kunit_idgen_use_mm(). May
 * sleep.
 */
static inline void kunit_idgen_unuse_mm(struct mm_struct *mm)
{
	kthread_unuse_mm(mm);
	mmput(mm);
}

#endif /* _KUNIT_IDGEN_ALLOC_H */
