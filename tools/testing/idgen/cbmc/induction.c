// SPDX-License-Identifier: GPL-2.0-only
/*
 * One step from any state that satisfies the inductive invariant below leads to such a
 * state, and violates no invariant of Documentation/core-api/idgen_alloc.rst. So no number
 * of steps violates one.
 *
 * When a CPU takes a step, the others may be anywhere in their operations. Their progress
 * and the results of their reads are part of the state. The steps are:
 *
 *  REST	a step without the lock, while it is free: one access of a fast path, one
 *		write of the register, the end of a context, one step of an unmap
 *  SLOW	everything that one CPU does with the lock held. At each access that another
 *		CPU could notice, the others may have taken any number of steps: their
 *		state becomes any that satisfies fits() and follows()
 *  WITHIN	justifies that: a step as in REST while another CPU has the lock, from any
 *		state that satisfies fits() and follows(), leads to a state that does
 *  REACH	checks that SLOW has an execution with a rollover
 *  INIT	checks that the state after idgen_alloc_init() satisfies the invariant
 *  PAIRS	checks that the invariant of more than two CPUs is the conjunction of those that
 *		leave out one CPU, so no clause is about more than two
 *
 * Generations are only compared and incremented, so it only matters which of them are
 * equal. There are as many as contexts and CPUs that may have old ones. Contexts differ
 * only in their state: the one of the current operation is the first, and the others are
 * ordered by their values. CPUs differ in the order in which a rollover takes their slots
 * and a TLBI reaches their TLBs, so each step is checked for each CPU (WHO).
 *
 * EmptyAfterUnmap is about one arbitrary unmap, whose thread may be anywhere in it.
 */
#include "model.h"

#define OLDEST		((START_GEN) * IDGEN_GEN_STEP)
#define SPAN		(CTXS + CPUS + 1)
#define CURRENT		(OLDEST + (u64)(SPAN) * IDGEN_GEN_STEP)
/* The excluded IDs, as far as known. */
#define NEVER		((~0UL << (IDS + 1 - provisional) & ((1UL << NR) - 1)) | 1)

enum { REST, SLOW, WITHIN, INIT, REACH, PAIRS };

/* The CPU that has the lock in SLOW and WITHIN. */
static int holder = WHO;
/* The CPU that the invariant does not see in PAIRS. */
static int unseen = CPUS;

#define for_each_seen(p)						\
	for (p = 0; p < CPUS; p++)					\
		if (p != unseen)

static u64 any_value(void)
{
	u8 gen = nondet_u8() % 16, id = nondet_u8() % NR;

	/* Only equality of generations matters (A10). */
	__CPROVER_assume(gen <= SPAN && id <= IDS);
	return gen ? OLDEST + (u64)gen * IDGEN_GEN_STEP + id : 0;
}

static u64 any_slot(void)
{
	return any_value() | (nondet_bool() ? IDGEN_TAKEN : 0);
}

static bool in_map(u64 id)
{
	return test_bit(id, &the_map);
}

static bool on_its_way(const struct cpu *c)
{
	return c->at == READ || c->at == WRITE;
}

/* The context whose ID must stay, because the CPU uses it. */
static u8 held(int p)
{
	const struct cpu *c = &cpus[p];

	if (on_its_way(c))
		return c->want;
	return c->loaded && c->at != LEFT ? c->reg : NONE;
}

static u64 held_value(int p)
{
	u8 c = held(p);

	return c == NONE ? 0 : values[c];
}

/* Whether a context that is not in @entries has the ID in generation @gen. */
static bool another_has(u8 entries, u64 gen, u64 id)
{
	bool has = false;
	int c;

	for (c = 0; c < CTXS; c++)
		has |= values[c] == (gen | id) && entries & ~(1 << c);
	return has;
}

/* The TLBI by @id has not been executed yet. */
static bool will_be_invalidated(int where, u8 id)
{
	return unmap_at == 1 || (unmap_at <= where + 2 && unmap_id == id);
}

