// SPDX-License-Identifier: GPL-2.0-only
/*
 * ASIDs, and the switch from one mm to another.
 *
 * lib/idgen_alloc.c hands out the ASIDs. Here is what 32-bit ARM adds: the caches
 * that have ASIDs in them besides the TLB, which CPUs an mm's TLB flushes are for,
 * and the registers.
 *
 * A context's value is in mm->context.id. Its lowest byte is the ASID, which is
 * what asm/mmu.h, proc-*.S and tlb-*.S take from it; cpu_switch_mm() puts the
 * lower word into CONTEXTIDR as it is, so that a process is told by generation and ASID
 * there, unless CONFIG_PID_IN_CONTEXTIDR tells it by its PID.
 *
 * Takes the place, and has the interface, of a file that was
 * Copyright (C) 2002-2003 Deep Blue Solutions Ltd, 2012 ARM Ltd.
 */
#include <linux/cacheflush.h>
#include <linux/cpumask.h>
#include <linux/idgen_alloc.h>
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/mmu_context.h>
#include <linux/percpu.h>
#include <linux/sched.h>
#include <linux/smp.h>

#include <asm/cachetype.h>
#include <asm/proc-fns.h>
#include <asm/thread_notify.h>
#include <asm/tlbflush.h>

static struct idgen_alloc asids;
static DEFINE_PER_CPU(struct idgen_slot, asid_slots);

/*
 * What a CPU ran before may have left TLB entries, predicted branches and lines of an
 * ASID-tagged I-cache. All three are this CPU's own.
 */
static void asid_flush_cpu(struct idgen_alloc *a)
{
	if (icache_is_vivt_asid_tagged())
		__flush_icache_all_generic();
	local_flush_bp_all();
	/* Completes the other two as well. */
	local_flush_tlb_all();
}

/*
 * No CPU has entries with the ASID that an mm gets now, and none will before it
 * switches to that mm: those where it ran with another are of no interest.
 */
static void asid_new_id(struct idgen_alloc *a, atomic64_t *value)
{
	struct mm_struct *mm = container_of(value, struct mm_struct, context.id);

	cpumask_clear(mm_cpumask(mm));
	/* Before the value says so; pairs with the one in check_and_switch_context(). */
	smp_wmb();
}

static const struct idgen_ops asid_ops = {
	.name		= "asid",
	.flush_cpu	= asid_flush_cpu,
	.new_id		= asid_new_id,
};

/*
 * ASID and tables are two registers in the classic MMU. Between the writes to them, walk
 * no tables but the kernel's: what is in those is global, and no ASID goes with it.
 * With LPAE they are one register.
 */
static void set_reserved_ttbr0(void)
{
	unsigned long ttb;

	if (IS_ENABLED(CONFIG_ARM_LPAE))
		return;

	asm volatile("mrc	p15, 0, %0, c2, c0, 1	@ TTBR1\n\t"
		     "mcr	p15, 0, %0, c2, c0, 0	@ TTBR0"
		     : "=r" (ttb));
	isb();
}

void check_and_switch_context(struct mm_struct *mm, struct task_struct *tsk)
{
	unsigned int cpu;

	check_vmalloc_seq(mm);
	set_reserved_ttbr0();
	idgen_alloc_switch(&asids, this_cpu_ptr(&asid_slots), &mm->context.id, NULL);

	/*
	 * switch_mm() has set this CPU's bit before. If mm has been given its ASID since
	 * then, here or on another CPU, that is undone. It cannot be again: what a
	 * slot shows keeps its ASID.
	 */
	smp_rmb();
	cpu = smp_processor_id();
	if (unlikely(!cpumask_test_cpu(cpu, mm_cpumask(mm))))
		cpumask_set_cpu(cpu, mm_cpumask(mm));

	cpu_switch_mm(mm->pgd, mm);
}

#ifdef CONFIG_ARM_ERRATA_798181
/*
 * Add to @mask the CPUs but @this_cpu that run @mm, so that they can be made to complete
 * what a TLBI has to wait for. A CPU that switches to @mm from now on finds no entries.
 *
 * The slots tell that, with what is reserved for those that run what a rollover
 * found. They have the whole value in any generation, as @mm does: what is reserved
 * moves on with it, and nobody else ever has the same.
 */
void a15_erratum_get_cpumask(int this_cpu, struct mm_struct *mm, cpumask_t *mask)
{
	unsigned long flags;
	unsigned int cpu;
	u64 value;

	raw_spin_lock_irqsave(&asids.lock, flags);
	value = atomic64_read(&mm->context.id);
	for_each_online_cpu(cpu) {
		struct idgen_slot *slot = per_cpu_ptr(&asid_slots, cpu);

		if (cpu != this_cpu &&
		    value == (atomic64_read(&slot->active) ?: slot->reserved))
			cpumask_set_cpu(cpu, mask);
	}
	raw_spin_unlock_irqrestore(&asids.lock, flags);
}
#endif

#ifdef CONFIG_PID_IN_CONTEXTIDR
static int contextidr_notify(struct notifier_block *nb, unsigned long cmd, void *thread)
{
	unsigned long contextidr;

	if (cmd != THREAD_NOTIFY_SWITCH)
		return NOTIFY_DONE;

	asm volatile("mrc	p15, 0, %0, c13, c0, 1" : "=r" (contextidr));
	contextidr &= ~ASID_MASK;
	contextidr |= task_pid_nr(thread_task(thread)) << ASID_BITS;
	asm volatile("mcr	p15, 0, %0, c13, c0, 1" : : "r" (contextidr));
	isb();

	return NOTIFY_OK;
}

static struct notifier_block contextidr_nb = {
	.notifier_call = contextidr_notify,
};

static int __init contextidr_init(void)
{
	return thread_register_notifier(&contextidr_nb);
}
arch_initcall(contextidr_init);
#endif

/* So early that only kernel threads have run. */
static int __init asids_init(void)
{
	int ret = idgen_alloc_init(&asids, &asid_ops, ASID_BITS, &asid_slots);

	if (ret)
		panic("Failed to set up %u ASIDs: error %d\n", 1U << ASID_BITS, ret);
	return 0;
}
early_initcall(asids_init);

#ifdef CONFIG_ARM_ASID_KUNIT_TEST
#include "context_kunit.c"
#endif
