// SPDX-License-Identifier: GPL-2.0-only
/*
 * Run an allocator, for callgrind to count instructions:
 *
 *	valgrind --tool=callgrind --instr-atstart=no --collect-atstart=no \
 *		--combine-dumps=yes bench SCENARIO CPUS BITS
 *
 * callgrind writes a part for each measurement, under its name. The number of calls goes
 * to stdout. The part "nothing" is the overhead of counting.
 *
 * The program is built once for each allocator: arm64's ASIDs, KVM's VMIDs
 * (SUBJECT_VMID) and csky's library (SUBJECT_CSKY), the first two also from our files.
 * SUBJECT_PLAIN is what csky would call with our library. All run the same scenarios.
 *
 * With BENCH_THREADS, the scenario "threads" prints the time of an operation on real
 * threads, in ns. That is not for callgrind.
 */
#ifdef BENCH_THREADS
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>
#endif

#include "machine.h"

extern char __start_percpu[], __stop_percpu[];
extern size_t bench_allocated;

struct context {
#ifdef SUBJECT_VMID
	struct kvm_vmid vmid;
#else
	struct mm_struct mm;
#endif
};

/*
 * The allocator
 */

#if defined(SUBJECT_VMID)

static void subject_init(void)
{
	if (kvm_arm_vmid_alloc_init())
		exit(1);
}

static void subject_switch(struct context *ctx)
{
	kvm_arm_vmid_update(&ctx->vmid);
}

static void subject_sched_out(void)
{
	kvm_arm_vmid_clear_active();
}

static u64 value(const struct context *ctx)
{
	return ctx->vmid.id.counter;
}

#else

static void subject_sched_out(void)
{
}

static u64 value(const struct context *ctx)
{
	return ctx->mm.context.id.counter;
}

#ifdef SUBJECT_CSKY

#include <asm/asid.h>

static DEFINE_PER_CPU(atomic64_t, active);
static DEFINE_PER_CPU(u64, reserved);
static struct asid_info info;

static void flush_cpu(void)
{
}

static void subject_init(void)
{
	if (asid_allocator_init(&info, bench_bits, 1, flush_cpu))
		exit(1);
	info.active = &active;
	info.reserved = &reserved;
}

/* The same call as in csky's check_and_switch_context(). */
static noinline void csky_switch(struct mm_struct *mm, unsigned int cpu)
{
	asid_check_context(&info, &mm->context.asid, cpu, mm);
}

static void subject_switch(struct context *ctx)
{
	csky_switch(&ctx->mm, bench_cpu);
}

#elif defined(SUBJECT_PLAIN)

#include <linux/idgen_alloc.h>

static DEFINE_PER_CPU(struct idgen_slot, slots);
static struct idgen_alloc alloc;

static void flush_cpu(struct idgen_alloc *a)
{
}

static void subject_init(void)
{
	static const struct idgen_ops ops = { .name = "plain", .flush_cpu = flush_cpu };

	if (idgen_alloc_init(&alloc, &ops, bench_bits, &slots))
		exit(1);
}

static noinline void plain_switch(struct mm_struct *mm)
{
	idgen_alloc_switch(&alloc, this_cpu_ptr(&slots), &mm->context.id, NULL);
}

static void subject_switch(struct context *ctx)
{
	plain_switch(&ctx->mm);
}

#else

static void subject_init(void)
{
	if (bench_early_init() || bench_arch_init())
		exit(1);
}

static void subject_switch(struct context *ctx)
{
	check_and_switch_context(&ctx->mm);
}

#endif
#endif

/*
 * Counting
 */

#define counted(what) do {			\
	CALLGRIND_TOGGLE_COLLECT;		\
	what;					\
	CALLGRIND_TOGGLE_COLLECT;		\
} while (0)

static void start(void)
{
	CALLGRIND_START_INSTRUMENTATION;
	CALLGRIND_ZERO_STATS;
}

static void done(const char *name, unsigned long times)
{
	CALLGRIND_DUMP_STATS_AT(name);
	CALLGRIND_STOP_INSTRUMENTATION;
	printf("%s %lu\n", name, times);
}