/* The contexts that have an entry, or would have one if no page was unmapped. */
static u8 entries_of(int p)
{
	u8 entries = tlb[WHERE(p)];
	int q;

	for_each_seen(q)
		if (UNMAP && WHERE(q) == WHERE(p) && walks(q) && cpus[q].id == watched)
			entries |= 1 << cpus[q].reg;
	return entries;
}

/* The tables in the register were walked, except unmapped pages, and nothing conflicts. */
static bool walked(int p)
{
	const struct cpu *c = &cpus[p];

	return c->reg <= NONE && c->id <= IDS &&
	       (!walks(p) || c->id != watched ||
		(entries_of(p) == 1 << c->reg && (tlb[WHERE(p)] || !mapped[c->reg])));
}

/* The CPU's TLB will be flushed before it is used with an ID of this generation. */
static bool flush_pending(int p)
{
	bool pending = FLUSH_LOCAL;
	int q;

	for_each_seen(q)
		pending &= WHERE(q) != WHERE(p) || !shown(q);
	return pending;
}

/* The invariant of a CPU, whether the lock is free or not. */
static bool fits(int p)
{
	const struct cpu *c = &cpus[p];
	u64 slot = shown(p), active = slots[p].active.counter;
	u8 entries = entries_of(p);
	bool ok = true;

	/* Its progress. */
	ok &= c->op <= ALLOW && c->at <= LEFT && c->want < CTXS;
	ok &= (c->at == IDLE) == (c->op == NOTHING);
	ok &= c->at != CALL || c->op == SWITCH || c->op == OUT;
	ok &= !on_its_way(c) || c->op == SWITCH;
	ok &= c->at != LEFT || c->op == OUT;
	ok &= c->at != LOCK || c->op != OUT;
	ok &= PINS || (c->op != PIN && c->op != UNPIN);
	ok &= UPDATE || c->op != ALLOW;
	ok &= SCHED_OUT || c->op != OUT;
	ok &= c->done <= (c->at == CALL && c->op == SWITCH ? 2 : 0);
	ok &= c->op == OUT ? c->loaded : DIRECT || c->op != SWITCH || !c->loaded;
	ok &= c->running == (c->loaded && c->op != SWITCH && c->op != OUT);
	ok &= !c->running || c->reg != NONE;

	/* The register, depending on when it is cleared. */
	ok &= !RESERVED_TABLE || c->op != SWITCH || c->reg == NONE;
	ok &= SCHED_OUT != OUT_FIRST || (c->loaded && c->op != OUT) || c->reg == NONE;
	ok &= SCHED_OUT != OUT_TOGETHER ||
	      (c->loaded && !(c->op == OUT && c->at != CALL)) || c->reg == NONE;
	ok &= SCHED_OUT != OUT_LATE || c->loaded || c->reg == NONE;
	ok &= SCHED_OUT || c->loaded || c->reg == NONE;

	/* The results of its reads. */
	if (c->at == CALL && c->done >= 1)
		ok &= !slot || slot == c->record[0];
	if (c->at == CALL && c->done >= 2)
		ok &= !slot || gen_of(c->record[1]) != gen_of(slot) ||
		      values[c->want] == c->record[1];
	if (c->at == WRITE)
		ok &= c->record[0] == id_in(values[c->want]);
	/* The value of a context does not have IDGEN_TAKEN. */
	if (c->at == CALL && c->done >= 2)
		ok &= !(c->record[1] & IDGEN_TAKEN);
	if (c->at == LEFT)
		ok &= !id_in(active);
	ok &= gen_of(active) != 0;

	/* Its slot has the value that it runs or will run, unless a rollover has taken it. */
	if (held(p) != NONE) {
		ok &= id_in(held_value(p)) != 0;
		ok &= !slot || slot == held_value(p);
		/* Rollovers keep reserved values. */
		ok &= id_in(active) != 0;
		ok &= on_its_way(c) || c->id == id_in(held_value(p));
	}

	/* No entry conflicts with those of the register, or of the next context. */
	ok &= walked(p);
	ok &= !(entries & (entries - 1));
	ok &= !slot || !another_has(entries, gen_of(slot), watched);
	ok &= !on_its_way(c) || id_in(held_value(p)) != watched || !(entries & ~(1 << c->want));
	/*
	 * An unmapped page has no entry under an ID that its context has or can get without a
	 * flush, unless its TLBI has not been executed yet.
	 */
	if (UNMAP && unmap_at && tlb[WHERE(p)] >> victim & 1)
		ok &= will_be_invalidated(WHERE(p), watched) || id_in(values[victim]) != watched ||
		      (flush_pending(p) && held(p) != victim);
	return ok;
}

