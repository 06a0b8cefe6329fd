// SPDX-License-Identifier: GPL-2.0-only
/*
 * Run more VMs than there are VMIDs, and check all memory that the guests read.
 *
 * All guests use the same virtual addresses. Each has its own stage-1 tables, with an
 * order of pages of its own, and its own memory in stage 2. Every word of the memory
 * names the VM, its incarnation and the page. A guest sweeps over its pages. In each, it
 * reads a word and compares it with the expected one, and checks and replaces its own word
 * of the last sweep. Then it calls a function that loads the name of its VM. It stores
 * wrong values to an address without memory, and at the end of a sweep a digest of all
 * that it has read. KVM passes these stores to us. This detects stale translations of
 * stage 1 and 2, of other VMs and of earlier incarnations, for reads, writes and
 * instructions.
 *
 * Threads take any free vCPU, run it for a few sweeps, and take another. They change
 * CPUs. Sometimes they sleep, or the guest waits for an interrupt, or a VM is destroyed
 * and a new one takes its place. The memory of a VM is checked before that.
 *
 * With -d, memory is copied while guests run, as in a live migration. Pages that KVM
 * logs as dirty are copied again. At the end, the copy must equal the memory.
 *
 * The selftest vmid_rollover runs on any kernel and board, but is tied to kvm_util, which
 * has no protected VMs on arm64 and takes more memory for each VM. This program has
 * protected VMs, room for 600 at once, guests that wait for interrupts, and the copy of -d.
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

#define PAGE		4096UL
#define DATA_PAGES	64
#define WORDS		256	/* words of a page that guests read */
#define MAX_VCPUS	8
#define MAX_SHOWN	20	/* wrong results that are printed */
/*
 * A vCPU is stuck if KVM does not return it during so many checks of all vCPUs. A check
 * takes about two milliseconds, and more on a slow machine.
 */
#define STUCK_LOOKS	20000

/*
 * The virtual addresses of one last-level table, from GUEST_VA on, or lower with -l.
 * guests_arm64.h and guests_riscv.h have the guest code, its tables and registers.
 */
#define GUEST_VA	(opt.va)
#define DATA_VA		(GUEST_VA + DATA_INDEX * PAGE)
#define MMIO_VA		(GUEST_VA + MMIO_INDEX * PAGE)

#ifdef __aarch64__
#define LEVELS		4
#else
#define LEVELS		3
#endif

/* Pages of a VM's memory. The last-level table has the same order, except for the data. */
enum {
	CODE_INDEX, NAME_INDEX, TABLES, LAST_TABLE = TABLES + LEVELS - 1, DATA_INDEX,
	MEM_PAGES = DATA_INDEX + DATA_PAGES,
	MMIO_INDEX = 511,
};

#define MEM_IPA		0x80000000UL
#define MMIO_IPA	0x0a000000UL

/* The stores of a guest, by offset on the page without memory. */
enum report { SWEPT, BAD_PAGE, BAD_WORD, BAD_OWN_PAGE, BAD_OWN, BAD_NAME, CAUSE, PC, ADDRESS };

struct vcpu {
	int fd;
	struct kvm_run *run;
	uint64_t swept;
	uint64_t bad_page;
	atomic_bool busy;	/* a thread uses it */
	atomic_bool waits;	/* the guest will wait for an interrupt */
	atomic_long since;	/* the check at which KVM got it, 0 if KVM does not have it */
};

struct vm {
	pthread_mutex_t lock;	/* the incarnation does not change */
	unsigned int number;
	unsigned int incarnation;
	unsigned int nr_vcpus;
	bool broken;
	int fd;
	char *mem, *copy;	/* copy is for -d only */
	struct vcpu vcpus[MAX_VCPUS];
};

static struct {
	unsigned int vms, min_vcpus, max_vcpus, threads;
	long rollovers, turns;
	unsigned long type;
	uint64_t va;
	bool log;
} opt = { .vms = 40, .min_vcpus = 1, .max_vcpus = 2, .threads = 8, .turns = 1000 };

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

/* Bits 48 to 63 have the index of the VM, bits 32 to 47 the incarnation. */
static uint64_t name_of(const struct vm *vm)
{
	return (uint64_t)vm->number << 48 | (uint64_t)(vm->incarnation & 0xffff) << 32;
}

/* The data page of the virtual page i. */
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

/* The offset of a vCPU's own word in each page. */
static uint64_t own_offset(unsigned int vcpu)
{
	return PAGE - 8 * (1 + vcpu);
}

static uint64_t *page(const struct vm *vm, unsigned int index)
{
	return (uint64_t *)(vm->mem + index * PAGE);
}

static void set_reg(struct vcpu *vcpu, uint64_t id, uint64_t value)
{
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)&value };

	if (ioctl(vcpu->fd, KVM_SET_ONE_REG, &reg))
		die("KVM_SET_ONE_REG %#lx", id);
}

#ifdef __aarch64__
#include "guests_arm64.h"
#else
#include "guests_riscv.h"
#endif

static void fill(struct vm *vm)
{
	uint64_t i, w;

	memcpy(page(vm, CODE_INDEX), guest_code, guest_code_end - guest_code);
	fill_tables(vm);
	for (i = 0; i < DATA_PAGES; i++)
		for (w = 0; w < WORDS; w++)
			page(vm, DATA_INDEX + i)[w] = word_of(vm, i, w);
}

