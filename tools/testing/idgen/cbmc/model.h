/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * lib/idgen_alloc.c on CPUs with translation registers and TLBs, for CBMC.
 *
 * CBMC's own threads are too expensive, so they are not used. The code of a CPU is split
 * where another CPU could interfere:
 *
 *  - A fast path (the header's inline functions) runs up to some access, and continues
 *    later by record and replay: the function is called again, and the accesses that were
 *    made before return their recorded results and have no effect.
 *  - With the lock held, other CPUs run before each access that they could notice. They
 *    stop where they would wait for the lock. See others_step_in().
 *  - A hardware operation is one step: a write of the register (A2), a flush of one TLB
 *    (A1), a walk (A9). With CnP there is one TLB (A4).
 *
 * All accesses are in program order (A7). weak/ and litmus/ show for each relaxed one
 * that no other order matters. There is one exception: sched out stores only the ID of a
 * slot, so a read after it may have that ID, and the rest from before a rollover (A8). So
 * here, any read of a slot may miss IDGEN_TAKEN.
 *
 * A TLB has entries of one arbitrary ID only, "watched". Entries of other IDs do not
 * affect these, no TLB affects the allocator, and each invariant is about one ID. There
 * is one bit for each context that may have an entry. Entries appear as soon as possible,
 * at each write of a register and after each flush, and disappear in flushes only. More
 * entries only mean more violations, so this is the worst case of random walks.
 *
 * The options are those of tla/idgen.tla. All are macros.
 */
#include "shim.h"
#include <linux/idgen_alloc.h>

#undef atomic64_read
#undef atomic64_set
#undef atomic64_xchg_relaxed
#undef atomic64_cmpxchg_relaxed
#undef atomic64_andnot
#undef atomic_read
#undef atomic_set
#undef atomic_xchg_relaxed
#undef atomic_cmpxchg_relaxed
#undef atomic_andnot
#undef __idgen_alloc_switch
#define atomic64_read	slow_read
#define atomic64_set	slow_set
#define atomic64_fetch_or_relaxed	slow_fetch_or
#define atomic_read	slow_read
#define atomic_set	slow_set
#define atomic_fetch_or_relaxed	slow_fetch_or

/* Few IDs will do. */
#undef IDGEN_MIN_BITS
#define IDGEN_MIN_BITS		BITS

#include SRC

enum { OUT_NONE, OUT_KEEP, OUT_FIRST, OUT_TOGETHER, OUT_LATE };

/* The number of the last generation. The next is 1. */
#define LAST_GEN	((u64)(IDGEN_TAKEN / IDGEN_GEN_STEP) - 1)
#define NR		(1 << BITS)
#define WHERES		(CNP ? 1 : CPUS)
#define WHERE(p)	(CNP ? 0 : (p))
/* In a register: no context. In a TLB: a context that has ended. */
#define NONE		CTXS
#define GONE		CTXS

_Bool nondet_bool(void);
u8 nondet_u8(void);

enum op { NOTHING, SWITCH, OUT, PIN, UNPIN, ALLOW };
enum at { IDLE, CALL, LOCK, READ, WRITE, LEFT };
#define RECORDS 3

struct cpu {
	/* The current operation, its progress, and its context. */
	u8 op, at, want;
	/* The accesses of the call so far, and their results. */
	u8 done;
	u64 record[RECORDS];
	/* The CPU has loaded a context and was not sched out since. */
	bool loaded;
	/* The register, and whether its context is running. */
	u8 reg, id;
	bool running;
	/* The contexts that ran here, for LAST_RAN. */
	u8 ran;
};

static struct idgen_alloc a;
static struct idgen_slot slots[CPUS];
static unsigned long the_map, the_base, the_hint;
static struct cpu cpus[CPUS];
static u64 values[CTXS];
static u32 pins[CTXS];
static u8 pinned[CTXS];
static u8 tlb[WHERES], watched;
static bool mapped[CTXS];
/* The thread that unmaps: its progress, the context and the ID. */
static u8 unmap_at, victim, unmap_id;
static bool unmapped;
#define UNMAPPED	(2 + WHERES)

/* The CPU that executes code. */
static int me;
/* Set during init, when no other CPU runs. */
static bool booting;
/* The lock is held, or was before: a step has one critical section only (A12). */
static bool locked, was_locked;
static bool warned;
/* Whether the last ID is still excluded, until idgen_alloc_update_excluded(). */
static bool provisional;
/* Calls of new_id() in a slow path. */
static u8 new_ids;
/* A value or a bit was too large; see narrow() and bit_of(). */
bool lost;

/*
 * The context of the current operation. Its value and pin count have the same two
 * addresses for all contexts, as constant addresses are cheap for the solver. Accesses to
 * "wanted" go to the value of the context. The pin count is copied, as it changes only
 * with the lock held.
 */
static idgen_atomic_t wanted;
static refcount_t wanted_pins;

static u64 peek(const idgen_atomic_t *v)
{
	return v == &wanted ? values[cpus[me].want] : v->counter;
}

static void poke(idgen_atomic_t *v, u64 i)
{
	if (v == &wanted)
		values[cpus[me].want] = i;
	else
		v->counter = i;
}

unsigned int nr_cpu_ids = CPUS;

/*
 * Assignments to "said" are the steps of a trace that run.py prints.
 */
enum {
	SAID_NOTHING, SAID_SWITCH, SAID_OUT, SAID_PIN, SAID_UNPIN, SAID_EXIT, SAID_WRITE,
	SAID_WAITS, SAID_LOCK, SAID_UNLOCK, SAID_TAKE, SAID_FLUSH, SAID_VALUE, SAID_SET,
	SAID_CLEAR, SAID_UNMAP, SAID_UNMAP_ID, SAID_TLBI, SAID_WALK, SAID_BAD, SAID_FAST,
	SAID_MARK, SAID_START,
};

static unsigned int said;

static void say(u8 what, u8 cpu, u8 x, u8 y)
{
	said = what | cpu << 8 | x << 16 | y << 24;
}

/*
 * The invariants of Documentation/core-api/idgen_alloc.rst. A violation is recorded.
 */
enum invariant {
	UniquePerCPU, UniqueAllCPUs, UniqueActive, SameActive, ReservedInMap,
	NeverReservedID, FlushBeforeReuse, PinStays, EmptyAfterUnmap, AlwaysSucceeds,
	INVARIANTS
};

static bool bad[INVARIANTS];

static void must(bool holds, enum invariant which)
{
	if (!holds && !bad[which]) {
		bad[which] = true;
		say(SAID_BAD, me, which, 0);
	}
}

/* Called at the end. run.py needs the names. */
static void assert_invariants(void)
{
#define ASSERT(which)	__CPROVER_assert(!bad[which], #which)
	ASSERT(UniquePerCPU);
	ASSERT(UniqueAllCPUs);
	ASSERT(UniqueActive);
	ASSERT(SameActive);
	ASSERT(ReservedInMap);
	ASSERT(NeverReservedID);
	ASSERT(FlushBeforeReuse);
	ASSERT(PinStays);
	ASSERT(EmptyAfterUnmap);
	ASSERT(AlwaysSucceeds);
}

static u64 value_of(int c)
{
	return values[c];
}

static u64 id_in(u64 value)
{
	return value & IDGEN_ID_MASK;
}

static u64 gen_of(u64 value)
{
	return value & ~(IDGEN_TAKEN | IDGEN_ID_MASK);
}

/* The value in the slot, or 0 if a rollover has taken it. */
static u64 shown(int p)
{
	u64 active = slots[p].active.counter;

	return active & IDGEN_TAKEN ? 0 : active;
}

/* The arguments of say(). */
static u8 told_gen(u64 value)
{
	return value & IDGEN_TAKEN ? 0 : gen_of(value) / IDGEN_GEN_STEP;
}

static bool usable(u64 id)
{
	return id && id <= IDS - provisional;
}

/* Invariants of registers and TLBs, which must hold at any time. */
static void look_at_hardware(void)
{
	bool unique = true, own = true, different = true, same = true, gone = true;
	int p, q;

	for (p = 0; p < WHERES; p++)
		unique &= !(tlb[p] & (tlb[p] - 1));
	for (p = 0; p < CPUS; p++) {
		const struct cpu *c = &cpus[p];
		u8 entries = tlb[WHERE(p)];

		if (c->running && c->id == watched) {
			own &= !(entries & ~(1 << c->reg));
			gone &= !(unmapped && c->reg == victim && entries >> victim & 1);
		}
		for (q = 0; q < p; q++) {
			if (c->running && cpus[q].running) {
				different &= c->reg == cpus[q].reg || c->id != cpus[q].id;
				same &= c->reg != cpus[q].reg || c->id == cpus[q].id;
			}
		}
	}
	must(unique, CNP ? UniqueAllCPUs : UniquePerCPU);
	must(own, FlushBeforeReuse);
	must(different, UniqueActive);
	must(same, SameActive);
	if (UNMAP)
		must(gone, EmptyAfterUnmap);
}

/* Invariants of the allocator's data, which must hold while the lock is free. */
static void look_at_software(void)
{
	bool in_map = true, never = true, stays = true, succeeds = true;
	int p, c;

	for (p = 0; p < CPUS; p++)
		in_map &= test_bit(id_in(slots[p].reserved), &the_map);
	for (c = 0; c < CTXS; c++) {
		u64 value = values[c], id = id_in(value);

		succeeds &= id < NR;
		never &= !value || (gen_of(value) && (usable(id) || id >= NR));
		stays &= !pinned[c] || pinned[c] == id;
	}
	must(in_map, ReservedInMap);
	must(never, NeverReservedID);
	must(succeeds, AlwaysSucceeds);
	if (PINS)
		must(stays && a.nr_pinned <= a.max_pinned, PinStays);
}

/*
 * Hardware
 */

static bool walks(int p)
{
	return cpus[p].reg != NONE && (!WALK_RUNNING || cpus[p].running);
}

static void walk(int p)
{
	if (!walks(p) || !mapped[cpus[p].reg] || cpus[p].id != watched)
		return;
	say(SAID_WALK, p, cpus[p].reg, cpus[p].id);
	tlb[WHERE(p)] |= 1 << cpus[p].reg;
}

static void walk_at_once(int where)
{
	int p;

	for (p = 0; p < CPUS; p++)
		if (WHERE(p) == where)
			walk(p);
}

/* This CPU has the lock, and others may run. @who: the CPUs that can see its next access. */
static void steps_in(unsigned int who);

static void flush(int where)
{
	unsigned int who = 0;
	int p;

	for (p = 0; p < CPUS; p++)
		who |= (p != me && WHERE(p) == where) << p;
	if (who)
		steps_in(who);
	look_at_hardware();
	say(SAID_FLUSH, me, where, 0);
	tlb[where] = 0;
	for (p = 0; BLIND && p < CPUS; p++)
		if (WHERE(p) == where && cpus[p].reg != NONE && cpus[p].id == watched)
			tlb[where] |= 1 << cpus[p].reg;
	walk_at_once(where);
}

/* Drop the entries with @id. */
static void tlbi(int where, u8 id)
{
	look_at_hardware();
	if (id == watched)
		tlb[where] = 0;
	walk_at_once(where);
}

/*
 * Code under the lock
 */

/* Before an access to @v, run the CPUs that could notice it. */
static void others_step_in(const idgen_atomic_t *v)
{
	unsigned int who = 0;
	int p;

	for (p = 0; p < CPUS; p++)
		who |= (p != me && (v == &wanted || v == &slots[p].active)) << p;
	if (who && !booting)
		steps_in(who);
}

static u64 slow_read(const idgen_atomic_t *v)
{
	/* Values change only with the lock held. */
	if (v != &wanted)
		others_step_in(v);
	return peek(v);
}

static void slow_set(idgen_atomic_t *v, u64 i)
{
	others_step_in(v);
	say(v == &wanted ? SAID_VALUE : SAID_SET, me, id_in(i), told_gen(i));
	poke(v, i);
}

static u64 slow_fetch_or(u64 i, idgen_atomic_t *v)
{
	u64 was;

	others_step_in(v);
	was = peek(v);
	say(SAID_TAKE, me, id_in(was), told_gen(was));
	poke(v, was | i);
	return was;
}

/* Pin counts change only with the lock held. */
void shim_point(const char *what, const void *where)
{
}

/* Warnings of refcount_t only. The C file's own warnings are asserted not to occur. */
void shim_bad(const char *what)
{
	warned = true;
}

void shim_lock_init(raw_spinlock_t *lock)
{
}

void shim_lock(raw_spinlock_t *lock)
{
	__CPROVER_assert(!locked, "WARN: the lock is taken twice");
	__CPROVER_assert(!was_locked, "WARN: the lock is dropped and taken again in one slow path");
	say(SAID_LOCK, me, 0, 0);
	locked = true;
	was_locked = true;
}

void shim_unlock(raw_spinlock_t *lock)
{
	say(SAID_UNLOCK, me, 0, 0);
	locked = false;
}

bool shim_locked(const raw_spinlock_t *lock)
{
	return locked;
}

static void flush_cpu(struct idgen_alloc *alloc)
{
	if (!CNP || !OWN_VIEW)
		flush(WHERE(me));
}

static void flush_all(struct idgen_alloc *alloc)
{
	int where;

	for (where = 0; where < WHERES; where++)
		flush(where);
}

static void never_above(struct idgen_alloc *alloc, unsigned long *map)
{
	unsigned long id;

	for (id = IDS + 1 - provisional; id < idgen_alloc_nr(alloc); id++)
		__set_bit(id, map);
}

/* No CPU runs it, nor relies on its ID; and its value is still the old one. */
static void new_id(struct idgen_alloc *alloc, idgen_atomic_t *ctx)
{
	bool runs = false;
	int p;

	for (p = 0; p < CPUS; p++)
		runs |= p != me && cpus[p].loaded && cpus[p].at != LEFT &&
			cpus[p].reg == cpus[me].want && cpus[p].op != SWITCH;
	__CPROVER_assert(ctx == &wanted && locked && !runs, "WARN: new_id() of what runs");
	new_ids++;
}

static const struct idgen_ops ops = {
	.name = "cbmc",
	.pins = PINS,
	.provisional = UPDATE,
	.exclude_ids = BASE ? never_above : NULL,
#if NEW_ID
	.new_id = new_id,
#endif
	.flush_all = FLUSH_ALL ? flush_all : NULL,
	.flush_cpu = FLUSH_LOCAL ? flush_cpu : NULL,
};

/* The allocator at boot, and once the excluded IDs are known, which is what limits pins. */
static struct idgen_alloc known;

static void boot(void)
{
	booting = true;
	provisional = UPDATE;
	__CPROVER_assert(!idgen_alloc_init(&a, &ops, BITS, slots), "WARN: init fails");
	known = a;
	if (UPDATE) {
		unsigned long map;

		provisional = false;
		known.base = &map;
		__CPROVER_assert(!idgen_alloc_update_excluded(&known), "WARN: update fails");
		was_locked = false;
		provisional = true;
	}
	booting = false;
}

/* An allocator in use, with any IDs taken and any position of the search. */
static void any_allocator(u64 generation)
{
	boot();
	if (UPDATE && nondet_bool()) {
		provisional = false;
		a = known;
	}
	a.generation = generation;
	a.cursor = nondet_u8() % (2 * NR);
	a.map = &the_map;
	a.base = BASE ? &the_base : NULL;
	/* So small that IDs share a bit. */
	a.hint = &the_hint;
	a.hint_size = 4;
	the_map = nondet_u8() % (1 << NR);
	watched = nondet_u8() % 8;
	/* Any ID will do (A9). */
	__CPROVER_assume(usable(watched));
}

/*
 * The fast paths: up to RECORDS accesses
 */

/* How far the CPU runs before another CPU. Checked before each access. */
static bool goes;
static bool go(void);

static u8 access;
static bool stopped, waits;

void await_lock(struct idgen_alloc *alloc, struct idgen_slot *slot)
{
	waits = true;
}

/* Whether the access is made now. Otherwise it was made before, or comes later. */
static bool comes_now(void)
{
	if (access++ < cpus[me].done)
		return false;
	if (!stopped && !go())
		stopped = true;
	return !stopped;
}

static u64 recorded(void)
{
	return access <= cpus[me].done ? cpus[me].record[access - 1] : 0;
}

static void record(u64 gave)
{
	__CPROVER_assert(access <= RECORDS, "WARN: a fast path has more accesses than expected");
	cpus[me].record[access - 1] = gave;
	cpus[me].done = access;
}

static u64 fast_read(const idgen_atomic_t *v)
{
	u64 value = peek(v);

	if (comes_now()) {
		if (value & IDGEN_TAKEN && nondet_bool())
			value &= ~IDGEN_TAKEN;
		record(value);
	}
	return recorded();
}

static void cleared_with_slot(void)
{
	if (SCHED_OUT == OUT_TOGETHER && cpus[me].op == OUT)
		cpus[me].reg = NONE;
}

static void fast_set(idgen_atomic_t *v, u64 i)
{
	if (comes_now()) {
		record(0);
		poke(v, i);
		say(SAID_FAST, me, id_in(i), told_gen(i));
		cleared_with_slot();
	}
}

static u64 fast_xchg(idgen_atomic_t *v, u64 i)
{
	if (comes_now()) {
		record(peek(v));
		poke(v, i);
		say(SAID_FAST, me, id_in(i), told_gen(i));
		cleared_with_slot();
	}
	return recorded();
}

static u64 fast_cmpxchg(idgen_atomic_t *v, u64 old, u64 new)
{
	if (comes_now()) {
		record(peek(v));
		/* arch/arm's own copy stores regardless of the old value (see a8ffaaa060b8). */
		if (XCHG || peek(v) == old) {
			poke(v, new);
			say(SAID_FAST, me, id_in(new), told_gen(new));
		}
	}
	return recorded();
}

static void fast_andnot(u64 i, idgen_atomic_t *v)
{
	if (comes_now()) {
		record(0);
		poke(v, peek(v) & ~i);
		say(SAID_MARK, me, id_in(peek(v)), told_gen(peek(v)));
		cleared_with_slot();
	}
}

/* A store to a part of the slot. */
static bool fast_stores(const void *where)
{
	if (!comes_now())
		return false;
	record(0);
	say(SAID_MARK, me, 0, told_gen(slots[me].active.counter));
	cleared_with_slot();
	return true;
}

/*
 * Operations of a CPU
 */

/* An idle CPU may start an operation. */
static void begin(int p)
{
	struct cpu *c = &cpus[p];
	u8 op = nondet_u8() % 8, want = nondet_u8() % 8;

	/* Bounds (A10). */
	__CPROVER_assume(want < CTXS);
	if (op == SWITCH && (DIRECT || !c->loaded)) {
		say(SAID_SWITCH, p, want, 0);
		c->op = op;
		c->at = CALL;
		c->want = want;
		c->running = false;
		if (RESERVED_TABLE)
			c->reg = NONE;
	} else if (op == OUT && SCHED_OUT != OUT_NONE && c->loaded) {
		say(SAID_OUT, p, 0, 0);
		c->op = op;
		c->at = CALL;
		c->running = false;
		if (SCHED_OUT == OUT_FIRST)
			c->reg = NONE;
	} else if (op == PIN && PINS && pins[want] < 2) {
		say(SAID_PIN, p, want, 0);
		c->op = op;
		c->at = LOCK;
		c->want = want;
	} else if (op == ALLOW && UPDATE) {
		c->op = op;
		c->at = LOCK;
	} else if (op == UNPIN && PINS) {
		say(SAID_UNPIN, p, want, 0);
		c->op = op;
		c->at = LOCK;
		c->want = want;
	}
	c->done = 0;
}

static void finish(struct cpu *c)
{
	c->op = NOTHING;
	c->at = IDLE;
}

static void run_fast_path(int p)
{
	struct cpu *c = &cpus[p];
	int was = me;

	me = p;
	access = 0;
	stopped = false;
	waits = false;
	if (c->op == OUT)
		idgen_alloc_sched_out(&slots[p]);
	else
		idgen_alloc_switch(&a, &slots[p], &wanted, PINS ? &wanted_pins : NULL);
	if (!stopped) {
		if (waits)
			say(SAID_WAITS, p, 0, 0);
		c->at = waits ? LOCK : c->op == OUT ? LEFT : READ;
		c->done = 0;
	}
	me = was;
}

static void run_slow_path(int p)
{
	struct cpu *c = &cpus[p];
	u8 w = c->want;

	u64 old = values[w];

	me = p;
	was_locked = false;
	warned = false;
	new_ids = 0;
	if (PINS)
		wanted_pins.refs = pins[w];
	if (UPDATE && c->op == ALLOW) {
		bool was_pinned = a.nr_pinned;

		provisional &= was_pinned;
		__CPROVER_assert(!idgen_alloc_update_excluded(&a) == !was_pinned,
				 "WARN: the excluded IDs are not asked for again, or are with pins");
	} else if (c->op == SWITCH) {
		__idgen_alloc_switch(&a, &slots[p], &wanted, PINS ? &wanted_pins : NULL);
	} else if (PINS && c->op == PIN) {
		/* Pinned twice at most (A10); another CPU may have been quicker. */
		__CPROVER_assume(pins[w] < 2);
		pinned[w] = idgen_alloc_pin(&a, &wanted, &wanted_pins);
	} else if (PINS) {
		idgen_alloc_unpin(&a, &wanted, &wanted_pins);
		if (pins[w] == 1)
			pinned[w] = 0;
	}
	__CPROVER_assert(warned == (PINS && c->op == UNPIN && !pins[w]),
			 "WARN: a warning that is not due, or none that is");
	__CPROVER_assert(was_locked && !locked,
			 "WARN: a slow path ends with the lock held, or took none");
	/* A rollover may give the context its old ID as a new one. */
	if (NEW_ID)
		__CPROVER_assert(new_ids <= 1 && (new_ids || id_in(old) == id_in(values[w])),
				 "WARN: new_id() is not called for each new ID");
	if (PINS)
		pins[w] = wanted_pins.refs;
	if (c->op == SWITCH)
		c->at = READ;
	else
		finish(c);
	look_at_software();
}

static void read_id(int p)
{
	cpus[p].record[0] = id_in(value_of(cpus[p].want));
	cpus[p].at = WRITE;
}

static void write_register(int p)
{
	struct cpu *c = &cpus[p];

	say(SAID_WRITE, p, c->want, c->record[0]);
	c->reg = c->want;
	c->id = c->record[0];
	c->running = true;
	c->loaded = true;
	if (LAST_RAN && !(c->ran >> c->want & 1)) {
		tlbi(WHERE(p), c->id);
		c->ran |= 1 << c->want;
	}
	walk(p);
	finish(c);
}

static void leave(int p)
{
	if (SCHED_OUT == OUT_LATE) {
		say(SAID_CLEAR, p, 0, 0);
		cpus[p].reg = NONE;
	}
	cpus[p].loaded = false;
	finish(&cpus[p]);
}

/*
 * Tell the solver that there are few generations and IDs. The dropped bits are 0, which is
 * checked.
 */
static void narrow(u64 *value, u64 mask)
{
	if (*value & ~mask)
		lost = true;
	*value &= mask;
}

static void narrow_all(void)
{
	u64 mask = 7 * IDGEN_GEN_STEP | (2 * NR - 1);
	u64 bits;
	int p, c, i;

	narrow(&a.generation, mask);
	bits = the_map;
	narrow(&bits, 2 * (1ULL << NR) - 1);
	the_map = bits;
	bits = a.cursor;
	narrow(&bits, 2 * NR - 1);
	a.cursor = bits;
	for (c = 0; c < CTXS; c++)
		narrow(&values[c], mask);
	for (p = 0; p < CPUS; p++) {
		narrow(&slots[p].active.counter, IDGEN_TAKEN | mask);
		narrow(&slots[p].reserved, mask);
		for (i = 0; i < RECORDS; i++)
			narrow(&cpus[p].record[i], IDGEN_TAKEN | mask);
	}
}

/* The remaining TLB entries of @c have no owner now. */
static void orphan_entries(int c)
{
	int p;

	for (p = 0; p < WHERES; p++)
		if (tlb[p] >> c & 1)
			tlb[p] = (tlb[p] & ~(1 << c)) | 1 << GONE;
}

/*
 * Whether a CPU prevents the end of a context (A11). A context that only a register holds, as
 * after sched out with VHE, can end if that register is not walked (A3).
 */
static bool needs(int p, int ctx)
{
	const struct cpu *c = &cpus[p];

	return (c->reg == ctx && (c->loaded || !WALK_RUNNING)) ||
	       (c->op != NOTHING && c->want == ctx);
}

/* A context that no CPU needs ends; another starts in its place. */
static void end_context(u8 which)
{
	int p, c;

	for (c = 0; c < CTXS; c++) {
		if (which != c || pinned[c] || !value_of(c) || !mapped[c])
			continue;
		for (p = 0; p < CPUS; p++)
			if (needs(p, c))
				return;
		say(SAID_EXIT, me, c, 0);
		values[c] = 0;
		orphan_entries(c);
		for (p = 0; p < CPUS; p++) {
			cpus[p].ran &= ~(1 << c);
			if (cpus[p].reg == c)
				cpus[p].reg = NONE;
		}
	}
}

/* Clear a page table entry, and invalidate its ID in all TLBs. */
static void unmap_step(void)
{
	int c;

	if (unmap_at == 0) {
		u8 which = nondet_u8() % 8;

		for (c = 0; c < CTXS; c++) {
			if (which == c && value_of(c)) {
				say(SAID_UNMAP, me, c, 0);
				victim = c;
				mapped[c] = false;
				unmap_at = 1;
			}
		}
	} else if (unmap_at == 1) {
		for (c = 0; c < CTXS; c++)
			if (victim == c)
				unmap_id = id_in(value_of(c));
		say(SAID_UNMAP_ID, me, unmap_id, 0);
		unmap_at = 2;
	} else if (unmap_at < UNMAPPED) {
		for (c = 0; c < WHERES; c++)
			if (unmap_at == 2 + c)
				tlbi(c, unmap_id);
		say(SAID_TLBI, me, unmap_at - 2, 0);
		unmap_at++;
		unmapped = unmap_at == UNMAPPED;
	}
}