/* The invariant of contexts, whether the lock is free or not. */
static bool contexts_fit(void)
{
	bool ok = true;
	int c, d;

	for (c = 0; c < CTXS; c++) {
		ok &= !values[c] || usable(id_in(values[c]));
		for (d = 0; d < c; d++)
			ok &= !values[c] || values[c] != values[d];
		ok &= mapped[c] == !(unmap_at && victim == c);
	}
	ok &= !unmap_at || (unmap_at <= UNMAPPED && victim < CTXS && values[victim]);
	return ok;
}

/* The invariant while the lock is free. */
static bool all_fit(void)
{
	unsigned long base = NEVER;
	unsigned long nr = 0;
	bool ok = contexts_fit();
	int p, q, c, i;

	for (c = 0; c < CTXS; c++) {
		u64 id = id_in(values[c]);

		ok &= gen_of(values[c]) != a.generation || in_map(id);
		ok &= !pinned[c] == !pins[c] && pins[c] <= 2;
		if (pinned[c]) {
			ok &= pinned[c] == id && usable(id) && !(base & bit_of(pinned[c]));
			base |= bit_of(pinned[c]);
			nr++;
			for (i = 0; i < CTXS; i++)
				ok &= i == c || gen_of(values[i]) != a.generation ||
				      id_in(values[i]) != id;
			for_each_seen(p) {
				u64 slot = shown(p), reserved = slots[p].reserved;

				ok &= id_in(slot) != id || slot == values[c];
				ok &= id_in(reserved) != id || reserved == values[c];
			}
		}
	}
	ok &= a.nr_pinned == nr && nr <= a.max_pinned;
	ok &= a.max_pinned == (provisional ? 0 : known.max_pinned) && a.usable == IDS - provisional;
	ok &= !BASE || the_base == base;
	ok &= (the_map & base) == base;
	for (i = 0; i < NR; i++)
		ok &= i >= a.cursor || in_map(i);

	for_each_seen(p) {
		u64 slot = shown(p), reserved = slots[p].reserved;
		u8 entries = entries_of(p);

		ok &= fits(p);
		ok &= !slot || gen_of(slot) == a.generation;
		ok &= id_in(slot) <= IDS && in_map(id_in(slot));
		ok &= reserved && id_in(reserved) <= IDS && in_map(id_in(reserved));
		ok &= !id_in(reserved) || test_bit(id_in(reserved) & (a.hint_size - 1), &the_hint);
		ok &= slot || held(p) == NONE || reserved == held_value(p);
		/* A reserved ID belongs to the context that it was reserved for. */
		for (c = 0; c < CTXS; c++)
			ok &= !id_in(reserved) || values[c] == reserved ||
			      values[c] != (a.generation | id_in(reserved));
		/* All active and reserved values with the same ID are of one context. */
		for_each_seen(q) {
			u64 other = shown(q), kept = slots[q].reserved;

			ok &= !id_in(slot) || id_in(slot) != id_in(other) || slot == other;
			ok &= !id_in(slot) || id_in(slot) != id_in(kept) || slot == kept;
			ok &= !id_in(reserved) || id_in(reserved) != id_in(kept) ||
			      reserved == kept;
		}
		/* Without a pending flush, no other context has or can get the entries' ID. */
		if (!entries || (!slot && FLUSH_LOCAL))
			continue;
		ok &= in_map(watched) && !another_has(entries, a.generation, watched);
		for_each_seen(q)
			ok &= id_in(slots[q].reserved) != watched ||
			      !another_has(entries, gen_of(slots[q].reserved), watched);
		for (c = 0; c < CTXS; c++)
			ok &= pinned[c] != watched || !(entries & ~(1 << c));
	}
	return ok;
}