static void count_nothing(void)
{
	int i;

	start();
	for (i = 0; i < 100; i++)
		counted();
	done("nothing", 100);
}

/*
 * CPUs and contexts
 */

static unsigned long nr_ids;
static struct context *contexts;
static unsigned long nr_contexts, max_contexts;

static void play(unsigned int cpu)
{
	bench_cpu = cpu;
	bench_cpu_offset = __per_cpu_offset[cpu];
}

static void boot(unsigned int cpus, unsigned int bits)
{
	size_t size = (__stop_percpu - __start_percpu + 63) / 64 * 64;
	char *area = calloc(cpus, size);
	unsigned int cpu;

	nr_cpu_ids = cpus;
	bench_bits = bits;
	nr_ids = 1UL << bits;
	for (cpu = 0; cpu < cpus; cpu++) {
		memcpy(area + cpu * size, __start_percpu, __stop_percpu - __start_percpu);
		__per_cpu_offset[cpu] = area + cpu * size - __start_percpu;
		__set_bit(cpu, bench_possible.bits);
	}
	play(0);
	subject_init();

	max_contexts = 6 * nr_ids;
	contexts = calloc(max_contexts, sizeof(*contexts));
	if (!contexts || !area)
		exit(1);
}

static struct context *fresh(void)
{
	if (nr_contexts == max_contexts) {
		fprintf(stderr, "error: no rollover where there should be one\n");
		exit(1);
	}
	return &contexts[nr_contexts++];
}

static unsigned long id(const struct context *ctx)
{
	return value(ctx) & (nr_ids - 1);
}

/* In every allocator, the bits below this one have the ID and nothing else. */
static u64 generation(const struct context *ctx)
{
	return value(ctx) >> bench_bits;
}

/* The same sequence on each machine. */
static unsigned int random_below(unsigned int n)
{
	static u64 state = 1;

	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (state >> 32) % n;
}

static struct context *running[NR_CPUS];

/*
 * Switch CPU 0 to new contexts until one switch rolls over. Each other CPU meanwhile
 * switches to one of them, at random. Returns the first context. With @name, the last
 * switch is counted.
 */
static struct context *generation_of_fresh(const char *name)
{
	struct context *first = NULL, *ctx;
	unsigned int cpu = 1, i = 0;
	bool counting = false;
	unsigned long left;
	u64 before = 0;

	for (;; i++) {
		ctx = fresh();
		if (!first)
			first = ctx;
		left = nr_ids - min(nr_ids, i + 2UL * nr_cpu_ids + 16);
		if (cpu < nr_cpu_ids && (!left || random_below(left) < nr_cpu_ids - cpu)) {
			play(cpu);
			subject_switch(ctx);
			running[cpu++] = ctx;
			play(0);
		} else if (name && before && i + 3UL * nr_cpu_ids + 64 > nr_ids) {
			if (!counting)
				CALLGRIND_START_INSTRUMENTATION;
			counting = true;
			CALLGRIND_ZERO_STATS;
			counted(subject_switch(ctx));
			if (generation(ctx) != before) {
				done(name, 1);
				return first;
			}
		} else {
			subject_switch(ctx);
		}
		if (before && generation(ctx) != before)
			return first;
		before = generation(ctx);
	}
}

static bool runs(const struct context *ctx)
{
	unsigned int cpu;

	for (cpu = 0; cpu < nr_cpu_ids; cpu++)
		if (running[cpu] == ctx)
			return true;
	return false;
}

/*
 * Scenarios
 */

