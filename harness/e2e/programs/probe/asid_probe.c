// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pin ASIDs of processes, which no driver does so far, and audit the ASIDs in the registers of all
 * CPUs.
 *
 * QEMU drops the translations of a CPU when its ASID changes. So with most faults of the allocator,
 * no process reads a wrong word, but the registers are wrong. An audit stops all CPUs and reads the
 * mm of each (an idle CPU keeps the last one), and the ASID and the tables in its registers. It
 * checks, without knowing how the allocator works:
 *
 *   UniqueActive	two CPUs with different mms have different ASIDs
 *   SameActive		a CPU has the current ASID of its mm
 *   NeverReservedID	no mm has ASID 0, nor, on arm64, an odd one under KPTI
 *   PinStays		a pinned mm has the ASID that the pin returned, and no other mm has it
 *   (tables)		the tables belong to the mm with that ASID
 *
 * Only arm64 has pins.
 */
#define pr_fmt(fmt) "asid_probe: " fmt

#include <linux/fs.h>
#include <linux/list.h>
#include <linux/mmu_context.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/pgtable.h>
#include <linux/proc_fs.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/stop_machine.h>

#include <asm/mmu.h>

#include "asid_probe.h"

/* Read the registers of this CPU: the ASID, and whether the tables belong to @mm. */
#if defined(CONFIG_ARM64)
#include <asm/sysreg.h>

static unsigned int cpu_asid(void)
{
	return read_sysreg(ttbr1_el1) >> USER_ASID_BIT;
}

static bool cpu_has_tables(const struct mm_struct *mm)
{
	return (read_sysreg(ttbr0_el1) & ~(u64)(TTBRx_EL1_ASID_MASK | TTBRx_EL1_CnP)) ==
	       phys_to_ttbr(virt_to_phys(mm->pgd));
}

static bool never_handed_out(unsigned int asid)
{
	return !asid || (arm64_kernel_unmapped_at_el0() && (asid & 1));
}
#elif defined(CONFIG_ARM)
#ifdef CONFIG_ARM_LPAE
static unsigned int cpu_asid(void)
{
	return cpu_get_ttbr(0) >> 48 & 0xff;
}

static bool cpu_has_tables(const struct mm_struct *mm)
{
	return (cpu_get_ttbr(0) & GENMASK_ULL(39, 5)) == virt_to_phys(mm->pgd);
}
#else
static unsigned int cpu_asid(void)
{
	unsigned int contextidr;

	asm volatile("mrc p15, 0, %0, c13, c0, 1" : "=r" (contextidr));
	return contextidr & 0xff;
}

static bool cpu_has_tables(const struct mm_struct *mm)
{
	unsigned int ttbr0;

	/* The first-level table has 16K. The bits below are attributes. */
	asm volatile("mrc p15, 0, %0, c2, c0, 0" : "=r" (ttbr0));
	return (ttbr0 & ~(SZ_16K - 1)) == virt_to_phys(mm->pgd);
}
#endif

static bool never_handed_out(unsigned int asid)
{
	return !asid;
}
#elif defined(CONFIG_RISCV)
#include <asm/csr.h>

#define ASID(mm) cntx2asid(atomic_long_read(&(mm)->context.id))

static unsigned int cpu_asid(void)
{
	return csr_read(CSR_SATP) >> SATP_ASID_SHIFT & SATP_ASID_MASK;
}

static bool cpu_has_tables(const struct mm_struct *mm)
{
	return (csr_read(CSR_SATP) & SATP_PPN) == virt_to_pfn(mm->pgd);
}

static bool never_handed_out(unsigned int asid)
{
	return !asid;
}
#endif

/* An open file, and the mm that it pins, or NULL. */
struct pin {
	struct list_head list;
	struct mm_struct *mm;
	unsigned int asid;
};

/* The state of a CPU. Without an mm, it has no user tables. */
struct seen {
	const struct mm_struct *mm;
	unsigned int mm_asid;
	unsigned int asid;
	bool tables;
};

static DEFINE_MUTEX(probe_lock);
static LIST_HEAD(pins);
static DEFINE_PER_CPU(struct seen, seen);

/* init_mm is not exported. Its code is at kernel addresses. */
static bool is_init_mm(const struct mm_struct *mm)
{
	return mm->start_code >= TASK_SIZE;
}

/* Runs on all CPUs at once, with interrupts off. */
static int look(void *unused)
{
	struct mm_struct *mm = current->active_mm;
	struct seen *s = this_cpu_ptr(&seen);

	s->mm = is_init_mm(mm) ? NULL : mm;
	s->mm_asid = ASID(mm);
	s->asid = cpu_asid();
	s->tables = cpu_has_tables(mm);
	return 0;
}

#define wrong(fmt, ...) ({ pr_err("wrong: " fmt, ##__VA_ARGS__); -EILSEQ; })