static bool go(void)
{
	bool first = goes;

	goes = false;
	return first;
}

static void step(int p)
{
	struct cpu *c = &cpus[p];

	goes = true;
	if (c->at == IDLE)
		begin(p);
	else if (c->at == CALL)
		run_fast_path(p);
	else if (c->at == READ)
		read_id(p);
	else if (c->at == WRITE)
		write_register(p);
	else if (c->at == LEFT)
		leave(p);
}

static void any_cpu(int p)
{
	struct cpu *c = &cpus[p];
	int i;

	c->op = nondet_u8() % 8;
	c->at = nondet_u8() % 8;
	c->want = nondet_u8() % 8;
	c->done = nondet_u8() % 4;
	c->loaded = nondet_bool();
	c->running = nondet_bool();
	c->reg = nondet_u8() % 8;
	c->id = nondet_u8() % 8;
	for (i = 0; i < RECORDS; i++)
		c->record[i] = c->at == WRITE ? nondet_u8() % NR : any_slot();
}

static void any_unmap(void)
{
	int c;

	if (UNMAP) {
		unmap_at = nondet_u8() % 8;
		victim = nondet_u8() % 8;
		unmap_id = nondet_u8() % 8;
		unmapped = unmap_at == UNMAPPED;
	}
	for (c = 0; c < CTXS; c++)
		mapped[c] = !(unmap_at && victim == c);
}

/* What a CPU uses does not conflict with what the other uses, or may switch to. */
static bool agree(int p, int q)
{
	u64 slot = shown(p), other = shown(q), id = id_in(held_value(p));
	bool ok = !slot || !other || gen_of(slot) == gen_of(other);

	if (id) {
		ok &= !other || !another_has(1 << held(p), gen_of(other), id);
		ok &= id_in(held_value(q)) != id || held(q) == held(p);
	}
	return ok;
}

/* The invariant while the holder has the lock. */
static bool others_fit(void)
{
	bool ok = contexts_fit();
	int p, q;

	for (p = 0; p < CPUS; p++) {
		ok &= p == holder ? walked(p) : fits(p);
		for (q = 0; CNP && q < CPUS; q++)
			ok &= p == q || p == holder || q == holder || agree(p, q);
	}
	return ok;
}

/*
 * The states that any number of steps of the other CPUs, ends of contexts and unmaps can
 * reach while the holder has the lock.
 */
struct view {
	u64 active[CPUS], slot[CPUS];
	u8 held[CPUS];
	u8 entries[WHERES], tlb[WHERES];
	u64 values[CTXS];
	bool mapped[CTXS];
	u8 unmap_at, victim, unmap_id;
};

static struct view view(void)
{
	struct view v = { .unmap_at = unmap_at, .victim = victim, .unmap_id = unmap_id };
	int i;

	for (i = 0; i < CPUS; i++) {
		v.active[i] = slots[i].active.counter;
		v.slot[i] = shown(i);
		v.held[i] = held(i);
		v.entries[WHERE(i)] = entries_of(i);
		v.tlb[WHERE(i)] = tlb[WHERE(i)];
	}
	for (i = 0; i < CTXS; i++) {
		v.values[i] = values[i];
		v.mapped[i] = mapped[i];
	}
	return v;
}

