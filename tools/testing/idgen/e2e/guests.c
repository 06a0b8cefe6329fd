// SPDX-License-Identifier: GPL-2.0-only
/*
 * More VMs than there are VMIDs, whose memory says whose it is.
 *
 * All guests have the same virtual addresses, with their own stage-1 tables: there a
 * guest's pages lie in an order of its own, and in stage 2 its memory is its own.
 * Every word of it names the VM, its incarnation, and the page. A guest sweeps over
 * its pages: it reads a word of each, which must be the one that it can work out,
 * and its own word of the last sweep, puts that of this sweep there, and runs
 * an instruction or two that only its own code has. What is not as it must be is
 * stored to an address without memory, as is, at the end of the sweep, a digest of
 * all that was read; KVM hands us these stores. So a translation that is stale,
 * another VM's or of an earlier incarnation of this one, of stage 1 or 2, for reads,
 * writes or instructions, shows.
 *
 * Threads take any vCPU that is free, let it make a few sweeps, and go on to
 * another: on whatever CPU they are, which they change. Now and then they sleep,
 * or the guest waits for an interrupt, or a VM is destroyed, once its memory has
 * been seen to be right, and another made in its place.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include "e2e.h"

#ifndef KVM_VM_TYPE_ARM_PROTECTED
#define KVM_VM_TYPE_ARM_PROTECTED	(1UL << 31)
#endif

#define PAGE		4096UL
#define DATA_PAGES	64
#define WORDS		256	/* of a page, that are there to be read */
#define MAX_VCPUS	8
#define MAX_SHOWN	20	/* wrong results that are printed */
/*
 * A vCPU is stuck if all have been looked at so often while KVM had it; some two
 * milliseconds each time, and more on a machine that is slow, which is no fault.
 */
#define STUCK_LOOKS	20000

/*
 * Virtual addresses, one level-3 table's. They are the ones that the host's kernel is
 * at, if it was not moved: a VMID that were the host's would not go unnoticed. Without
 * the upper bits, as -l has them, they are a process's, of which tlb.c takes note.
 */
#define GUEST_VA	(opt.va)
#define HIGH_VA		0xffff800080000000UL
#define LOW_VA		(HIGH_VA << 16 >> 16)
#define DATA_VA		(GUEST_VA + DATA_INDEX * PAGE)
#define MMIO_VA		(GUEST_VA + MMIO_INDEX * PAGE)

/* Pages of a VM's memory, in this order also in its level-3 table, but for the data. */
enum {
	CODE_INDEX, NAME_INDEX, LEVEL0, LEVEL1, LEVEL2, LEVEL3, DATA_INDEX,
	MEM_PAGES = DATA_INDEX + DATA_PAGES,
	MMIO_INDEX = 511,
};

#define MEM_IPA		0x80000000UL
#define MMIO_IPA	0x0a000000UL

/* What a guest stores, and where on the page without memory. */
enum report { SWEPT, BAD_PAGE, BAD_WORD, BAD_OWN_PAGE, BAD_OWN, BAD_NAME, ESR, ELR, FAR };

/*
 * The guest; its registers are set by us when it starts, see start_vcpu(): x0 data,
 * x1 number of pages, x2 where to store reports, x3 name, x4 and x5 the order of pages,
 * x6 the code that is its own, x7 offset of this vCPU's word in each page, x8 sweeps.
 */
