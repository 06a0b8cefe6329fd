// SPDX-License-Identifier: GPL-2.0-only
/*
 * The switch from one mm to another, and ASIDs where there are enough of them.
 *
 * lib/idgen_alloc.c hands out the ASIDs. Here is what RISC-V adds: how many satp
 * holds, the flush of one CPU, and the switch without ASIDs for harts that have
 * none or few.
 *
 * Takes the place, and has the interface, of a file that was
 * Copyright (C) 2012 Regents of the University of California, 2017 SiFive,
 * 2021 Western Digital Corporation or its affiliates.
 */

#include <linux/bitops.h>
#include <linux/cpumask.h>
#include <linux/idgen_alloc.h>
#include <linux/jump_label.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/sched.h>

#include <asm/cacheflush.h>
#include <asm/csr.h>
#include <asm/mmu_context.h>
#include <asm/switch_to.h>
#include <asm/tlbflush.h>

#ifdef CONFIG_MMU

/* Whether mms have ASIDs; if not, all have ASID 0, as the kernel has during boot. */
DEFINE_STATIC_KEY_FALSE(use_asid_allocator);

static struct idgen_alloc asids;
static DEFINE_PER_CPU(struct idgen_slot, asid_slots);

/* cntx2asid() is how all others read what the allocator wrote. */
static_assert(IDGEN_ID_MASK == SATP_ASID_MASK);

/*
 * This comes before satp is written, so the mm that is being left may be walked
 * once more after it. That does no harm, because no hart sees entries that another
 * made, and because each hart flushes for itself: the ASID in satp was reserved by
 * the rollover that this flush is for, so in this generation no other mm has it;
 * and in the next one this CPU flushes again before it runs any ASID, which is
 * after satp was written.
 */
static void asid_flush_cpu(struct idgen_alloc *a)
{
	local_flush_tlb_all();
}

static const struct idgen_ops asid_ops = {
	.name		= "asid",
	.flush_cpu	= asid_flush_cpu,
};

static __always_inline void write_satp(struct mm_struct *mm, unsigned long asid)
{
	csr_write(CSR_SATP, satp_mode | asid << SATP_ASID_SHIFT |
			    virt_to_pfn(mm->pgd));
}

static void set_mm_asid(struct mm_struct *mm)
{
	idgen_alloc_switch(&asids, this_cpu_ptr(&asid_slots), &mm->context.id, NULL);
	write_satp(mm, cntx2asid(atomic_long_read(&mm->context.id)));
}

/* Whatever the TLB has under ASID 0 is of the mm before. */
static void set_mm_noasid(struct mm_struct *mm)
{
	write_satp(mm, 0);
	local_flush_tlb_all_asid(0);
}

/*
 * mm_cpumask() tells who has to be asked to flush when @next's tables change: each
 * CPU that may have entries from them. It is set before there can be any. With
 * ASIDs they stay behind when the CPU leaves, and so does the bit.
 */
static void set_mm(struct mm_struct *prev, struct mm_struct *next, unsigned int cpu)
{
	cpumask_set_cpu(cpu, mm_cpumask(next));

	if (static_branch_unlikely(&use_asid_allocator)) {
		set_mm_asid(next);
	} else {
		cpumask_clear_cpu(cpu, mm_cpumask(prev));
		set_mm_noasid(next);
	}
}

/* ASID bits that satp keeps. */
static unsigned int __init probe_asid_bits(void)
{
	unsigned long satp = csr_read(CSR_SATP), ones;

	csr_write(CSR_SATP, satp | SATP_ASID_MASK << SATP_ASID_SHIFT);
	ones = csr_read(CSR_SATP) >> SATP_ASID_SHIFT & SATP_ASID_MASK;
	csr_write(CSR_SATP, satp);

	/* Meanwhile, the kernel ran with an ASID that an mm will have. */
	local_flush_tlb_all();

	return fls_long(ones);
}

/* With fewer for each CPU there would be little but rollovers. */
static bool enough_asids(unsigned int bits)
{
	return BIT(bits) > 2 * num_possible_cpus();
}

static int __init asids_init(void)
{
	unsigned int bits = probe_asid_bits();
	int ret = -ENOSPC;

	if (enough_asids(bits))
		ret = idgen_alloc_init(&asids, &asid_ops, bits, &asid_slots);

	if (ret == -ENOMEM)
		panic("Failed to set up %lu ASIDs: error %d\n", BIT(bits), ret);
	if (ret) {
		pr_info("ASID allocator disabled (%u bits)\n", bits);
		return 0;
	}

	static_branch_enable(&use_asid_allocator);
	pr_info("ASID allocator using %u bits (%lu entries)\n", asids.bits,
		idgen_alloc_nr(&asids));
	return 0;
}
early_initcall(asids_init);

#else

static void set_mm(struct mm_struct *prev, struct mm_struct *next, unsigned int cpu)
{
	/* There is only one address space. */
}

#endif

/*
 * A CPU that writes code has all others that run the mm flush their I-cache. One that
 * does not run it now is left alone: it finds its bit in icache_stale_mask when it is
 * about to, and flushes here.
 */
static void flush_icache_deferred(struct mm_struct *mm, unsigned int cpu,
				  struct task_struct *task)
{
#ifdef CONFIG_SMP
	if (!cpumask_test_and_clear_cpu(cpu, &mm->context.icache_stale_mask))
		return;

	/* The bit is set: so is the code written. Pairs with flush_icache_mm(). */
	smp_mb();

	/* It may be that __switch_to() is going to do it in any case. */
	if (!task || !switch_to_should_flush_icache(task))
		local_flush_icache_all();
#endif
}

void switch_mm(struct mm_struct *prev, struct mm_struct *next,
	       struct task_struct *task)
{
	unsigned int cpu;

	if (unlikely(prev == next))
		return;

	membarrier_arch_switch_mm(prev, next, task);
	cpu = smp_processor_id();
	set_mm(prev, next, cpu);
	flush_icache_deferred(next, cpu, task);
}

#ifdef CONFIG_RISCV_ASID_KUNIT_TEST
#include "context_kunit.c"
#endif