/* The rollover, and then the first switch to contexts that are older. */
static void scenario_switch(void)
{
	struct context *first, *end, *ctx;
	unsigned long i, times;
	u64 now;

	generation_of_fresh(NULL);
	first = generation_of_fresh("rollover");
	end = &contexts[nr_contexts - 1];
	now = generation(end);
	/* This context caused the rollover. The CPU ran the one before, or an earlier one. */
	for (ctx = end - 1; runs(ctx); ctx--)
		;
	running[0] = ctx;

	start();
	for (i = 0, times = 0; i < nr_cpu_ids && times < 64; i++, times++)
		counted(subject_switch(running[i]));
	done("reserved", times);

	/* The new generation has used only low IDs yet. */
	start();
	for (ctx = end - 1, times = 0; ctx >= first && times < 64; ctx--) {
		if (generation(ctx) == now || runs(ctx))
			continue;
		counted(subject_switch(ctx));
		times++;
	}
	done("unreserved, ID still free", times);

	for (i = 0; i < nr_ids / 8; i++)
		subject_switch(fresh());
	start();
	for (ctx = first, times = 0; ctx < end && times < nr_ids / 32; ctx++) {
		if (generation(ctx) == now || runs(ctx) || id(ctx) > nr_ids / 9)
			continue;
		counted(subject_switch(ctx));
		times++;
	}
	done("unreserved, ID taken", times);
}

/* One more context than there are IDs, so that each finds its old ID taken. */
static void scenario_generation(void)
{
	unsigned long round, i;

	for (round = 0; round < 3; round++) {
		if (round == 2) {
			bench_count_locked = true;
			start();
		}
		for (i = 0; i < nr_ids; i++) {
			play(i % nr_cpu_ids);
			subject_switch(&contexts[i]);
			subject_sched_out();
		}
	}
	done("generation", 1);
}

/* Allocate IDs for new contexts, except the last few: a failing search is a rollover. */
static void count_search(const char *name)
{
	unsigned long times = 0;
	struct context *ctx;

	start();
	bench_count_locked = true;
	do {
		ctx = fresh();
		subject_switch(ctx);
		times++;
	} while (id(ctx) < nr_ids - nr_ids / 64);
	bench_count_locked = false;
	done(name, times);
}

static void scenario_search(void)
{
	struct context *ctx, *first, *end;

	generation_of_fresh(NULL);
	count_search("search, empty map");

	generation_of_fresh(NULL);
	first = generation_of_fresh(NULL);
	end = &contexts[nr_contexts - 1];
	for (ctx = first; ctx < end; ctx++)
		if (random_below(2))
			subject_switch(ctx);
	count_search("search, every second ID taken");

	generation_of_fresh(NULL);
	first = generation_of_fresh(NULL);
	end = &contexts[nr_contexts - 1];
	for (ctx = first; ctx < end; ctx++)
		if (id(ctx) < nr_ids / 2)
			subject_switch(ctx);
	count_search("search, lower half taken");
}

#if !defined(SUBJECT_VMID) && !defined(SUBJECT_CSKY) && !defined(SUBJECT_PLAIN)

/* Pin contexts that have an ID, pin them again, and unpin them. */
static void scenario_pin(void)
{
	static const char * const names[] = {
		"pin", "pin again", "unpin, not the last", "unpin, the last",
	};
	struct context *ctx, *first;
	unsigned int i, step;

	for (i = 0; i < 64; i++)
		subject_switch(fresh());
	for (step = 0; step < 4; step++) {
		start();
		for (i = 0; i < 64; i++) {
			if (step < 2)
				counted(arm64_mm_context_get(&contexts[i].mm));
			else
				counted(arm64_mm_context_put(&contexts[i].mm));
		}
		done(names[step], 64);
	}

	generation_of_fresh(NULL);
	first = generation_of_fresh(NULL);
	start();
	for (i = 0, ctx = first; i < 64; ctx++) {
		if (runs(ctx))
			continue;
		counted(arm64_mm_context_get(&ctx->mm));
		i++;
	}
	done("pin after a rollover", 64);
}

#else

static void scenario_pin(void)
{
}

#endif

#ifdef BENCH_THREADS

/*
 * A thread for each CPU, on a core of its own if possible, switches between shared
 * contexts. With few contexts, all but the first switches take the fast path. There may
 * be more than there are IDs. With none, there is only sched out.
 */
static unsigned long nr_shared, nr_switches, spin_length;
static pthread_barrier_t barrier;
static unsigned long long elapsed[NR_CPUS];

/* Work between sched out and the next switch. Each step depends on the last. */
static noinline u64 spin(u64 x)
{
	unsigned long i;

	for (i = 0; i < spin_length; i++)
		x = x * 6364136223846793005ULL + 1;
	return x;
}