asm(
"	.pushsection .rodata\n"
"	.balign	4096\n"
"	.globl	guest_code, sweep, guest_code_end\n"
"guest_code:\n"
"	.rept	16\n"			/* exceptions: there must be none */
"	.balign	128\n"
"	mrs	x17, esr_el1\n"
"	str	x17, [x2, #6 * 8]\n"
"	mrs	x17, elr_el1\n"
"	str	x17, [x2, #7 * 8]\n"
"	mrs	x17, far_el1\n"
"	str	x17, [x2, #8 * 8]\n"
"	b	.\n"
"	.endr\n"
"	.balign	2048\n"
"sweep:\n"
"	mov	x10, #0\n"		/* page */
"	mov	x11, #0\n"		/* digest */
"	and	x12, x8, #255\n"	/* word to be read */
"	sub	x13, x1, #1\n"
"0:	madd	x14, x10, x4, x5\n"	/* the page that is there */
"	and	x14, x14, x13\n"
"	orr	x15, x3, x14, lsl #16\n"
"	orr	x15, x15, x12\n"
"	add	x16, x0, x10, lsl #12\n"
"	ldr	x17, [x16, x12, lsl #3]\n"
"	cmp	x17, x15\n"
"	b.eq	1f\n"
"	str	x16, [x2, #1 * 8]\n"
"	str	x17, [x2, #2 * 8]\n"
"1:	ror	x11, x11, #7\n"
"	eor	x11, x11, x17\n"
"	ldr	x17, [x16, x7]\n"	/* what this vCPU wrote */
"	cmp	x17, x8\n"
"	b.eq	2f\n"
"	str	x16, [x2, #3 * 8]\n"
"	str	x17, [x2, #4 * 8]\n"
"2:	add	x17, x8, #1\n"
"	str	x17, [x16, x7]\n"
"	add	x10, x10, #1\n"
"	cmp	x10, x1\n"
"	b.lo	0b\n"
"	blr	x6\n"			/* its own code puts its name into x17 */
"	cmp	x17, x3\n"
"	b.eq	3f\n"
"	str	x17, [x2, #5 * 8]\n"
"3:	add	x8, x8, #1\n"
"	str	x11, [x2]\n"
"	and	x17, x8, #7\n"
"	cbnz	x17, sweep\n"
"	wfi\n"
"	b	sweep\n"
"guest_code_end:\n"
"	.popsection\n"
);
extern const char guest_code[], sweep[], guest_code_end[];

struct vcpu {
	int fd;
	struct kvm_run *run;
	uint64_t swept;
	uint64_t bad_page;
	atomic_bool busy;	/* a thread has it */
	atomic_bool waits;	/* its guest will wait for an interrupt */
	atomic_long since;	/* the look before it was last given to KVM, 0: it is not */
};

struct vm {
	pthread_mutex_t lock;	/* it stays what it is */
	unsigned int number;
	unsigned int incarnation;
	unsigned int nr_vcpus;
	bool broken;
	int fd;
	char *mem;
	struct vcpu vcpus[MAX_VCPUS];
};

static struct {
	unsigned int vms, min_vcpus, max_vcpus, threads;
	long rollovers, turns;
	unsigned long type;
	uint64_t seed, va;
} opt = { .va = HIGH_VA, .vms = 40, .min_vcpus = 1, .max_vcpus = 2, .threads = 8, .turns = 1000, .seed = 1 };

static int kvm;
static int run_size;
static struct vm *vms;
static atomic_long turns, checks, wrongs, created, looks = 1;
static atomic_bool stop;

#define wrong(fmt, ...) do {						\
	if (atomic_fetch_add(&wrongs, 1) < MAX_SHOWN)			\
		say("guests: wrong: CPU%d " fmt "\n", sched_getcpu(), ##__VA_ARGS__); \
} while (0)

#define die(fmt, ...) do {						\
	say("guests: wrong: " fmt ": %s\n", ##__VA_ARGS__, strerror(errno)); \
	exit(1);							\
} while (0)

/* A VM's place is in the low 16 bits of the number: 48 to 63; incarnation: 32 to 47. */
static uint64_t name_of(const struct vm *vm)
{
	return (uint64_t)vm->number << 48 | (uint64_t)(vm->incarnation & 0xffff) << 32;
}

/* The order of pages: page i of the virtual ones is this one of the data. */
static uint64_t order_mul(const struct vm *vm)
{
	return 2 * (vm->number * 7UL + vm->incarnation) + 1;
}

static uint64_t order_add(const struct vm *vm)
{
	return vm->number * 13UL + vm->incarnation;
}

static uint64_t page_at(const struct vm *vm, uint64_t i)
{
	return (i * order_mul(vm) + order_add(vm)) % DATA_PAGES;
}

static uint64_t word_of(const struct vm *vm, uint64_t page, uint64_t word)
{
	return name_of(vm) | page << 16 | word;
}

/* Where in each page a vCPU has a word of its own. */
static uint64_t own_offset(unsigned int vcpu)
{
	return PAGE - 8 * (1 + vcpu);
}

static uint64_t *page(const struct vm *vm, unsigned int index)
{
	return (uint64_t *)(vm->mem + index * PAGE);
}