static void start_vcpu(struct vm *vm, unsigned int nr)
{
	struct vcpu *vcpu = &vm->vcpus[nr];

	vcpu->fd = ioctl(vm->fd, KVM_CREATE_VCPU, nr);
	if (vcpu->fd < 0)
		die("KVM_CREATE_VCPU");
	vcpu->run = mmap(NULL, run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED)
		die("mmap of kvm_run");
	vcpu->swept = 0;
	vcpu->waits = false;
	set_registers(vm, nr);
}

static char *memory(void)
{
	char *mem = mmap(NULL, MEM_PAGES * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (mem == MAP_FAILED)
		die("mmap of a VM's memory");
	return mem;
}

/* Called with the VM's lock. Writes after this log are in the next one. */
static void copy_dirty(struct vm *vm)
{
	uint64_t map[MEM_PAGES / 64 + 1] = {};
	struct kvm_dirty_log log = { .dirty_bitmap = map };

	if (ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log))
		die("KVM_GET_DIRTY_LOG");
	for (unsigned int i = 0; i < MEM_PAGES; i++)
		if (map[i / 64] >> i % 64 & 1)
			memcpy(vm->copy + i * PAGE, vm->mem + i * PAGE, PAGE);
}

static void create(struct vm *vm)
{
	struct kvm_userspace_memory_region region = {
		.flags = opt.log ? KVM_MEM_LOG_DIRTY_PAGES : 0,
		.guest_phys_addr = MEM_IPA,
		.memory_size = MEM_PAGES * PAGE,
	};

	vm->fd = ioctl(kvm, KVM_CREATE_VM, opt.type);
	if (vm->fd < 0)
		die("KVM_CREATE_VM");
	vm->mem = memory();
	fill(vm);
	if (opt.log)
		vm->copy = memcpy(memory(), vm->mem, MEM_PAGES * PAGE);
	region.userspace_addr = (uintptr_t)vm->mem;
	if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region))
		die("KVM_SET_USER_MEMORY_REGION");
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		start_vcpu(vm, i);
	vm->broken = false;
	atomic_fetch_add(&created, 1);
}

/* All writes were logged. */
static void check_copy(struct vm *vm)
{
	copy_dirty(vm);
	for (unsigned int i = 0; i < MEM_PAGES; i++)
		if (memcmp(vm->copy + i * PAGE, vm->mem + i * PAGE, PAGE))
			wrong("VM %u.%u page %u was written and not logged",
			      vm->number, vm->incarnation, i);
	atomic_fetch_add(&checks, MEM_PAGES);
	munmap(vm->copy, MEM_PAGES * PAGE);
}

/* Only its own guest has written to a VM's memory. */
static void check_memory(const struct vm *vm)
{
	uint64_t i, w;

	/* The memory of a protected VM cannot be read. */
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
	if (opt.log)
		check_copy(vm);
	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		munmap(vm->vcpus[i].run, run_size);
		close(vm->vcpus[i].fd);
	}
	close(vm->fd);
	munmap(vm->mem, MEM_PAGES * PAGE);
}

static uint64_t digest(const struct vm *vm, uint64_t sweep)
{
	uint64_t d = 0, i;

	for (i = 0; i < DATA_PAGES; i++)
		d = (d >> 7 | d << 57) ^ word_of(vm, page_at(vm, i), sweep % WORDS);
	return d;
}

/* Handle a store of the guest. Returns whether it ended a sweep. */
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
		/* For each page a word and its own word; then its own code and the digest. */
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
		      offset / 8 == CAUSE ? "cause" : offset / 8 == PC ? "PC" : "address", value);
		vm->broken = true;
		return offset / 8 == ADDRESS;
	}
	return false;
}

static void run_vcpu(struct vm *vm, unsigned int nr, unsigned int sweeps)
{
	struct vcpu *vcpu = &vm->vcpus[nr];

	while (sweeps && !vm->broken) {
		/* Lower the interrupt line before the guest waits. rouse() raises it. */
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

/* Take all vCPUs of a VM or none. */
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
	/* The CPU may be offline. */
	sched_setaffinity(0, sizeof(set), &set);
}

static void *work(void *arg)
{
	uint64_t seed = 1 + (uintptr_t)arg * 0x9e3779b97f4a7c15UL;

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
		case 21 ... 28:
			if (opt.log) {
				pthread_mutex_lock(&vm->lock);
				copy_dirty(vm);
				pthread_mutex_unlock(&vm->lock);
			}
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

/* Raise the lines of waiting guests, and detect vCPUs that are stuck. */
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

	while ((c = getopt(argc, argv, "n:c:t:r:T:dpl")) != -1) {
		switch (c) {
		case 'n':
			opt.vms = atoi(optarg);
			continue;
		case 'c':
			opt.min_vcpus = atoi(optarg);
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
		case 'd':
			opt.log = true;
			continue;
		case 'l':
			opt.va = LOW_VA;
			continue;
#ifdef PROTECTED_VM
		case 'p':
			opt.type = PROTECTED_VM;
			continue;
#endif
		}
		opt.vms = 0;
		break;
	}
	if (opt.vms && opt.vms <= 0xffff && opt.threads && opt.min_vcpus &&
	    opt.max_vcpus <= MAX_VCPUS)
		return;
	say("usage: guests [-n VMs] [-c vCPUs of each; default: 1 or 2] [-t threads] [-T turns]\n"
	    "	[-r rollovers to see at least] [-l: low addresses]\n"
	    "	[-d: copy what is logged as dirty] [-p: protected VMs, on arm64]\n");
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

	opt.va = HIGH_VA;
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
	/* A thread whose vCPU is stuck does not end. */
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
