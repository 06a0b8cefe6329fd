// SPDX-License-Identifier: GPL-2.0-only
/*
 * vmid_rollover: run more VMs than there are VMIDs.
 *
 * All VMs use the same guest virtual addresses and the same guest physical
 * addresses. Each word of a VM's memory names the VM, its incarnation and the
 * page. In each page, a guest reads a word, and checks and increments a counter
 * of its own. It also calls a function that returns the VM's name. With a
 * translation of another or an earlier VM, it reads a wrong word. The host
 * checks the memory of each VM before it frees the VM.
 *
 * Threads take any idle vCPU, run it for a few sweeps, and move on, changing
 * CPUs all the time. VMs are freed and created again meanwhile.
 *
 * How many VMs it takes for a rollover, and what they cost:
 *
 *   8-bit VMIDs	255 VMs. The default of 300 VMs is enough.
 *   14-bit (riscv)	16,383 VMs.
 *   16-bit VMIDs	65,535 VMs. They need not exist at the same time, as
 *			freeing a VM does not free its VMID: "-x 1" replaces
 *			each VM after one turn, and "-l" sets a time limit.
 *
 * The time and the memory that a VM takes depend on the machine. The program
 * prints them. To run and free a VM takes longer. A kernel with
 * idgen_alloc.bits= can be booted with fewer VMIDs; "idgen_alloc.bits=vmid:4"
 * has 15.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <time.h>

#include "kvm_util.h"
#include "processor.h"
#include "ucall_common.h"
#include "mm/idgen_rollovers.h"

#define DATA_SLOT	10
/* Guest virtual and guest physical. */
#define DATA_ADDR	0xc0000000UL
#define PAGES		16UL
/* Words per page that are only read; each vCPU has one more. */
#define WORDS		128UL
#define MAX_VCPUS	8
#define MAX_SHOWN	20
#define STUCK_MS	30000

struct vcpu_state {
	struct kvm_vcpu *vcpu;
	uint64_t sweeps;
	atomic_int busy;
	/* The time at which it entered KVM_RUN, or 0 if it is not there. */
	atomic_ulong entered;
};

struct vm_state {
	struct kvm_vm *vm;
	uint32_t number;
	uint32_t incarnation;
	atomic_int ran, broken;
	struct vcpu_state vcpus[MAX_VCPUS];
};

static struct {
	unsigned long vms, vcpus, threads, seconds, limit, rollovers, turns;
	unsigned long seed;
} opt = { 300, 1, 0, 10, 60, 1, 64, 1 };

static struct vm_state *vms;
static unsigned int vmid_bits;
static atomic_ulong checks, wrong_reads, wrong_memory, vms_ran;
static atomic_int stop;

#define wrong(_count, _fmt, ...) do {					\
	if (atomic_fetch_add(&(_count), 1) < MAX_SHOWN)			\
		ksft_print_msg("vmid_rollover: wrong: CPU%d " _fmt "\n",	\
			       sched_getcpu(), ##__VA_ARGS__);		\
} while (0)

static uint64_t word_of(uint32_t name, uint64_t page, uint64_t index)
{
	return (uint64_t)name << 32 | page << 16 | index;
}

/* VMs map the same pages in different orders. */
static uint64_t page_at(uint32_t name, uint64_t i)
{
	uint32_t mix = (name >> 16) * 7 + name;

	return (i * (2 * mix + 1) + mix) % PAGES;
}

static uint64_t code_addr(uint64_t page_size)
{
	return DATA_ADDR + PAGES * page_size;
}

static void guest_code(uint32_t name, uint64_t vcpu, uint64_t page_size)
{
	uint32_t (*get_name)(void) = (void *)code_addr(page_size);
	uint64_t sweep, i;

	for (sweep = 0;; sweep++) {
		for (i = 0; i < PAGES; i++) {
			uint64_t *data = (void *)(DATA_ADDR + i * page_size);
			uint64_t word = sweep % WORDS;
			uint64_t want = word_of(name, page_at(name, i), word);
			uint64_t found = READ_ONCE(data[word]);

			__GUEST_ASSERT(found == want,
				       "page %lu is %#lx, not %#lx", i,
				       found, want);
			found = READ_ONCE(data[WORDS + vcpu]);
			__GUEST_ASSERT(found == sweep,
				       "page %lu counted %lu sweeps, not %lu",
				       i, found, sweep);
			WRITE_ONCE(data[WORDS + vcpu], sweep + 1);
		}
		i = get_name();
		__GUEST_ASSERT(i == name, "ran the code of %#lx", i);
		GUEST_SYNC(sweep);
	}
}

