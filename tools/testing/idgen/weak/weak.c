// SPDX-License-Identifier: GPL-2.0-only
/*
 * lib/idgen_alloc.c under weak memory, for GenMC.
 *
 * Each CPU is a thread with a short script, which run.py takes from the file "programs". At
 * the start, each usable ID has an owner: context A runs on the first CPU, B on the second, and
 * so on. Further owners sleep. Other contexts have no ID, so the first switch to one of them
 * rolls over. GenMC explores all executions that the memory model allows.
 *
 * Hardware: each CPU has a translation register, which only this CPU reads, and a TLB with a
 * bit for each ID and context. A CPU walks as soon as its register is written, and again just
 * before the next write. More entries only mean more violations. A broadcast flush or TLBI has
 * a full barrier on both sides (A1). If a TLBI overtakes a walk, the walk leaves no entry.
 *
 * GenMC refuses mixed sizes ("Mixed-size accesses detected"), so sched out is a relaxed AND of
 * the same bytes. The store allows one more behaviour: the next read of the own slot may miss
 * IDGEN_TAKEN. So reads after sched out may miss it here (A8). Once one has, all later ones do.
 * ../litmus/emitted.py checks the instructions that compilers emit.
 *
 * After all scripts, one CPU runs all contexts in turn, as a fault may only show at a later
 * rollover.
 */
#include "shim.h"

static u64 fast_read(const atomic64_t *v);
#define atomic64_read fast_read
#include <linux/idgen_alloc.h>
#undef atomic64_read

unsigned long heap[4][4];
unsigned int heap_used, nr_cpu_ids = CPUS;

#include SRC

enum { A, B, C, D, E, F, G, H };
#define NONE	CTXS