static void fill(struct vm *vm)
{
	static const uint64_t table = 3, leaf = 3 | 3 << 8 | 1 << 10;
	uint64_t name = name_of(vm), i, w;
	uint32_t *code = (uint32_t *)page(vm, NAME_INDEX);

	memcpy(page(vm, CODE_INDEX), guest_code, guest_code_end - guest_code);

	/* movz, movk, movk x17; ret */
	*code++ = 0xd2e00011 | (name >> 48) << 5;
	*code++ = 0xf2c00011 | (name >> 32 & 0xffff) << 5;
	*code++ = 0xf2a00011;
	*code++ = 0xd65f03c0;

	for (i = 0; i < 3; i++)
		page(vm, LEVEL0 + i)[GUEST_VA >> (39 - 9 * i) & 511] =
			(MEM_IPA + (LEVEL1 + i) * PAGE) | table;
	page(vm, LEVEL3)[CODE_INDEX] = (MEM_IPA + CODE_INDEX * PAGE) | leaf;
	page(vm, LEVEL3)[NAME_INDEX] = (MEM_IPA + NAME_INDEX * PAGE) | leaf;
	/* Global ones and, with nG, those of an ASID, which is the same everywhere. */
	for (i = 0; i < DATA_PAGES; i++)
		page(vm, LEVEL3)[DATA_INDEX + i] = leaf | (i & 1) << 11 | 3UL << 53 |
			(MEM_IPA + (DATA_INDEX + page_at(vm, i)) * PAGE);
	/* Device memory by MAIR_EL1, see start_vcpu(). */
	page(vm, LEVEL3)[MMIO_INDEX] = MMIO_IPA | leaf | 1 << 2 | 3UL << 53;

	for (i = 0; i < DATA_PAGES; i++)
		for (w = 0; w < WORDS; w++)
			page(vm, DATA_INDEX + i)[w] = word_of(vm, i, w);
}

static void set_reg(struct vcpu *vcpu, uint64_t id, uint64_t value)
{
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)&value };

	if (ioctl(vcpu->fd, KVM_SET_ONE_REG, &reg))
		die("KVM_SET_ONE_REG %#lx", id);
}

#define CORE_REG(reg) (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | \
		       offsetof(struct kvm_regs, reg) / sizeof(uint32_t))
#define SYS_REG(op0, op1, crn, crm, op2) ARM64_SYS_REG(op0, op1, crn, crm, op2)

static void start_vcpu(struct vm *vm, unsigned int nr)
{
	struct vcpu *vcpu = &vm->vcpus[nr];
	struct kvm_vcpu_init init;
	const uint64_t x[] = {
		DATA_VA, DATA_PAGES, MMIO_VA, name_of(vm), order_mul(vm), order_add(vm),
		GUEST_VA + NAME_INDEX * PAGE, own_offset(nr), 0,
	};

	vcpu->fd = ioctl(vm->fd, KVM_CREATE_VCPU, nr);
	if (vcpu->fd < 0)
		die("KVM_CREATE_VCPU");
	if (ioctl(vm->fd, KVM_ARM_PREFERRED_TARGET, &init))
		die("KVM_ARM_PREFERRED_TARGET");
	if (ioctl(vcpu->fd, KVM_ARM_VCPU_INIT, &init))
		die("KVM_ARM_VCPU_INIT");
	vcpu->run = mmap(NULL, run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED)
		die("mmap of kvm_run");
	vcpu->swept = 0;
	vcpu->waits = false;

	for (unsigned int i = 0; i < sizeof(x) / sizeof(*x); i++)
		set_reg(vcpu, CORE_REG(regs.regs[0]) + 2 * i, x[i]);
	set_reg(vcpu, CORE_REG(regs.pc), GUEST_VA + (sweep - guest_code));
	/* EL1h, no interrupts */
	set_reg(vcpu, CORE_REG(regs.pstate), 0x3c5);
	/* VBAR, MAIR; TTBR0 and TTBR1 the same, with ASID 1 */
	set_reg(vcpu, SYS_REG(3, 0, 12, 0, 0), GUEST_VA);
	set_reg(vcpu, SYS_REG(3, 0, 10, 2, 0), 0x00ff);
	set_reg(vcpu, SYS_REG(3, 0, 2, 0, 0), (MEM_IPA + LEVEL0 * PAGE) | 1UL << 48);
	set_reg(vcpu, SYS_REG(3, 0, 2, 0, 1), (MEM_IPA + LEVEL0 * PAGE) | 1UL << 48);
	/* TCR: 48 bits of 4K pages, cached and shared, both ways; 40 bits physical */
	set_reg(vcpu, SYS_REG(3, 0, 2, 0, 2), 2UL << 32 | 2UL << 30 | 3UL << 28 |
		1UL << 26 | 1UL << 24 | 16UL << 16 | 3UL << 12 | 1UL << 10 | 1UL << 8 | 16);
	/* SCTLR: MMU and caches on */
	set_reg(vcpu, SYS_REG(3, 0, 1, 0, 0), 0x30d00800 | 1 | 1 << 2 | 1 << 12);
}