static uint32_t name_of(const struct vm_state *v)
{
	return v->number << 16 | (v->incarnation & 0xffff);
}

/* A function that returns the name, without reading memory. */
static void write_code(uint32_t *code, uint32_t name)
{
#if defined(__aarch64__)
	/* mov w0, #low; movk w0, #high, lsl #16; ret */
	code[0] = 0x52800000 | (name & 0xffff) << 5;
	code[1] = 0x72a00000 | (name >> 16) << 5;
	code[2] = 0xd65f03c0;
#elif defined(__riscv)
	/* lui a0, high; addiw a0, a0, low; ret */
	code[0] = 0x00000537 | ((name + 0x800) & 0xfffff000);
	code[1] = 0x0005051b | name << 20;
	code[2] = 0x00008067;
#else
#error "no guest code for this architecture"
#endif
}

static void init_exceptions(struct kvm_vm *vm, struct kvm_vcpu *vcpu)
{
#if defined(__aarch64__)
	vm_init_descriptor_tables(vm);
	vcpu_init_descriptor_tables(vcpu);
#elif defined(__riscv)
	vm_init_vector_tables(vm);
	vcpu_init_vector_tables(vcpu);
#endif
}

static uint64_t *host_page(const struct vm_state *v, uint64_t page)
{
	return addr_gpa2hva(v->vm, DATA_ADDR + page * v->vm->page_size);
}

static void create(struct vm_state *v)
{
	struct kvm_vcpu *vcpus[MAX_VCPUS];
	uint32_t name = name_of(v);
	uint64_t page_size, i, w;
	char *code;

	v->vm = vm_create_with_vcpus(opt.vcpus, guest_code, vcpus);
	page_size = v->vm->page_size;
	vm_userspace_mem_region_add(v->vm, VM_MEM_SRC_ANONYMOUS, DATA_ADDR,
				    DATA_SLOT,
				    vm_adjust_num_guest_pages(v->vm->mode,
							      PAGES + 1), 0);
	for (i = 0; i < PAGES; i++) {
		virt_map(v->vm, DATA_ADDR + i * page_size,
			 DATA_ADDR + page_at(name, i) * page_size, 1);
		for (w = 0; w < WORDS; w++)
			host_page(v, i)[w] = word_of(name, i, w);
	}
	virt_map(v->vm, code_addr(page_size), code_addr(page_size), 1);
	code = (char *)host_page(v, PAGES);
	write_code((uint32_t *)code, name);
	/* The page may have had the code of another VM. */
	__builtin___clear_cache(code, code + 12);

	for (i = 0; i < opt.vcpus; i++) {
		init_exceptions(v->vm, vcpus[i]);
		vcpu_args_set(vcpus[i], 3, (uint64_t)name, i, page_size);
		v->vcpus[i].vcpu = vcpus[i];
		v->vcpus[i].sweeps = 0;
	}
	v->ran = false;
	v->broken = false;
}

static void check_memory(const struct vm_state *v)
{
	uint32_t name = name_of(v);
	uint64_t i, w;

	for (i = 0; i < PAGES; i++) {
		const uint64_t *data = host_page(v, i);

		for (w = 0; w < WORDS; w++)
			if (data[w] != word_of(name, i, w))
				wrong(wrong_memory, "VM %#x page %lu word %lu is %#lx",
				      name, i, w, data[w]);
		for (w = 0; w < opt.vcpus; w++)
			if (data[WORDS + w] != v->vcpus[w].sweeps)
				wrong(wrong_memory, "VM %#x page %lu: vCPU %lu has %lu sweeps of %lu",
				      name, i, w, data[WORDS + w],
				      v->vcpus[w].sweeps);
	}
	atomic_fetch_add(&checks, PAGES * (WORDS + opt.vcpus));
}