static bool slot_follows(int p, const struct view *was)
{
	u64 slot = shown(p), active = slots[p].active.counter;
	bool found;
	int c;

	if (!was->slot[p])
		return (active == was->active[p] ||
			(SCHED_OUT && active == (was->active[p] & ~IDGEN_ID_MASK))) &&
		       (held(p) == NONE || held(p) == was->held[p]);
	found = active == was->slot[p] || (SCHED_OUT && slot == gen_of(was->slot[p]));
	for (c = 0; c < CTXS; c++)
		found |= slot == was->values[c] && gen_of(slot) == gen_of(was->slot[p]);
	return found;
}

/* The CPU may walk for the context. */
static bool may_enter(int p, int c, const struct view *was)
{
	return p != holder &&
	       (was->slot[p] ? was->values[c] == (gen_of(was->slot[p]) | watched) :
			       was->held[p] == c && id_in(was->values[c]) == watched);
}

static bool follows(const struct view *was)
{
	bool ok = true;
	int p, c;

	for (c = 0; c < CTXS; c++)
		ok &= values[c] == was->values[c] ||
		      (EXIT && !values[c] && !pinned[c] && mapped[c]);
	ok &= unmap_at >= was->unmap_at;
	ok &= !was->unmap_at || victim == was->victim;
	ok &= unmap_at < 2 ||
	      unmap_id == (was->unmap_at < 2 ? id_in(values[victim]) : was->unmap_id);
	for (p = 0; p < CPUS; p++) {
		u8 may = was->entries[WHERE(p)];
		int q;

		if (p == holder)
			continue;
		ok &= slot_follows(p, was);
		for (c = 0; c < CTXS; c++) {
			for (q = 0; q < CPUS; q++)
				may |= (WHERE(q) == WHERE(p) && may_enter(q, c, was)) << c;
			if (values[c] != was->values[c] && may >> c & 1)
				may = (may & ~(1 << c)) | 1 << GONE;
			ok &= was->mapped[c] || !((tlb[WHERE(p)] & ~was->tlb[WHERE(p)]) >> c & 1);
		}
		ok &= !(entries_of(p) & ~may);
	}
	return ok;
}

static void steps_in(unsigned int who)
{
	struct view was = view();
	int c, p;

	/* Check the lock holder's steps before the assumptions below can hide a violation. */
	__CPROVER_assert(others_fit(), "WARN: the lock's holder leaves a CPU unfit");
	for (c = 0; EXIT && c < CTXS; c++) {
		if (nondet_bool() && mapped[c] && !needs(holder, c)) {
			values[c] = 0;
			orphan_entries(c);
			if (cpus[holder].reg == c)
				cpus[holder].reg = NONE;
		}
	}
	for (p = 0; p < CPUS; p++) {
		if (p == holder)
			continue;
		slots[p].active.counter = any_slot();
		any_cpu(p);
		tlb[WHERE(p)] = nondet_u8() % (2 << CTXS);
	}
	any_unmap();
	/* Hypothesis: what WITHIN shows. */
	__CPROVER_assume(follows(&was) && others_fit());
	/* The TLBI in the holder's own TLB. The unmap is complete after the last one. */
	unmapped = false;
	if (UNMAP && !CNP && was.unmap_at <= holder + 2 && unmap_at > holder + 2)
		tlbi(holder, unmap_id);
	unmapped = unmap_at == UNMAPPED;
	look_at_hardware();
}