static void *thread(void *arg)
{
	unsigned long cpu = (unsigned long)arg, cores = sysconf(_SC_NPROCESSORS_ONLN), i;
	struct timespec begin, end;
	cpu_set_t core;
	u32 seed = cpu;

	CPU_ZERO(&core);
	CPU_SET(cpu % cores, &core);
	sched_setaffinity(0, sizeof(core), &core);
	play(cpu);
	pthread_barrier_wait(&barrier);

	/* CPU time, so that other processes do not count. */
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
	for (i = 0; i < nr_switches; i++) {
		seed = seed * 1664525 + 1013904223;
		if (spin_length)
			seed += spin(seed) >> 32;
		if (nr_shared)
			subject_switch(&contexts[(seed >> 16) % nr_shared]);
		subject_sched_out();
	}
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
	elapsed[cpu] = (end.tv_sec - begin.tv_sec) * 1000000000ULL +
		       end.tv_nsec - begin.tv_nsec;
	return NULL;
}

static void count_threads(const char *name, unsigned long shared, unsigned long switches)
{
	unsigned long long longest = 0;
	pthread_t threads[NR_CPUS];
	unsigned long cpu;

	nr_shared = shared;
	nr_switches = switches;
	pthread_barrier_init(&barrier, NULL, nr_cpu_ids);
	for (cpu = 0; cpu < nr_cpu_ids; cpu++)
		if (pthread_create(&threads[cpu], NULL, thread, (void *)cpu))
			exit(1);
	for (cpu = 0; cpu < nr_cpu_ids; cpu++) {
		pthread_join(threads[cpu], NULL);
		longest = max(longest, elapsed[cpu]);
	}
	printf("%s %.3f\n", name, (double)longest / switches);
}

static void scenario_threads(void)
{
	count_threads("threads, fast path", 16, 20000000);
	count_threads("threads, rollovers", 2 * nr_ids, 2000000);
	count_threads("threads, sched out", 0, 20000000);
	spin_length = 8;
	count_threads("threads, switch after a while", 16, 5000000);
}

#else

static void scenario_threads(void)
{
}

#endif

/*
 * A switch and a sched out on the fast path, and a rollover, for a tracer of memory.
 * Stores of its number and of 0 to @mark enclose each of them.
 */
static volatile unsigned int mark;

#define marked(number, what) do {		\
	mark = (number);			\
	what;					\
	mark = 0;				\
} while (0)

static void scenario_accesses(void)
{
	struct context *ctx = NULL;
	u64 before;

	generation_of_fresh(NULL);
	subject_switch(&contexts[0]);
	subject_switch(&contexts[1]);
	marked(1, subject_switch(&contexts[0]));
	marked(2, subject_sched_out());

	before = generation(&contexts[0]);
	do {
		ctx = fresh();
		marked(3, subject_switch(ctx));
	} while (generation(ctx) == before);
	printf("mark %p\n", (void *)&mark);
	printf("variables %p\n", __per_cpu_offset[0] + __start_percpu);
	printf("size %lu\n", __per_cpu_offset[1] - __per_cpu_offset[0]);
}

static void scenario_memory(void)
{
	printf("memory, maps %zu\n", bench_allocated);
	printf("memory, CPU %zu\n", (size_t)(__stop_percpu - __start_percpu));
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} scenarios[] = {
		{ "switch", scenario_switch },
		{ "generation", scenario_generation },
		{ "search", scenario_search },
		{ "pin", scenario_pin },
		{ "memory", scenario_memory },
		{ "threads", scenario_threads },
		{ "accesses", scenario_accesses },
	};
	size_t i;

	for (i = 0; argc == 4 && i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
		if (strcmp(argv[1], scenarios[i].name))
			continue;
		boot(atoi(argv[2]), atoi(argv[3]));
		count_nothing();
		scenarios[i].run();
		return 0;
	}
	fprintf(stderr, "usage: %s switch|generation|search|pin|memory|threads|accesses CPUS BITS\n",
		argv[0]);
	return 2;
}