static void create(struct vm *vm)
{
	struct kvm_userspace_memory_region region = {
		.guest_phys_addr = MEM_IPA,
		.memory_size = MEM_PAGES * PAGE,
	};

	vm->fd = ioctl(kvm, KVM_CREATE_VM, opt.type);
	if (vm->fd < 0)
		die("KVM_CREATE_VM");
	vm->mem = mmap(NULL, MEM_PAGES * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (vm->mem == MAP_FAILED)
		die("mmap of a VM's memory");
	fill(vm);
	region.userspace_addr = (uintptr_t)vm->mem;
	if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region))
		die("KVM_SET_USER_MEMORY_REGION");
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		start_vcpu(vm, i);
	vm->broken = false;
	atomic_fetch_add(&created, 1);
}

/* Nothing has come to a VM's memory but what its own guest wrote. */
static void check_memory(const struct vm *vm)
{
	uint64_t i, w;

	/* What is protected cannot be read from outside. */
	if (vm->broken || opt.type)
		return;
	for (i = 0; i < DATA_PAGES; i++) {
		const uint64_t *data = page(vm, DATA_INDEX + i);

		for (w = 0; w < WORDS; w++)
			if (data[w] != word_of(vm, i, w))
				wrong("VM %u.%u page %lu word %lu is %#lx in its memory",
				      vm->number, vm->incarnation, i, w, data[w]);
		for (w = 0; w < vm->nr_vcpus; w++)
			if (data[own_offset(w) / 8] != vm->vcpus[w].swept)
				wrong("VM %u.%u page %lu: vCPU %lu made %lu sweeps, memory says %lu",
				      vm->number, vm->incarnation, i, w,
				      vm->vcpus[w].swept, data[own_offset(w) / 8]);
	}
	atomic_fetch_add(&checks, DATA_PAGES * (WORDS + vm->nr_vcpus));
}

static void destroy(struct vm *vm)
{
	check_memory(vm);
	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		munmap(vm->vcpus[i].run, run_size);
		close(vm->vcpus[i].fd);
	}
	close(vm->fd);
	munmap(vm->mem, MEM_PAGES * PAGE);
}

/* With the vCPU's thread the only one to call: it decides what the line is before. */
static void set_irq(struct vm *vm, unsigned int vcpu, int level)
{
	struct kvm_irq_level irq = {
		.irq = KVM_ARM_IRQ_TYPE_CPU << KVM_ARM_IRQ_TYPE_SHIFT |
		       vcpu << KVM_ARM_IRQ_VCPU_SHIFT | KVM_ARM_IRQ_CPU_IRQ,
		.level = level,
	};

	if (ioctl(vm->fd, KVM_IRQ_LINE, &irq))
		die("KVM_IRQ_LINE");
}

static uint64_t digest(const struct vm *vm, uint64_t sweep)
{
	uint64_t d = 0, i;

	for (i = 0; i < DATA_PAGES; i++)
		d = (d >> 7 | d << 57) ^ word_of(vm, page_at(vm, i), sweep % WORDS);
	return d;
}

