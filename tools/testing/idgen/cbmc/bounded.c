// SPDX-License-Identifier: GPL-2.0-only
/*
 * All behaviours of a few slices, from a state just before a rollover.
 *
 * In a slice, one CPU runs without another, up to the end of its operation or any point
 * before that. With the lock held, each other CPU may run one slice at each access that it
 * can see, which ends where it would wait for the lock.
 *
 * At the start, all CPUs are idle and sched out. They have TLB entries for all IDs that are
 * taken, by contexts or by contexts that have ended. Any IDs may be taken.
 */
#include "model.h"

static bool go(void)
{
	if (goes)
		goes = nondet_bool();
	return goes;
}

static void slice(int p, bool may_lock)
{
	struct cpu *c = &cpus[p];

	goes = true;
	if (c->at == IDLE)
		begin(p);
	if (c->at == CALL)
		run_fast_path(p);
	if (may_lock && c->at == LOCK && go())
		run_slow_path(p);
	if (c->at == READ && go())
		read_id(p);
	if (c->at == WRITE && go())
		write_register(p);
	if (c->at == LEFT && go())
		leave(p);
	look_at_hardware();
}

static void slice_of_unmap(void)
{
	int i;

	goes = true;
	for (i = 0; i < UNMAPPED; i++)
		if (go())
			unmap_step();
	look_at_hardware();
}

static void steps_in(unsigned int who)
{
	int was = me, p;

	for (p = 0; p < CPUS; p++) {
		if (!(who >> p & 1))
			continue;
		if (UNMAP && nondet_bool())
			slice_of_unmap();
		if (nondet_bool())
			slice(p, false);
	}
	goes = true;
	me = was;
}

static void start(void)
{
	int p, c, d, i;

	any_allocator((u64)START_GEN * IDGEN_GEN_STEP);
	the_base = (~0UL << (IDS + 1) & ((1UL << NR) - 1)) | 1;
	/* Bounds of the start, here and below (A10). */
	__CPROVER_assume((the_map & the_base) == the_base);
	for (i = 0; i < NR; i++)
		__CPROVER_assume(i >= a.cursor || the_map >> i & 1);

	for (c = 0; c < CTXS; c++) {
		u8 id = nondet_u8() % NR;

		/* (A10) */
		__CPROVER_assume(id <= IDS && the_map >> id & 1);
		values[c] = id ? a.generation | id : 0;
		say(SAID_START, 0, c, id);
		for (d = 0; d < c; d++)
			/* (A10) */
			__CPROVER_assume(!id || values[c] != values[d]);
		mapped[c] = true;
	}
	for (p = 0; p < CPUS; p++) {
		slots[p].active.counter = a.generation;
		slots[p].reserved = a.generation;
		cpus[p].reg = NONE;
	}
	for (p = 0; p < WHERES; p++) {
		tlb[p] = (the_map >> watched & 1) << GONE;
		for (c = 0; c < CTXS; c++)
			if (id_in(value_of(c)) == watched)
				tlb[p] = 1 << c;
	}
}

int main(void)
{
	int i, p;

	start();
	for (i = 0; i < SLICES; i++) {
		u8 who = nondet_u8() % 8;

		for (p = 0; p < CPUS; p++) {
			if (who == p) {
				me = p;
				slice(p, true);
			}
		}
		if (EXIT && who == CPUS)
			end_context(nondet_u8() % 8);
		if (UNMAP && who == CPUS + 1)
			slice_of_unmap();
		narrow_all();
	}

	__CPROVER_assert(!lost, "WARN: more generations or IDs than expected");
	assert_invariants();
}