static void destroy(struct vm_state *v)
{
	if (!v->broken)
		check_memory(v);
	kvm_vm_free(v->vm);
}

static unsigned long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000UL + t.tv_nsec / 1000000;
}

static void run_vcpu(struct vm_state *v, struct vcpu_state *s, int sweeps)
{
	struct kvm_vcpu *vcpu = s->vcpu;
	uint32_t name = name_of(v);
	struct ucall uc;
	bool broken;
	int ret;

	while (sweeps-- && !v->broken) {
		atomic_store(&s->entered, now_ms());
		do {
			ret = __vcpu_run(vcpu);
		} while (ret && errno == EINTR);
		atomic_store(&s->entered, 0);

		if (ret) {
			wrong(wrong_reads, "VM %#x vCPU %u: KVM_RUN: %s", name,
			      vcpu->id, strerror(errno));
			v->broken = true;
			return;
		}
		broken = true;
		switch (get_ucall(vcpu, &uc)) {
		case UCALL_SYNC:
			if (uc.args[1] != s->sweeps) {
				wrong(wrong_reads, "VM %#x vCPU %u made sweep %lu, not %lu",
				      name, vcpu->id, (unsigned long)uc.args[1],
				      s->sweeps);
				break;
			}
			s->sweeps++;
			broken = false;
			if (!atomic_exchange(&v->ran, true))
				atomic_fetch_add(&vms_ran, 1);
			atomic_fetch_add(&checks, 2 * PAGES + 1);
			break;
		case UCALL_ABORT:
			wrong(wrong_reads, "VM %#x vCPU %u: %s", name, vcpu->id,
			      uc.buffer);
			break;
		case UCALL_UNHANDLED:
			wrong(wrong_reads, "VM %#x vCPU %u: exception %#lx, %#lx",
			      name, vcpu->id, (unsigned long)uc.args[0],
			      (unsigned long)uc.args[1]);
			break;
		default:
			wrong(wrong_reads, "VM %#x vCPU %u: exit %s", name,
			      vcpu->id,
			      exit_reason_str(vcpu->run->exit_reason));
		}
		if (broken)
			v->broken = true;
	}
}

static uint64_t random_below(uint64_t *state, uint64_t n)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (*state * 0x2545f4914f6cdd1dULL >> 16) % n;
}

