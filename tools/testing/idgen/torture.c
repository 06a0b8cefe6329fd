// SPDX-License-Identifier: GPL-2.0-only
/*
 * Run lib/idgen_alloc.c on real threads.
 *
 * There is a thread for each CPU. It runs contexts, is scheduled out, pins and
 * unpins, and replaces unused contexts by new ones or by ones that have slept
 * for long. A context is replaced only if no CPU uses it and no register that is
 * walked holds it (A11). One more thread walks page tables for all CPUs, as
 * their translation registers say. Another one unmaps. Each step checks the
 * invariants: see hw.c.
 *
 * The seed determines what each thread does. The host determines how they
 * interleave. A thread may also yield or sleep before each access to an atomic,
 * as the seed says, so that race windows of a few instructions are mostly open.
 */
#include <sched.h>
#include <time.h>
#include <unistd.h>

#include "hw.h"

static unsigned int cpus = 4, bits = 4, nr_contexts = 24, seconds = 10;
static struct context contexts[MAX_CONTEXTS];
/* State of each CPU and of the thread that unmaps. */
static unsigned long steps[MAX_CPUS + 1][NR_STEPS];
static u64 seed;
static int stop;

/* xorshift64*, with one state per thread. */
static __thread u64 state;

static u32 rnd(u32 below)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (u32)(state * 2685821657736338717ULL >> 32) % below;
}

static void seed_thread(int thread)
{
	state = (seed + thread) * 0x9e3779b97f4a7c15ULL | 1;
}

void shim_point(const char *what, const void *where)
{
	struct timespec ts = {};

	if (!state)
		return;
	switch (rnd(2048)) {
	case 0:
		ts.tv_nsec = rnd(100000);
		nanosleep(&ts, NULL);
		break;
	case 1 ... 100:
		sched_yield();
		break;
	}
}

bool hw_walks_now(void)
{
	return rnd(2);
}

/* The owner is FREE or the holder's @self. */
#define FREE	(-2)

void shim_lock_init(raw_spinlock_t *lock)
{
	pthread_mutex_init(&lock->mutex, NULL);
	__atomic_store_n(&lock->owner, FREE, __ATOMIC_RELAXED);
}

void shim_lock(raw_spinlock_t *lock)
{
	shim_point("lock", lock);
	pthread_mutex_lock(&lock->mutex);
	__atomic_store_n(&lock->owner, self, __ATOMIC_RELAXED);
}

void shim_unlock(raw_spinlock_t *lock)
{
	__atomic_store_n(&lock->owner, FREE, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&lock->mutex);
	shim_point("unlock", lock);
}

bool shim_locked(const raw_spinlock_t *lock)
{
	return __atomic_load_n(&lock->owner, __ATOMIC_RELAXED) == self;
}

