// SPDX-License-Identifier: GPL-2.0-only
/*
 * ASIDs, and the switch from one mm to another.
 *
 * lib/idgen_alloc.c hands out the ASIDs. Here is what arm64 adds: how many there
 * are, which of them the kernel needs for itself, and the registers they go to.
 *
 * Takes the place, and has the interface, of a file that was
 * Copyright (C) 2002-2003 Deep Blue Solutions Ltd, 2012 ARM Ltd.
 */

#include <linux/bitfield.h>
#include <linux/bitops.h>
#include <linux/idgen_alloc.h>
#include <linux/sched.h>
#include <linux/mm.h>

#include <asm/cpufeature.h>
#include <asm/mmu_context.h>
#include <asm/smp.h>
#include <asm/tlbflush.h>

/* What the boot CPU has, and so all others must. */
static u32 asid_bits;

static struct idgen_alloc asids;
static DEFINE_PER_CPU(struct idgen_slot, asid_slots);

/* ASID bits of the CPU that this runs on. */
static u32 get_cpu_asid_bits(void)
{
	u64 mmfr0 = read_cpuid(ID_AA64MMFR0_EL1);
	int fld = cpuid_feature_extract_unsigned_field(mmfr0,
					ID_AA64MMFR0_EL1_ASIDBITS_SHIFT);

	if (fld == ID_AA64MMFR0_EL1_ASIDBITS_16)
		return 16;

	if (fld != ID_AA64MMFR0_EL1_ASIDBITS_8)
		pr_warn("CPU%d: Unknown ASID size (%d); assuming 8-bit\n",
			smp_processor_id(), fld);
	return 8;
}

/* A CPU comes up: it must be able to hold every ASID there is. */
void verify_cpu_asid_bits(void)
{
	u32 asid = get_cpu_asid_bits();

	if (asid < asid_bits) {
		pr_crit("CPU%d: smaller ASID size(%u) than boot CPU (%u)\n",
			smp_processor_id(), asid, asid_bits);
		cpu_panic_kernel();
	}
}

/*
 * With KPTI an mm has a pair of ASIDs: the even one while in the kernel, the odd
 * one while in userspace. The even one is handed out and stands for both.
 */
static void asid_mark_pairs(struct idgen_alloc *a, unsigned long *map)
{
	/* Every second bit of each byte, the upper one. */
	memset(map, 0xaa, idgen_alloc_nr(a) / BITS_PER_BYTE);
}

static bool asids_in_pairs(struct idgen_alloc *a)
{
	if (system_capabilities_finalized())
		return arm64_kernel_unmapped_at_el0();

	/*
	 * Too early to know. Assume the worst, unless it is one that all the bits
	 * there are could not cope with: that may still turn out not to be.
	 */
	return IS_ENABLED(CONFIG_UNMAP_KERNEL_AT_EL0) &&
	       (a->bits < asid_bits ||
		idgen_alloc_nr(a) / 2 - 1 > num_possible_cpus());
}

static void asid_mark_never(struct idgen_alloc *a, unsigned long *map)
{
	if (asids_in_pairs(a))
		asid_mark_pairs(a, map);
}

static void asid_flush_cpu(struct idgen_alloc *a)
{
	local_flush_tlb_all();
}

static const struct idgen_ops asid_ops = {
	.name		= "asid",
	.pins		= true,
	.mark_never	= asid_mark_never,
	.flush_cpu	= asid_flush_cpu,
};

void check_and_switch_context(struct mm_struct *mm)
{
	/*
	 * Other CPUs may share this one's TLB. Walk no tables of the old mm
	 * from here until the new ASID is in place: its ASID may be reserved for
	 * this CPU no longer.
	 */
	if (system_supports_cnp())
		cpu_set_reserved_ttbr0();

	idgen_alloc_switch(&asids, this_cpu_ptr(&asid_slots), &mm->context.id,
			   &mm->context.pinned);

	arm64_apply_bp_hardening();

	/* Emulated PAN: TTBR0_EL1 is set when the kernel next accesses userspace. */
	if (!system_uses_ttbr0_pan())
		cpu_switch_mm(mm->pgd, mm);
}

unsigned long arm64_mm_context_get(struct mm_struct *mm)
{
	u64 asid;

	/* Until asids_update_limit(), pairs are a guess, and pins would fix it. */
	if (!system_capabilities_finalized())
		return 0;

	/* Who asks walks userspace's mappings: the odd one of the pair. */
	asid = idgen_alloc_pin(&asids, &mm->context.id, &mm->context.pinned);
	if (asid && arm64_kernel_unmapped_at_el0())
		asid |= 1;

	return asid;
}
EXPORT_SYMBOL_GPL(arm64_mm_context_get);

void arm64_mm_context_put(struct mm_struct *mm)
{
	idgen_alloc_unpin(&asids, &mm->context.id, &mm->context.pinned);
}
EXPORT_SYMBOL_GPL(arm64_mm_context_put);

/* After each write to TTBRx_EL1: Cavium erratum 27456. */
asmlinkage void post_ttbr_update_workaround(void)
{
	if (!IS_ENABLED(CONFIG_CAVIUM_ERRATUM_27456))
		return;

	asm(ALTERNATIVE("nop; nop; nop",
			"ic iallu; dsb nsh; isb",
			ARM64_WORKAROUND_CAVIUM_27456));
}

void cpu_do_switch_mm(phys_addr_t pgd_phys, struct mm_struct *mm)
{
	unsigned long asid = ASID(mm), field = FIELD_PREP(TTBRx_EL1_ASID_MASK, asid);
	unsigned long ttbr0 = phys_to_ttbr(pgd_phys), ttbr1;

	/* TCR_EL1.A1 is set: the ASID that counts is the one in TTBR1_EL1. */
	ttbr1 = (read_sysreg(ttbr1_el1) & ~TTBRx_EL1_ASID_MASK) | field;

	/* Emulated PAN takes the ASID from here upon entry to the kernel. */
	if (IS_ENABLED(CONFIG_ARM64_SW_TTBR0_PAN))
		ttbr0 |= field;

	/* ASID 0 has different tables on different CPUs: not for sharing. */
	if (asid && system_supports_cnp())
		ttbr0 |= TTBRx_EL1_CnP;

	/* Never the new ASID with the old tables, nor the other way round. */
	cpu_set_reserved_ttbr0_nosync();
	write_sysreg(ttbr1, ttbr1_el1);
	write_sysreg(ttbr0, ttbr0_el1);
	isb();
	post_ttbr_update_workaround();
}

static int __init asids_update_limit(void)
{
	int ret = idgen_alloc_update_never(&asids);

	/* There is KPTI, and too few ASIDs for the CPUs to have pairs. */
	if (ret)
		panic("Failed to set up %lu ASIDs: error %d\n", 1UL << asid_bits, ret);

	/* ASID 0, of init_mm, is counted. */
	pr_info("ASID allocator initialised with %lu entries\n",
		asids.usable + 1);
	return 0;
}
arch_initcall(asids_update_limit);

static int __init asids_init(void)
{
	int ret;

	asid_bits = get_cpu_asid_bits();
	ret = idgen_alloc_init(&asids, &asid_ops, asid_bits, &asid_slots);
	if (ret)
		panic("Failed to set up %lu ASIDs: error %d\n", 1UL << asid_bits, ret);
	return 0;
}
early_initcall(asids_init);

#ifdef CONFIG_ARM64_ASID_KUNIT_TEST
#include "context_kunit.c"
#endif