static void any_state(void)
{
	int p, c;

	any_allocator(CURRENT);
	the_base = nondet_u8() % (1 << NR);
	the_hint = nondet_u8() % 16;
	for (c = 0; c < CTXS; c++) {
		values[c] = any_value();
		if (PINS && nondet_bool()) {
			pinned[c] = nondet_u8() % NR;
			pins[c] = 1 + nondet_bool();
			a.nr_pinned++;
		}
	}
	any_unmap();
	for (p = 0; p < CPUS; p++) {
		slots[p].active.counter = any_slot();
		slots[p].reserved = any_value();
		any_cpu(p);
	}
	for (p = 0; p < WHERES; p++)
		tlb[p] = nondet_u8() % (2 << CTXS);
}

/* The state after idgen_alloc_init(): no context has an ID, and all CPUs are sched out. */
static void first_state(void)
{
	int p, c;

	boot();
	the_map = *a.map;
	the_base = BASE ? *a.base : 0;
	the_hint = *a.hint;
	for (c = 0; c < CTXS; c++) {
		values[c] = 0;
		pinned[c] = 0;
		pins[c] = 0;
		mapped[c] = true;
	}
	for (p = 0; p < CPUS; p++)
		cpus[p] = (struct cpu){ .reg = NONE };
	for (p = 0; p < WHERES; p++)
		tlb[p] = 0;
}

/* Contexts are interchangeable (A10). Let the first be that of this CPU's operation. */
static void first_is_wanted(void)
{
	/* By renaming (A10). */
	__CPROVER_assume(!cpus[WHO].want);
	/* A constant, so that the solver knows the context of each access. */
	cpus[WHO].want = 0;
}

/* A step without the lock, which another CPU may hold. */
static void one_step(u8 what)
{
	if (EXIT && what == 1)
		end_context(nondet_u8() % 8);
	else if (UNMAP && what == 2)
		unmap_step();
	else
		step(me);
}

int main(void)
{
	struct cpu *c = &cpus[WHO];
	u8 what = nondet_u8() % 4;
	bool inductive = true;
	int d;

	me = WHO;
	if (STEP == INIT)
		first_state();
	else
		any_state();
	if (STEP == PAIRS) {
		bool whole = all_fit(), parts = true;

		for (unseen = 0; unseen < CPUS; unseen++)
			parts &= all_fit();
		__CPROVER_assert(whole == parts, "WARN: the invariant is about more than two CPUs");
		return 0;
	}
	/* By renaming (A10). */
	for (d = 2; d < CTXS; d++)
		__CPROVER_assume(values[d - 1] <= values[d]);
	if (STEP == WITHIN) {
		struct view was;

		/* Choice of the lock's holder. */
		holder = (WHO + 1 + nondet_u8() % (CPUS - 1)) % CPUS;
		was = view();
		/* Hypothesis: the part of the invariant that holds while a CPU has the lock. */
		__CPROVER_assume(others_fit());
		/* follows() is reflexive, */
		__CPROVER_assert(follows(&was), "WARN: no step does not follow");
		/* and one more step from any state that follows leads to one that does. */
		steps_in(0);
		first_is_wanted();
		one_step(what);
		__CPROVER_assert(follows(&was), "WARN: a step does not follow");
		inductive = others_fit();
	} else {
		/* Hypothesis: the invariant. */
		if (STEP != INIT)
			__CPROVER_assume(all_fit());
		first_is_wanted();
		if (STEP == REST) {
			one_step(what);
		} else if (STEP != INIT) {
			/* Choice of the step. */
			__CPROVER_assume(c->at == LOCK);
			run_slow_path(me);
		}
		look_at_hardware();
		look_at_software();
		inductive = all_fit();
	}
	__CPROVER_assert(inductive, "WARN: the invariant is not inductive");
	/* This must be violated: the assumptions do not exclude the executions of interest. */
	__CPROVER_assert(STEP != REACH || !inductive || a.generation == CURRENT ||
			 slots[0].active.counter == slots[1].active.counter, "reach");
	__CPROVER_assert(!lost, "WARN: more IDs than expected");
	/* In WITHIN, the state of the lock holder is unknown. */
	if (STEP != WITHIN)
		assert_invariants();
}