/* Allow one CPU or all. The CPU may be offline, which is no error. */
static void migrate(uint64_t *seed)
{
	int cpus = sysconf(_SC_NPROCESSORS_CONF);
	int cpu = random_below(seed, 2 * cpus);
	cpu_set_t set;

	CPU_ZERO(&set);
	for (int i = 0; i < cpus; i++)
		if (cpu >= cpus || cpu == i)
			CPU_SET(i, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* Replace the VM, unless a thread runs one of its vCPUs. */
static void replace(struct vm_state *v)
{
	unsigned long i, taken;

	for (taken = 0; taken < opt.vcpus; taken++)
		if (atomic_exchange(&v->vcpus[taken].busy, true))
			break;
	if (taken == opt.vcpus) {
		destroy(v);
		v->incarnation++;
		create(v);
	}
	for (i = 0; i < taken; i++)
		atomic_store(&v->vcpus[i].busy, false);
}

static void *work(void *arg)
{
	uint64_t seed = opt.seed + (uintptr_t)arg * 0x9e3779b97f4a7c15ULL;

	while (!stop) {
		struct vm_state *v = &vms[random_below(&seed, opt.vms)];
		struct vcpu_state *s =
			&v->vcpus[random_below(&seed, opt.vcpus)];
		bool broken;

		if (!random_below(&seed, 4))
			migrate(&seed);
		if (!random_below(&seed, 16))
			usleep(random_below(&seed, 5000));
		if (atomic_exchange(&s->busy, true)) {
			sched_yield();
			continue;
		}
		if (!v->broken)
			run_vcpu(v, s, 1 + random_below(&seed, 4));
		broken = v->broken;
		atomic_store(&s->busy, false);
		if (broken || !random_below(&seed, opt.turns))
			replace(v);
	}
	return NULL;
}

static bool any_stuck(void)
{
	unsigned long now = now_ms(), v, i;

	for (v = 0; v < opt.vms; v++)
		for (i = 0; i < opt.vcpus; i++) {
			unsigned long entered =
				atomic_load(&vms[v].vcpus[i].entered);

			if (entered && now > entered + STUCK_MS) {
				wrong(wrong_reads, "VM %lu vCPU %lu does not come back",
				      v, i);
				return true;
			}
		}
	return false;
}

static unsigned int get_vmid_bits(void)
{
#if defined(__aarch64__)
	uint64_t mmfr1;

	if (!__vcpu_get_reg(vms[0].vcpus[0].vcpu,
			    KVM_ARM64_SYS_REG(SYS_ID_AA64MMFR1_EL1), &mmfr1))
		return (mmfr1 >> 4 & 0xf) == 2 ? 16 : 8;
	return 16;
#else
	/* KVM does not report the number. hgatp has 14 bits. */
	return 14;
#endif
}

/* Each VM that ran took at least one VMID. */
static long rollovers(void)
{
	long counted = idgen_rollovers("vmid");

	if (counted >= 0)
		return counted;
	return vms_ran ? (vms_ran - 1) / ((1UL << vmid_bits) - 1) : 0;
}

static unsigned long available_kb(void)
{
	FILE *info = fopen("/proc/meminfo", "r");
	unsigned long kb = 0;
	char line[128];

	while (info && fgets(line, sizeof(line), info))
		if (sscanf(line, "MemAvailable: %lu kB", &kb) == 1)
			break;
	if (info)
		fclose(info);
	return kb;
}

/*
 * Skip the test if the memory is too small for all VMs, by what the first few
 * have taken. Page tables for running guests are not counted.
 */
static void create_all(void)
{
	unsigned long kb = available_kb(), start = now_ms(), left, ms, n;

	for (n = 0; n < opt.vms; n++) {
		left = available_kb();
		if (n >= 8 && left < kb && (kb - left) / n * opt.vms > kb)
			ksft_exit_skip("%lu VMs of %lu kB do not fit into %lu MB: use -n\n",
				       opt.vms, (kb - left) / n, kb / 1024);
		vms[n].number = n;
		create(&vms[n]);
	}
	ms = now_ms() - start;
	left = available_kb();
	kb = kb > left ? kb - left : 0;
	vmid_bits = get_vmid_bits();
	n = (1UL << vmid_bits) - 1;
	ksft_print_msg("%u-bit VMIDs%s; creating a VM takes %lu us and %lu kB\n",
		       vmid_bits, vmid_bits == 14 ? " at most" : "",
		       ms * 1000 / opt.vms, kb / opt.vms);
	ksft_print_msg("creating %lu VMs takes %lu s, and %lu MB to keep them\n",
		       n, ms * n / opt.vms / 1000, kb / opt.vms * n / 1024);
}

static void report(bool stuck, unsigned long start)
{
	bool counted = idgen_rollovers("vmid") >= 0;
	long had = rollovers();

	ksft_print_msg("vmid_rollover: %lu checks, %lu wrong; %lu VMs, %lu at a time, %lu s\n",
		       checks, wrong_reads + wrong_memory, vms_ran, opt.vms,
		       (now_ms() - start) / 1000);
	ksft_test_result(!wrong_reads && checks,
			 "guests read their own words\n");
	if (stuck)
		ksft_test_result_code(KSFT_SKIP,
				      "memory has what its guests wrote",
				      "a vCPU is still running");
	else
		ksft_test_result(!wrong_memory,
				 "memory has what its guests wrote\n");
	if (opt.rollovers && had >= (long)opt.rollovers)
		ksft_test_result_pass("VMIDs rolled over, %s%ld times, %s\n",
				      counted ? "" : "at least ", had,
				      counted ? "by the trace event" :
				      "computed from the number of VMs, if KVM uses VMIDs");
	else
		ksft_test_result_code(KSFT_SKIP, "VMIDs rolled over",
				      "%ld of %lu, %s: %lu VMs in %lu s, %u-bit VMIDs",
				      had, opt.rollovers,
				      counted ? "by the trace event" : "computed",
				      vms_ran, (now_ms() - start) / 1000,
				      vmid_bits);
}

/* The program reports what it has seen so far. */
static void on_signal(int sig)
{
	stop = true;
}

static void usage(void)
{
	printf("usage: vmid_rollover [-n VMS] [-v VCPUS] [-t THREADS] [-s SECONDS]\n"
	       "                     [-l LIMIT] [-r ROLLOVERS] [-x TURNS] [-S SEED]\n"
	       "  runs for SECONDS (10), and until ROLLOVERS (1) were seen,\n"
	       "  but not beyond LIMIT (60)\n"
	       "  -n  VMs at a time (300): 8-bit VMIDs are too few for these\n"
	       "  -x  replace a VM every so many turns (64). With 16-bit VMIDs, a\n"
	       "      rollover takes 65,535 VMs, one after another: -x 1\n");
	exit(KSFT_FAIL);
}

static void options(int argc, char **argv)
{
	int c;

	opt.threads = 2 * sysconf(_SC_NPROCESSORS_ONLN) + 2;
	while ((c = getopt(argc, argv, "n:v:t:s:l:r:x:S:h")) != -1) {
		unsigned long n = optarg ? strtoul(optarg, NULL, 0) : 0;

		switch (c) {
		case 'n':
			opt.vms = n;
			break;
		case 'v':
			opt.vcpus = n;
			break;
		case 't':
			opt.threads = n;
			break;
		case 's':
			opt.seconds = n;
			break;
		case 'l':
			opt.limit = n;
			break;
		case 'r':
			opt.rollovers = n;
			break;
		case 'x':
			opt.turns = n;
			break;
		case 'S':
			opt.seed = n;
			break;
		default:
			usage();
		}
	}
	if (!opt.vms || opt.vms > 0x10000 || !opt.vcpus || !opt.threads ||
	    opt.vcpus > MAX_VCPUS || !opt.turns || !opt.seed)
		usage();
}

int main(int argc, char **argv)
{
	unsigned long start, next, since, i;
	struct rlimit files;
	pthread_t *threads;
	bool stuck = false;

	options(argc, argv);
	ksft_print_header();
	/* /dev/kvm, the VM, its GIC and its statistics; two for each vCPU. */
	files.rlim_max = (4 + 2 * opt.vcpus) * opt.vms + 100;
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files))
		ksft_exit_skip("%lu open files are not allowed: %s\n",
			       (unsigned long)files.rlim_max, strerror(errno));
	if (!idgen_start_counting())
		ksft_print_msg("cannot use the event idgen_rollover: rollovers are computed\n");
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);

	vms = calloc(opt.vms, sizeof(*vms));
	threads = calloc(opt.threads, sizeof(*threads));
	TEST_ASSERT(vms && threads, "no memory");
	create_all();
	ksft_set_plan(3);
	start = now_ms();
	next = start;
	for (i = 0; i < opt.threads; i++)
		TEST_ASSERT(!pthread_create(&threads[i], NULL, work,
					    (void *)(i + 1)), "pthread_create");
	do {
		usleep(50000);
		stuck = any_stuck();
		since = now_ms() - start;
		if (now_ms() >= next + 20000) {
			next = now_ms();
			ksft_print_msg("so far %lu checks, %lu VMs, %ld rollovers\n",
				       checks, vms_ran, rollovers());
		}
	} while (!stop && !stuck && (since < opt.seconds * 1000 ||
				     (since < opt.limit * 1000 &&
				      rollovers() < (long)opt.rollovers)));
	stop = true;
	for (i = 0; i < opt.threads && !stuck; i++)
		while (pthread_tryjoin_np(threads[i], NULL)) {
			usleep(10000);
			stuck = any_stuck();
			if (stuck)
				break;
		}
	for (i = 0; i < opt.vms && !stuck; i++)
		destroy(&vms[i]);
	report(stuck, start);
	ksft_finished();
}