/* One store of the guest's. Returns whether it ended a sweep. */
static bool take_report(struct vm *vm, unsigned int nr)
{
	struct vcpu *vcpu = &vm->vcpus[nr];
	const struct kvm_run *run = vcpu->run;
	uint64_t value, offset = run->mmio.phys_addr - MMIO_IPA;

	memcpy(&value, run->mmio.data, sizeof(value));
	if (!run->mmio.is_write || run->mmio.len != 8 || offset >= PAGE) {
		wrong("VM %u.%u vCPU %u accessed %#llx", vm->number, vm->incarnation, nr,
		      run->mmio.phys_addr);
		vm->broken = true;
		return true;
	}
	switch ((enum report)(offset / 8)) {
	case SWEPT:
		if (value != digest(vm, vcpu->swept))
			wrong("VM %u.%u vCPU %u sweep %lu: what it read has digest %#lx",
			      vm->number, vm->incarnation, nr, vcpu->swept, value);
		vcpu->swept++;
		/* A word each, its own word, its own code; the digest. */
		atomic_fetch_add(&checks, 2 * DATA_PAGES + 2);
		return true;
	case BAD_PAGE:
	case BAD_OWN_PAGE:
		vcpu->bad_page = (value - DATA_VA) / PAGE;
		break;
	case BAD_WORD:
		wrong("VM %u.%u vCPU %u sweep %lu: at page %lu, which is its %lu, read %#lx (VM %lu.%lu page %lu)",
		      vm->number, vm->incarnation, nr, vcpu->swept, vcpu->bad_page,
		      page_at(vm, vcpu->bad_page), value, value >> 48,
		      value >> 32 & 0xffff, value >> 16 & 0xffff);
		break;
	case BAD_OWN:
		wrong("VM %u.%u vCPU %u sweep %lu: at page %lu its own word is %#lx",
		      vm->number, vm->incarnation, nr, vcpu->swept, vcpu->bad_page, value);
		break;
	case BAD_NAME:
		wrong("VM %u.%u vCPU %u sweep %lu: ran the code of VM %lu.%lu",
		      vm->number, vm->incarnation, nr, vcpu->swept, value >> 48,
		      value >> 32 & 0xffff);
		break;
	default:
		wrong("VM %u.%u vCPU %u sweep %lu: exception, %s %#lx", vm->number,
		      vm->incarnation, nr, vcpu->swept,
		      offset / 8 == ESR ? "ESR" : offset / 8 == ELR ? "ELR" : "FAR", value);
		vm->broken = true;
		return offset / 8 == FAR;
	}
	return false;
}

static void run_vcpu(struct vm *vm, unsigned int nr, unsigned int sweeps)
{
	struct vcpu *vcpu = &vm->vcpus[nr];

	while (sweeps && !vm->broken) {
		/* Before it waits, its line goes down; rouse() raises it. */
		if (vcpu->swept % 8 == 0 && vcpu->swept && !vcpu->waits) {
			set_irq(vm, nr, 0);
			vcpu->waits = true;
		}
		atomic_store(&vcpu->since, looks);
		if (ioctl(vcpu->fd, KVM_RUN, 0) && errno != EINTR)
			die("KVM_RUN of VM %u.%u vCPU %u", vm->number, vm->incarnation, nr);
		atomic_store(&vcpu->since, 0);
		if (vcpu->run->exit_reason == KVM_EXIT_MMIO) {
			sweeps -= take_report(vm, nr);
		} else if (vcpu->run->exit_reason != KVM_EXIT_INTR) {
			wrong("VM %u.%u vCPU %u: exit reason %u", vm->number,
			      vm->incarnation, nr, vcpu->run->exit_reason);
			vm->broken = true;
		}
	}
}

/* Take all vCPUs of a VM, or none. */
static bool take_all(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		if (!atomic_exchange(&vm->vcpus[i].busy, true))
			continue;
		while (i--)
			atomic_store(&vm->vcpus[i].busy, false);
		return false;
	}
	return true;
}

static void replace(struct vm *vm)
{
	if (!take_all(vm))
		return;
	pthread_mutex_lock(&vm->lock);
	destroy(vm);
	vm->incarnation++;
	create(vm);
	pthread_mutex_unlock(&vm->lock);
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		atomic_store(&vm->vcpus[i].busy, false);
}

static void migrate(uint64_t *seed)
{
	cpu_set_t set;
	int cpus = sysconf(_SC_NPROCESSORS_CONF), cpu = random_of(seed) % (2 * cpus);

	CPU_ZERO(&set);
	for (int i = 0; i < cpus; i++)
		if (cpu >= cpus || cpu == i)
			CPU_SET(i, &set);
	/* The CPU may be down. */
	sched_setaffinity(0, sizeof(set), &set);
}

static void *work(void *arg)
{
	uint64_t seed = opt.seed + (uintptr_t)arg * 0x9e3779b97f4a7c15UL;

	while (!stop) {
		struct vm *vm = &vms[random_of(&seed) % opt.vms];
		unsigned int nr = random_of(&seed) % vm->nr_vcpus;

		switch (random_of(&seed) % 64) {
		case 0:
			replace(vm);
			break;
		case 1 ... 4:
			usleep(random_of(&seed) % 5000);
			break;
		case 5 ... 20:
			migrate(&seed);
			break;
		}
		if (atomic_exchange(&vm->vcpus[nr].busy, true)) {
			sched_yield();
			continue;
		}
		run_vcpu(vm, nr, 1 + random_of(&seed) % 4);
		atomic_store(&vm->vcpus[nr].busy, false);
		if (vm->broken)
			replace(vm);
		atomic_fetch_add(&turns, 1);
	}
	return NULL;
}