/* A violation, by the name in Documentation/core-api/idgen_alloc.rst. */
#define must(cond, which) \
	((cond) ? (void)0 : __VERIFIER_assert_fail(#which, __FILE__, __LINE__))

static struct idgen_alloc alloc;
static struct idgen_slot slots[CPUS];
static idgen_atomic_t values[CTXS];
static refcount_t pins[CTXS];

/* Private to the CPU: the register, and the ID that the script has pinned. */
static struct cpu {
	unsigned int ctx, id, pinned, pinned_id;
} cpus[CPUS];

/* Entries, with a bit for each context. Each flush or TLBI changes the bits above. */
#define ENTRIES	((1U << CTXS) - 1)
static u32 tlb[CPUS][IDS + 1], nr_flushes;
static u32 unmapped[CTXS], coin;

static __thread int me;
static __thread bool was_out;

static unsigned int id_in(u64 value)
{
	return value & IDGEN_ID_MASK;
}

static u32 load(u32 *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static void store(u32 *p, u32 i)
{
	__atomic_store_n(p, i, __ATOMIC_RELAXED);
}

static u64 fast_read(const atomic64_t *v)
{
	u64 value = atomic64_read(v);

	if (was_out && (void *)v == &slots[me] && value & IDGEN_TAKEN && load(&coin))
		value &= ~IDGEN_TAKEN;
	return value;
}

void store_part(void *where, unsigned int size, u64 i)
{
	unsigned long byte = (unsigned long)where % sizeof(u64);
	u64 *whole = (void *)((char *)where - byte);
	u64 mask = (size < sizeof(u64) ? (1ULL << 8 * size) - 1 : ~0ULL) << 8 * byte;

	assert(!i);
	__atomic_fetch_and(whole, ~mask, __ATOMIC_RELAXED);
	was_out = true;
}

void shim_point(const char *what, const void *where)
{
}

void shim_lock_init(raw_spinlock_t *lock)
{
}

/* GenMC's own mutex makes it crash with three threads (v0.9, MOCalculator.cpp:65). */
void shim_lock(raw_spinlock_t *lock)
{
	int unlocked = 0;

	/* An execution that would wait is the same as one in which the CPU comes later (A12). */
	__VERIFIER_assume(__atomic_compare_exchange_n(&lock->owner, &unlocked, 1, false,
						      __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
}

void shim_unlock(raw_spinlock_t *lock)
{
	__atomic_store_n(&lock->owner, 0, __ATOMIC_RELEASE);
}

bool shim_locked(const raw_spinlock_t *lock)
{
	return true;
}

/*
 * Hardware
 */

static void walk(int p)
{
	unsigned int ctx = cpus[p].ctx, id = cpus[p].id;
	u32 *at = &tlb[p][id], entries, was;

	if (ctx == NONE)
		return;
	if (UNMAP) {
		entries = load(at);
		was = entries;
		/* A walk that begins after a TLBI reads the changed page table entry (A1). */
		smp_rmb();
		if (load(&unmapped[ctx]) ||
		    !__atomic_compare_exchange_n(at, &was, entries | 1U << ctx, false,
						 __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			return;
	} else {
		entries = __atomic_fetch_or(at, 1U << ctx, __ATOMIC_RELAXED);
	}
	must(!(entries & ENTRIES & ~(1U << ctx)), UniquePerCPU);
}

static void drop(int p, unsigned int id, u32 number)
{
	__atomic_exchange_n(&tlb[p][id], number << CTXS, __ATOMIC_RELAXED);
}

static void flush_cpu(struct idgen_alloc *a)
{
	unsigned int id;

	nr_flushes++;
	for (id = 1; id <= IDS; id++)
		drop(me, id, nr_flushes);
}

static void flush_all(struct idgen_alloc *a)
{
	unsigned int p, id;

	nr_flushes++;
	/* The DSBs order a broadcast (A1). */
	mb();
	for (p = 0; p < CPUS; p++)
		for (id = 1; id <= IDS; id++)
			drop(p, id, nr_flushes);
	/* Complete. */
	mb();
}

static void exclude_above(struct idgen_alloc *a, unsigned long *map)
{
	unsigned int id;

	for (id = IDS + 1; id < 1 << IDGEN_MIN_BITS; id++)
		__set_bit(id, map);
}

static const struct idgen_ops ops = {
	.name = "weak",
	.pins = PINS,
	.exclude_ids = exclude_above,
	.flush_all = FLUSH_ALL ? flush_all : NULL,
	.flush_cpu = FLUSH_LOCAL ? flush_cpu : NULL,
};

/*
 * Steps of scripts
 */

static void out(int p)
{
	if (cpus[p].ctx == NONE)
		return;
	walk(p);
	cpus[p].ctx = NONE;
	/* The register is out of context before the slot is cleared (A3). */
	mb();
	idgen_alloc_sched_out(&slots[p]);
}

static void run(int p, unsigned int ctx)
{
	if (SCHED_OUT)
		out(p);
	idgen_alloc_switch(&alloc, &slots[p], &values[ctx], PINS ? &pins[ctx] : NULL);
	walk(p);
	cpus[p].ctx = ctx;
	cpus[p].id = id_in(idgen_atomic(read)(&values[ctx]));
	must(cpus[p].id && cpus[p].id <= IDS, NeverReservedID);
	walk(p);
}

static void look_at_pin(int p)
{
	must(cpus[p].pinned == NONE ||
	     cpus[p].pinned_id == id_in(idgen_atomic(read)(&values[cpus[p].pinned])), PinStays);
}

static void pin(int p, unsigned int ctx)
{
	cpus[p].pinned_id = idgen_alloc_pin(&alloc, &values[ctx], &pins[ctx]);
	cpus[p].pinned = ctx;
	must(cpus[p].pinned_id, PinStays);
}

static void unpin(int p, unsigned int ctx)
{
	look_at_pin(p);
	cpus[p].pinned = NONE;
	idgen_alloc_unpin(&alloc, &values[ctx], &pins[ctx]);
}

static void unmap(int p, unsigned int ctx)
{
	unsigned int id;

	store(&unmapped[ctx], 1);
	/* Read the ID after the change, as EmptyAfterUnmap requires. */
	mb();
	id = id_in(idgen_atomic(read)(&values[ctx]));
	for (p = 0; p < CPUS; p++)
		drop(p, id, 1 << 8);
	/* Complete. */
	mb();
}

static void *script0(void *unused)
{
	me = 0;
	SCRIPT0
	return NULL;
}

static void *script1(void *unused)
{
	me = 1;
	SCRIPT1
	return NULL;
}

static void *script2(void *unused)
{
	me = 2;
	SCRIPT2
	return NULL;
}

/* A race: load(&coin) is 0 or 1, and GenMC explores both. */
static void *toss(void *unused)
{
	store(&coin, 1);
	return NULL;
}

/* Called while no other CPU runs. */
static void look(void)
{
	unsigned int p, q, ctx, id;

	for (p = 0; p < CPUS; p++) {
		ctx = cpus[p].ctx;
		id = cpus[p].id;
		look_at_pin(p);
		must(test_bit(id_in(slots[p].reserved), alloc.map), ReservedInMap);
		if (ctx == NONE)
			continue;
		must(id == id_in(idgen_atomic(read)(&values[ctx])), SameActive);
		for (q = 0; q < p; q++)
			must(ctx == cpus[q].ctx || id != cpus[q].id, UniqueActive);
		if (UNMAP && load(&unmapped[ctx]))
			must(!(tlb[p][id] >> ctx & 1), EmptyAfterUnmap);
	}
}

int main(void)
{
	pthread_t threads[4];
	unsigned int p, ctx;

	idgen_alloc_init(&alloc, &ops, IDGEN_MIN_BITS, slots);
	for (p = 0; p < CPUS; p++) {
		cpus[p].ctx = NONE;
		cpus[p].pinned = NONE;
	}
	/* The sleeping contexts have run on the last CPU. */
	for (me = CPUS - 1, ctx = CPUS; ctx < IDS; ctx++)
		run(me, ctx);
	for (me = 0; me < CPUS; me++)
		run(me, me);
	was_out = false;

	pthread_create(&threads[0], NULL, toss, NULL);
	pthread_create(&threads[1], NULL, script0, NULL);
	pthread_create(&threads[2], NULL, script1, NULL);
	if (THREADS > 2)
		pthread_create(&threads[3], NULL, script2, NULL);
	for (p = 1; p <= THREADS; p++)
		pthread_join(threads[p], NULL);
	look();

	me = load(&coin) ? 0 : CPUS - 1;
	for (ctx = CTXS; ctx--; ) {
		run(me, ctx);
		look();
	}
	return 0;
}