/* Use a context, unless it is being replaced. */
static bool get(struct context *ctx)
{
	int users = __atomic_load_n(&ctx->users, __ATOMIC_RELAXED);

	do {
		if (users < 0)
			return false;
	} while (!__atomic_compare_exchange_n(&ctx->users, &users, users + 1, true,
					      __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
	return true;
}

static void put(struct context *ctx)
{
	if (ctx)
		__atomic_fetch_sub(&ctx->users, 1, __ATOMIC_RELEASE);
}

static bool users_become(struct context *ctx, int from, int to)
{
	return __atomic_compare_exchange_n(&ctx->users, &from, to, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static struct context *get_any(void)
{
	struct context *ctx;

	do
		ctx = &contexts[rnd(nr_contexts)];
	while (!get(ctx));
	return ctx;
}

/* The context that this thread has pinned, and its ID until the unpin. */
#define MAX_PINS	4
static __thread struct pinned {
	struct context *ctx;
	u64 id;
} pinned[MAX_PINS];

static void check_pinned(const struct pinned *p)
{
	u64 id = idgen_atomic(read)(&p->ctx->value) & IDGEN_ID_MASK;

	if (id != p->id)
		hw_violation("PinStays: context %u was pinned with ID %llu, has %llu",
			     p->ctx->serial, p->id, id);
}

/* Several CPUs pin, up to the limit, and also the same context. */
static void pin(struct pinned *p, unsigned long *steps)
{
	p->ctx = get_any();
	p->id = idgen_alloc_pin(&hw.a, &p->ctx->value, &p->ctx->pins);
	if (p->id) {
		check_pinned(p);
		steps[PINS]++;
	} else {
		put(p->ctx);
		p->ctx = NULL;
	}
}

static void unpin(struct pinned *p)
{
	check_pinned(p);
	idgen_alloc_unpin(&hw.a, &p->ctx->value, &p->ctx->pins);
	put(p->ctx);
	p->ctx = NULL;
}

/* For the check at the next rollover, which cannot happen without the lock. */
static void tell_out(int cpu, bool out)
{
	shim_lock(&hw.a.lock);
	hw.cpu[cpu].out_since = out ? hw.a.generation : 0;
	shim_unlock(&hw.a.lock);
}

/* The value of the context that this thread ran last. */
static __thread idgen_value_t last_value;

/* @had is the context in the register. Returns the one in it afterwards. */
static struct context *run(int cpu, struct context *had, unsigned long *steps)
{
	struct context *ctx = get_any();
	unsigned int i;

	hw_leave(cpu);
	if (hw.cpu[cpu].out_since)
		tell_out(cpu, false);
	idgen_alloc_switch(&hw.a, &hw.slot[cpu], &ctx->value, &ctx->pins);
	last_value = idgen_atomic(read)(&ctx->value);
	hw_enter(cpu, ctx);
	put(had);

	steps[SWITCHES]++;
	for (i = 0; i < MAX_PINS; i++)
		if (pinned[i].ctx == ctx)
			check_pinned(&pinned[i]);
	return ctx;
}

static void sched_out(int cpu, struct context *had, unsigned long *steps)
{
	hw_sched_out(cpu);
	if (!rnd(4))
		tell_out(cpu, true);
	/* If walks continue, the context is still in the register. */
	if (!mode_walks_on(hw.mode)) {
		hw_clear(cpu);
		put(had);
	}
	steps[OUTS]++;
}

/*
 * The value of a new context, or of one from 2^k rollovers ago, which must not
 * pass for a current one. k is at least 16: no CPU sleeps through so many.
 */
static idgen_value_t slept(void)
{
	unsigned int id, bits = __builtin_popcountll(LAST_GEN);
	idgen_value_t value = last_value;

	if (!value || rnd(2))
		return 0;
	id = 1 + rnd((1 << hw.a.bits) - 1);
	value = (value - (IDGEN_GEN_STEP << (16 + rnd(bits - 16)))) & LAST_GEN;
	return value && !hw.excluded[id] ? value | id : 0;
}

static void maybe_birth(unsigned long *steps)
{
	struct context *ctx = &contexts[rnd(nr_contexts)];

	if (!users_become(ctx, 0, -1))
		return;
	hw_birth(ctx, slept());
	users_become(ctx, -1, 0);
	steps[BIRTHS]++;
}

static void *play_cpu(void *arg)
{
	int cpu = (long)arg;
	unsigned long *did = steps[cpu];
	struct context *had = NULL;
	unsigned int i;

	self = cpu;
	seed_thread(cpu);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		switch (rnd(16)) {
		case 0:
			i = rnd(MAX_PINS);
			if (pinned[i].ctx)
				unpin(&pinned[i]);
			else
				pin(&pinned[i], did);
			break;
		case 1:
			maybe_birth(did);
			break;
		default:
			if (hw.mode->out && (had || !rnd(4))) {
				sched_out(cpu, had, did);
				if (!mode_walks_on(hw.mode))
					had = NULL;
				if (!rnd(4))
					break;
			}
			had = run(cpu, had, did);
		}
	}
	for (i = 0; i < MAX_PINS; i++)
		if (pinned[i].ctx)
			unpin(&pinned[i]);
	hw_clear(cpu);
	put(had);
	return NULL;
}

static void *speculate(void *arg)
{
	self = cpus;
	seed_thread(cpus);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		hw_fill(rnd(cpus));
		if (!rnd(8))
			sched_yield();
	}
	return NULL;
}

/* Update the excluded IDs, which fails while there are pins. */
static void update(void)
{
	int ret = idgen_alloc_update_excluded(&hw.a);

	if (ret && ret != -EBUSY)
		hw_violation("update_excluded: %s", strerror(-ret));
	steps[cpus][UPDATES] += !ret;
}

static void *unmap(void *arg)
{
	struct context *ctx;

	self = cpus + 1;
	seed_thread(cpus + 1);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		ctx = get_any();
		steps[cpus][UNMAPS] += hw_unmap(ctx);
		put(ctx);
		if (hw.ops.exclude_ids && !rnd(2))
			update();
		sched_yield();
	}
	return NULL;
}

static void start(pthread_t *thread, void *(*what)(void *), long arg)
{
	int ret = pthread_create(thread, NULL, what, (void *)arg);

	if (ret) {
		fprintf(stderr, "error: cannot make a thread: %s\n", strerror(ret));
		exit(2);
	}
}

static bool torture(const struct mode *mode)
{
	unsigned long sum[NR_STEPS] = {};
	pthread_t threads[MAX_CPUS + 2];
	unsigned int i, step;
	bool good;

	memset(steps, 0, sizeof(steps));
	memset(contexts, 0, sizeof(contexts));
	stop = 0;
	hw_watchdog(seconds + 60);
	hw_init(cpus, bits, mode, 100);
	for (i = 0; i < nr_contexts; i++)
		hw_birth(&contexts[i], 0);

	for (i = 0; i < cpus; i++)
		start(&threads[i], play_cpu, i);
	start(&threads[cpus], speculate, 0);
	start(&threads[cpus + 1], unmap, 0);
	sleep(seconds);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (i = 0; i < cpus + 2; i++)
		pthread_join(threads[i], NULL);

	for (i = 0; i <= cpus; i++)
		for (step = 0; step < NR_STEPS; step++)
			sum[step] += steps[i][step];
	for (i = 0; i < cpus; i++) {
		sum[FILLS] += hw.cpu[i].fills;
		sum[FLUSHES] += hw.cpu[i].flushes;
	}
	sum[ROLLOVERS] = hw_rollovers();
	sum[RESERVED] = hw.reserved;
	if (hw.a.nr_pinned)
		hw_violation("PinStays: %lu pins are left over", hw.a.nr_pinned);
	good = hw_row(sum);
	hw_destroy();
	return good;
}

static int usage(void)
{
	fprintf(stderr, "torture [-t seconds] [-s seed] [-c CPUs] [-b bits] [-n contexts] [-k] [-m mode]\n"
			"  -k  exclude every odd ID\n"
			"  -m  all that must hold (the default), bad (the others), or one of:");
	hw_print_modes();
	return 2;
}

int main(int argc, char **argv)
{
	unsigned int id;
	const char *which = "all";
	int opt;

	hw.updates = true;
	seed = (u64)time(NULL) << 16 ^ (u64)getpid();
	while ((opt = getopt(argc, argv, "t:s:c:b:n:km:h")) != -1) {
		switch (opt) {
		case 't':
			seconds = hw_number(opt, 1, 86400);
			break;
		case 's':
			seed = hw_number(opt, 0, ~0ULL);
			break;
		case 'c':
			cpus = hw_number(opt, 1, MAX_CPUS);
			break;
		case 'b':
			bits = hw_number(opt, IDGEN_MIN_BITS, IDGEN_ID_BITS);
			break;
		case 'n':
			nr_contexts = hw_number(opt, 1, MAX_CONTEXTS);
			break;
		case 'k':
			for (id = 1; id < 1 << IDGEN_ID_BITS; id += 2)
				hw.excluded[id] = true;
			break;
		case 'm':
			which = optarg;
			break;
		case 'h':
			usage();
			return 0;
		default:
			return usage();
		}
	}
	if (optind < argc)
		return usage();

	printf("seed %llu, %u CPUs, %u bits, %u contexts, %u s for each mode\n", seed, cpus,
	       bits, nr_contexts, seconds);
	return hw_run_modes(which, torture, usage);
}