/* Raise the lines of those who wait. Also sees who does not come back. */
static void rouse(void)
{
	atomic_fetch_add(&looks, 1);
	for (unsigned int v = 0; v < opt.vms; v++) {
		struct vm *vm = &vms[v];

		if (pthread_mutex_trylock(&vm->lock))
			continue;
		for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
			struct vcpu *vcpu = &vm->vcpus[i];
			long since = atomic_load(&vcpu->since);

			if (since && atomic_exchange(&vcpu->waits, false))
				set_irq(vm, i, 1);
			if (since && looks - since > STUCK_LOOKS) {
				wrong("VM %u.%u vCPU %u does not come back", vm->number,
				      vm->incarnation, i);
				stop = true;
			}
		}
		pthread_mutex_unlock(&vm->lock);
	}
}

static long had_rollovers(void)
{
	long now = rollovers("vmid");

	return now < 0 ? 0 : now;
}

static int summary(long before)
{
	say("guests: %ld checks, %ld wrong; %ld turns, %ld VMs, %u at a time, %ld rollovers\n",
	    checks, wrongs, turns, created, opt.vms, had_rollovers() - before);
	return wrongs || !checks;
}

static void options(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "n:c:t:r:T:s:pl")) != -1) {
		switch (c) {
		case 'n':
			opt.vms = atoi(optarg);
			continue;
		case 'c':
			if (sscanf(optarg, "%u-%u", &opt.min_vcpus, &opt.max_vcpus) == 1)
				opt.max_vcpus = opt.min_vcpus;
			continue;
		case 't':
			opt.threads = atoi(optarg);
			continue;
		case 'r':
			opt.rollovers = atol(optarg);
			continue;
		case 'T':
			opt.turns = atol(optarg);
			continue;
		case 's':
			opt.seed = atol(optarg);
			continue;
		case 'l':
			opt.va = LOW_VA;
			continue;
		case 'p':
			opt.type = KVM_VM_TYPE_ARM_PROTECTED;
			continue;
		}
		opt.vms = 0;
		break;
	}
	if (opt.vms && opt.vms <= 0xffff && opt.threads && opt.seed && opt.min_vcpus &&
	    opt.min_vcpus <= opt.max_vcpus && opt.max_vcpus <= MAX_VCPUS)
		return;
	say("usage: guests [-n VMs] [-c vCPUs of each, or MIN-MAX] [-t threads] [-T turns]\n"
	    "	[-r rollovers to see at least] [-s seed] [-l: low addresses]\n"
	    "	[-p: protected VMs]\n");
	exit(2);
}

int main(int argc, char **argv)
{
	struct rlimit files = { 65536, 65536 }, locked = { RLIM_INFINITY, RLIM_INFINITY };
	long before = had_rollovers();
	time_t next = time(NULL) + 20;
	pthread_attr_t attr;
	pthread_t *threads;
	unsigned int i;

	options(argc, argv);
	setrlimit(RLIMIT_NOFILE, &files);
	setrlimit(RLIMIT_MEMLOCK, &locked);
	kvm = open("/dev/kvm", O_RDWR);
	if (kvm < 0)
		die("/dev/kvm");
	run_size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);

	vms = calloc(opt.vms, sizeof(*vms));
	threads = calloc(opt.threads, sizeof(*threads));
	for (i = 0; i < opt.vms; i++) {
		pthread_mutex_init(&vms[i].lock, NULL);
		vms[i].number = i;
		vms[i].nr_vcpus = opt.min_vcpus + i % (opt.max_vcpus - opt.min_vcpus + 1);
		create(&vms[i]);
	}
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 65536);
	for (i = 0; i < opt.threads; i++)
		if (pthread_create(&threads[i], &attr, work, (void *)(uintptr_t)(i + 1)))
			die("pthread_create");

	while (!stop && (turns < opt.turns || had_rollovers() - before < opt.rollovers)) {
		usleep(2000);
		rouse();
		if (time(NULL) >= next) {
			say("guests: so far %ld turns, %ld rollovers\n", turns,
			    had_rollovers() - before);
			next += 20;
		}
	}
	/* What does not come back will not end either. */
	if (stop)
		return summary(before);
	stop = true;
	for (i = 0; i < opt.threads; i++)
		while (pthread_tryjoin_np(threads[i], NULL)) {
			usleep(2000);
			rouse();
		}
	for (i = 0; i < opt.vms; i++)
		destroy(&vms[i]);
	return summary(before);
}