static int judge_pins(int cpu, const struct seen *s)
{
	const struct pin *pin;
	int ret = 0;

	list_for_each_entry(pin, &pins, list) {
		bool same_mm = pin->mm == s->mm, same_asid = pin->asid == s->asid;

		if (pin->mm && same_mm != same_asid)
			ret = wrong("PinStays: CPU%d has ASID %u for mm %p, %u is pinned for mm %p\n",
				    cpu, s->asid, s->mm, pin->asid, pin->mm);
	}
	return ret;
}

static int judge(int cpu, const struct seen *s)
{
	const struct seen *other;
	int at = cpu, ret = 0;

	if (s->asid != s->mm_asid)
		ret = wrong("SameActive: CPU%d has ASID %u for mm %p, which has %u\n",
			    cpu, s->asid, s->mm, s->mm_asid);
	if (never_handed_out(s->asid))
		ret = wrong("NeverReservedID: CPU%d has ASID %u for mm %p\n", cpu, s->asid, s->mm);
	if (!s->tables)
		ret = wrong("tables: CPU%d has ASID %u for mm %p, but tables of another\n",
			    cpu, s->asid, s->mm);
	while ((at = cpumask_next(at, cpu_possible_mask)) < nr_cpu_ids) {
		other = per_cpu_ptr(&seen, at);
		if (other->mm && other->mm != s->mm && other->asid == s->asid)
			ret = wrong("UniqueActive: CPU%d and CPU%d have ASID %u for mms %p and %p\n",
				    cpu, at, s->asid, s->mm, other->mm);
	}
	return judge_pins(cpu, s) ?: ret;
}

static int audit(void)
{
	const struct seen *s;
	int cpu, found = 0, ret;

	/* Each CPU that is online when the machine stops fills in its own entry. */
	for_each_possible_cpu(cpu)
		per_cpu_ptr(&seen, cpu)->mm = NULL;
	ret = stop_machine(look, NULL, cpu_online_mask);
	for_each_possible_cpu(cpu) {
		s = per_cpu_ptr(&seen, cpu);
		if (s->mm) {
			found++;
			ret = judge(cpu, s) ?: ret;
		}
	}
	return ret ?: found;
}

#ifdef CONFIG_ARM64
static int pin_current(struct pin *pin)
{
	unsigned long asid;

	if (pin->mm)
		return -EBUSY;
	asid = arm64_mm_context_get(current->mm);
	/* 0 means that the pin is refused, so a pinned mm must not have it. */
	if (!asid)
		return refcount_read(&current->mm->context.pinned) ? -EILSEQ : -ENOSPC;

	mmgrab(current->mm);
	pin->mm = current->mm;
	/* With KPTI it is the user's of the pair. In the kernel, TTBR1_EL1 has the kernel's. */
	pin->asid = arm64_kernel_unmapped_at_el0() ? asid & ~1UL : asid;
	return pin->asid;
}

static void unpin(struct pin *pin)
{
	if (!pin->mm)
		return;
	arm64_mm_context_put(pin->mm);
	mmdrop(pin->mm);
	pin->mm = NULL;
}
#else
static int pin_current(struct pin *pin)
{
	return -EOPNOTSUPP;
}

static void unpin(struct pin *pin)
{
}
#endif

static long probe_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct pin *pin = file->private_data;
	long ret = 0;

	/* Called often, so it accesses no shared state. */
	if (cmd == ASID_PROBE_READ)
		return cpu_asid();

	mutex_lock(&probe_lock);
	switch (cmd) {
	case ASID_PROBE_PIN:
		ret = pin_current(pin);
		break;
	case ASID_PROBE_UNPIN:
		unpin(pin);
		break;
	case ASID_PROBE_AUDIT:
		ret = audit();
		break;
	default:
		ret = -ENOTTY;
	}
	mutex_unlock(&probe_lock);
	return ret;
}

static int probe_open(struct inode *inode, struct file *file)
{
	struct pin *pin = kzalloc(sizeof(*pin), GFP_KERNEL);

	if (!pin)
		return -ENOMEM;
	file->private_data = pin;
	mutex_lock(&probe_lock);
	list_add(&pin->list, &pins);
	mutex_unlock(&probe_lock);
	return 0;
}

static int probe_release(struct inode *inode, struct file *file)
{
	struct pin *pin = file->private_data;

	mutex_lock(&probe_lock);
	unpin(pin);
	list_del(&pin->list);
	mutex_unlock(&probe_lock);
	kfree(pin);
	return 0;
}

static const struct proc_ops probe_ops = {
	.proc_open	= probe_open,
	.proc_release	= probe_release,
	.proc_ioctl	= probe_ioctl,
};

static int __init probe_init(void)
{
	return proc_create("asid_probe", 0600, NULL, &probe_ops) ? 0 : -ENOMEM;
}
module_init(probe_init);

static void __exit probe_exit(void)
{
	remove_proc_entry("asid_probe", NULL);
}
module_exit(probe_exit);

MODULE_DESCRIPTION("Pins and audits ASIDs, for tests");
MODULE_LICENSE("GPL");
