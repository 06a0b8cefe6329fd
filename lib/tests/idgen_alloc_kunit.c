// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of lib/idgen_alloc.c on simulated CPUs.
 *
 * A simulated CPU has a slot, a translation register and a TLB. One thread runs
 * all CPUs in the order that a case needs, so that races are deterministic. The
 * TLB is the worst case: it loads an entry for the ID in the register as soon
 * as the register is written, and again after each flush. It never evicts
 * entries.
 *
 * Each switch also checks AlwaysSucceeds, NeverReservedID, PinStays,
 * SameActive, UniqueActive and UniquePerCPU, which are described in
 * Documentation/core-api/idgen_alloc.rst.
 */
#include <kunit/static_stub.h>
#include <kunit/test.h>

#include <linux/bitmap.h>
#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/cpumask.h>
#include <linux/idgen_alloc.h>
#include <linux/irqflags.h>
#include <linux/kmsg_dump.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/prandom.h>
#include <linux/random.h>
#include <linux/string.h>

#include "../idgen_alloc_internal.h"

static u64 seed;
module_param(seed, ullong, 0444);
MODULE_PARM_DESC(seed, "Seed of the random cases; 0: choose one");

static int steps = 100000;
module_param(steps, int, 0444);
MODULE_PARM_DESC(steps, "Steps of each random case; a tenth per racing CPU");

#define SECOND_GEN	(2 * IDGEN_GEN_STEP)
#define LAST_GEN	(IDGEN_TAKEN - IDGEN_GEN_STEP)

struct sim_context {
	idgen_atomic_t value;
	refcount_t pins;
	/* Unique number. */
	u32 serial;
	/* Incremented when a page is unmapped. */
	u32 version;
	/* The ID while pinned. */
	u64 pinned_id;
	/* Calls of new_id(), and the value at the last one. */
	unsigned int new_id_calls;
	u64 new_id_old;
};

/* A TLB entry: serial and version of its context. */
struct sim_entry {
	u32 serial;
	u32 version;
};

struct sim_cpu {
	/* Translation register: the ID, and the context that is walked. */
	u64 id;
	struct sim_context *ctx;
	/* In a switch away from ctx. */
	bool leaving;
	/* Scheduled out. */
	bool out;
	/* Indexed by ID. */
	struct sim_entry *tlb;
	unsigned int flushes;
};

struct sim_world {
	struct kunit *test;
	struct idgen_alloc a;
	struct idgen_slot *slot;
	struct sim_cpu *cpu;
	unsigned int nr_cpus;
	/* The CPU that calls the allocator. */
	unsigned int self;
	u32 last_serial;
	/* IDs that must never be allocated. */
	unsigned long *excluded;
	/* Corrupted by a case on purpose. */
	bool map_corrupted;
	unsigned int broadcasts;
	idgen_value_t generation_flushed;
	idgen_value_t generation_checked;
	/* The context passed to the allocator, and its value before that. */
	struct sim_context *call_ctx;
	idgen_value_t call_old;
	/* Of sim_check(), until sim_report(). */
	char failure[80];
};

enum flush_mode {
	LOCAL = BIT(0),
	BROADCAST = BIT(1),
	BOTH = LOCAL | BROADCAST,
};

struct mode_param {
	const char *desc;
	enum flush_mode mode;
};

static const struct mode_param modes[] = {
	{ "local flush", LOCAL },
	{ "broadcast flush", BROADCAST },
	{ "both flushes", BOTH },
};

KUNIT_ARRAY_PARAM_DESC(mode, modes, desc);

struct width_param {
	const char *desc;
	unsigned int bits;
};

/* 32-bit values hold 9 ID bits. */
static const struct width_param widths[] = {
	{ "4 bits", 4 }, { "8 bits", 8 }, { "9 bits", 9 },
	{ "all bits", IDGEN_ID_BITS },
};

KUNIT_ARRAY_PARAM_DESC(width, widths, desc);

static idgen_value_t sim_value(struct sim_context *ctx)
{
	return idgen_atomic(read)(&ctx->value);
}

static u64 sim_id(struct sim_context *ctx)
{
	return sim_value(ctx) & IDGEN_ID_MASK;
}

static idgen_value_t sim_gen(struct sim_context *ctx)
{
	return sim_value(ctx) & ~IDGEN_ID_MASK;
}

static struct sim_world *sim_world_of(struct idgen_alloc *a)
{
	return container_of(a, struct sim_world, a);
}

static bool sim_in_map(struct sim_world *w, u64 nr)
{
	return test_bit(nr, w->a.map);
}

static idgen_value_t sim_active(struct sim_world *w, unsigned int cpu)
{
	return idgen_atomic(read)(&w->slot[cpu].active);
}

/* Whether a rollover has taken the slot. */
static bool sim_taken(struct sim_world *w, unsigned int cpu)
{
	return sim_active(w, cpu) & IDGEN_TAKEN;
}

static u64 sim_reserved(struct sim_world *w, unsigned int cpu)
{
	return w->slot[cpu].reserved & IDGEN_ID_MASK;
}

/*
 * An expectation that may fail in a callback, with the lock held, where KUnit
 * must not allocate memory. sim_report() fails the case later.
 */
static __printf(3, 4) void sim_check(struct sim_world *w, bool cond,
				     const char *fmt, ...)
{
	va_list args;

	if (cond || *w->failure)
		return;
	va_start(args, fmt);
	vscnprintf(w->failure, sizeof(w->failure), fmt, args);
	va_end(args);
}

static void sim_report(struct sim_world *w)
{
	if (*w->failure)
		KUNIT_FAIL(w->test, "%s", w->failure);
	*w->failure = '\0';
}

/* Walk the tables in the register and load the entry. */
static void sim_fill_tlb(struct sim_world *w, unsigned int cpu)
{
	struct sim_cpu *c = &w->cpu[cpu];
	struct sim_entry *e;

	if (!c->ctx)
		return;

	e = &c->tlb[c->id];
	sim_check(w, !e->serial || e->serial == c->ctx->serial,
		  "UniquePerCPU: CPU%u, ID %llu: context %u, %u", cpu, c->id,
		  c->ctx->serial, e->serial);
	/* An old entry is hit and hides the new one. */
	if (!e->serial)
		*e = (struct sim_entry){ c->ctx->serial, c->ctx->version };
}

static void sim_flush_tlb(struct sim_world *w, unsigned int cpu)
{
	memset(w->cpu[cpu].tlb, 0, sizeof(struct sim_entry) << w->a.bits);
	sim_fill_tlb(w, cpu);
}

/* Callbacks are called with the lock held, and so with interrupts off. */
static void sim_check_irqs_off(struct sim_world *w)
{
	sim_check(w, irqs_disabled(), "callback with interrupts on");
}

static void sim_flush_cpu(struct idgen_alloc *a)
{
	struct sim_world *w = sim_world_of(a);

	sim_check_irqs_off(w);
	sim_check(w, sim_taken(w, w->self), "CPU%u: slot set before the flush",
		  w->self);
	w->cpu[w->self].flushes++;
	sim_flush_tlb(w, w->self);
}

static void sim_flush_all(struct idgen_alloc *a)
{
	struct sim_world *w = sim_world_of(a);
	unsigned int cpu;

	sim_check_irqs_off(w);
	sim_check(w, a->generation != w->generation_flushed,
		  "two flushes in one generation");
	w->generation_flushed = a->generation;
	sim_check(w, !w->call_ctx || sim_value(w->call_ctx) == w->call_old,
		  "new ID stored before the flush");

	for (cpu = 0; cpu < w->nr_cpus; cpu++) {
		sim_check(w, sim_taken(w, cpu),
			  "CPU%u not taken before the flush", cpu);
		sim_check(w, sim_in_map(w, sim_reserved(w, cpu)),
			  "CPU%u: ID not in map before the flush", cpu);
		sim_flush_tlb(w, cpu);
	}
	w->broadcasts++;
}

/* Overwrites the whole map, as arm64 does: the caller must set ID 0. */
static void sim_exclude_ids(struct idgen_alloc *a, unsigned long *map)
{
	/* In idgen_alloc_update_excluded(): init sets the slots last. */
	if (a->slots[0])
		sim_check_irqs_off(sim_world_of(a));
	bitmap_copy(map, sim_world_of(a)->excluded, idgen_alloc_nr(a));
}

static const struct idgen_ops sim_ops[] = {
	[LOCAL] = {
		.name = "test",
		.pins = true,
		.exclude_ids = sim_exclude_ids,
		.flush_cpu = sim_flush_cpu,
	},
	[BROADCAST] = {
		.name = "test",
		.pins = true,
		.exclude_ids = sim_exclude_ids,
		.flush_all = sim_flush_all,
	},
	[BOTH] = {
		.name = "test",
		.pins = true,
		.exclude_ids = sim_exclude_ids,
		.flush_cpu = sim_flush_cpu,
		.flush_all = sim_flush_all,
	},
};

static void sim_power_off(void *world)
{
	struct sim_world *w = world;

	sim_report(w);
	idgen_alloc_destroy(&w->a);
}

static struct sim_world *sim_new_world(struct kunit *test, unsigned int cpus)
{
	struct sim_world *w = kunit_kzalloc(test, sizeof(*w), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, w);
	w->test = test;
	w->nr_cpus = cpus;
	w->slot = kunit_kcalloc(test, cpus, sizeof(*w->slot), GFP_KERNEL);
	w->cpu = kunit_kcalloc(test, cpus, sizeof(*w->cpu), GFP_KERNEL);
	w->excluded = kunit_kzalloc(test, BIT(IDGEN_ID_BITS) / 8, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, w->slot);
	KUNIT_ASSERT_NOT_NULL(test, w->cpu);
	KUNIT_ASSERT_NOT_NULL(test, w->excluded);
	return w;
}

static int sim_init(struct sim_world *w, const struct idgen_ops *ops,
		    unsigned int bits)
{
	return idgen_alloc_init_array(&w->a, ops, bits, w->slot, w->nr_cpus);
}

static void sim_power_on(struct sim_world *w, const struct idgen_ops *ops,
			 unsigned int bits)
{
	struct kunit *test = w->test;
	unsigned int cpu;

	KUNIT_ASSERT_EQ(test, 0, sim_init(w, ops, bits));
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, sim_power_off, w));
	for (cpu = 0; cpu < w->nr_cpus; cpu++) {
		w->cpu[cpu].tlb = kunit_kcalloc(test, idgen_alloc_nr(&w->a),
						sizeof(struct sim_entry),
						GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, w->cpu[cpu].tlb);
	}
	__set_bit(0, w->excluded);
}

static struct sim_world *sim_boot(struct kunit *test, enum flush_mode mode,
				  unsigned int cpus, unsigned int bits)
{
	struct sim_world *w = sim_new_world(test, cpus);

	sim_power_on(w, &sim_ops[mode], bits);
	return w;
}

static enum flush_mode sim_mode(struct kunit *test)
{
	return ((const struct mode_param *)test->param_value)->mode;
}

static void sim_new_context(struct sim_world *w, struct sim_context *ctx)
{
	memset(ctx, 0, sizeof(*ctx));
	ctx->serial = ++w->last_serial;
}

static void sim_new_contexts(struct sim_world *w, struct sim_context *ctx,
			     unsigned int nr)
{
	while (nr--)
		sim_new_context(w, ctx++);
}

/* For more contexts than fit on the stack. */
static struct sim_context *sim_alloc_contexts(struct sim_world *w,
					      unsigned int nr)
{
	struct sim_context *ctx =
		kunit_kcalloc(w->test, nr, sizeof(*ctx), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(w->test, ctx);
	sim_new_contexts(w, ctx, nr);
	return ctx;
}

/* Check the invariants after a switch of @cpu. */
static void sim_check_switch(struct sim_world *w, unsigned int cpu)
{
	struct sim_cpu *c = &w->cpu[cpu];
	unsigned int other;

	KUNIT_EXPECT_LT_MSG(w->test, c->id, idgen_alloc_nr(&w->a),
			    "AlwaysSucceeds: no ID was left");
	KUNIT_EXPECT_FALSE_MSG(w->test, test_bit(c->id, w->excluded),
			       "NeverReservedID: %llu allocated", c->id);
	if (refcount_read(&c->ctx->pins))
		KUNIT_EXPECT_EQ_MSG(w->test, c->id, c->ctx->pinned_id,
				    "PinStays: context %u", c->ctx->serial);
	if (!w->map_corrupted)
		KUNIT_EXPECT_GE_MSG(w->test,
				    find_first_zero_bit(w->a.map,
							idgen_alloc_nr(&w->a)),
				    w->a.cursor, "a free ID below the cursor");

	for (other = 0; other < w->nr_cpus; other++) {
		struct sim_cpu *o = &w->cpu[other];

		if (!o->ctx || o->leaving)
			continue;
		if (o->ctx == c->ctx)
			KUNIT_EXPECT_EQ_MSG(w->test, o->id, c->id,
					    "SameActive: ctx %u, CPU%u, %u",
					    c->ctx->serial, other, cpu);
		else
			KUNIT_EXPECT_NE_MSG(w->test, o->id, c->id,
					    "UniqueActive: ctx %u, CPU%u, %u",
					    c->ctx->serial, other, cpu);
	}
}

static void sim_begin_call(struct sim_world *w, unsigned int cpu,
			   struct sim_context *ctx)
{
	w->self = cpu;
	w->call_ctx = ctx;
	w->call_old = sim_value(ctx);
}

/* After a rollover, check that no ID is reserved for scheduled-out CPUs. */
static void sim_end_call(struct sim_world *w)
{
	unsigned int cpu;

	w->call_ctx = NULL;
	if (w->generation_checked == w->a.generation)
		return;
	w->generation_checked = w->a.generation;
	for (cpu = 0; cpu < w->nr_cpus; cpu++)
		if (w->cpu[cpu].out)
			KUNIT_EXPECT_EQ_MSG(w->test, sim_reserved(w, cpu), 0,
					    "CPU%u is scheduled out", cpu);
}

/*
 * Begin a switch. Without flush_cpu(), the old tables must not be walked until
 * the register is written.
 */
static void sim_leave(struct sim_world *w, unsigned int cpu)
{
	if (w->a.ops->flush_cpu)
		w->cpu[cpu].leaving = true;
	else
		w->cpu[cpu].ctx = NULL;
}

/* Write the register. Ends the case on failure. */
static void sim_write_register(struct sim_world *w, unsigned int cpu,
			       struct sim_context *ctx)
{
	w->cpu[cpu].leaving = false;
	w->cpu[cpu].ctx = ctx;
	w->cpu[cpu].id = sim_id(ctx);
	sim_check_switch(w, cpu);
	if (w->cpu[cpu].id < idgen_alloc_nr(&w->a))
		sim_fill_tlb(w, cpu);
	sim_report(w);
	KUNIT_ASSERT_NE(w->test, READ_ONCE(w->test->status), KUNIT_FAILURE);
}

static void sim_run(struct sim_world *w, unsigned int cpu,
		    struct sim_context *ctx)
{
	sim_begin_call(w, cpu, ctx);
	sim_leave(w, cpu);
	w->cpu[cpu].out = false;
	idgen_alloc_switch(&w->a, &w->slot[cpu], &ctx->value, &ctx->pins);
	sim_end_call(w);
	sim_write_register(w, cpu, ctx);
}

static void sim_run_new(struct sim_world *w, unsigned int cpu,
			struct sim_context *ctx)
{
	sim_new_context(w, ctx);
	sim_run(w, cpu, ctx);
}

/* Try the fast path only. */
static bool sim_run_fast(struct sim_world *w, unsigned int cpu,
			 struct sim_context *ctx)
{
	idgen_value_t value = sim_value(ctx);

	if (!__idgen_alloc_replace(&w->slot[cpu], sim_active(w, cpu), value))
		return false;
	w->cpu[cpu].out = false;
	sim_write_register(w, cpu, ctx);
	return true;
}

static void sim_sched_out(struct sim_world *w, unsigned int cpu)
{
	w->cpu[cpu].ctx = NULL;
	w->cpu[cpu].leaving = false;
	w->cpu[cpu].out = true;
	idgen_alloc_sched_out(&w->slot[cpu]);
}

static u64 sim_pin(struct sim_world *w, unsigned int cpu,
		   struct sim_context *ctx)
{
	u64 got;

	sim_begin_call(w, cpu, ctx);
	got = idgen_alloc_pin(&w->a, &ctx->value, &ctx->pins);
	sim_end_call(w);
	if (got) {
		KUNIT_EXPECT_EQ(w->test, got, sim_id(ctx));
		KUNIT_EXPECT_FALSE(w->test, test_bit(got, w->excluded));
		if (refcount_read(&ctx->pins) > 1)
			KUNIT_EXPECT_EQ(w->test, got, ctx->pinned_id);
		ctx->pinned_id = got;
	}
	return got;
}

static void sim_unpin(struct sim_world *w, struct sim_context *ctx)
{
	idgen_alloc_unpin(&w->a, &ctx->value, &ctx->pins);
}

/* Run new contexts in @ctx until one gets ID @wanted. */
static void sim_run_until(struct sim_world *w, unsigned int cpu,
			  struct sim_context *ctx, u64 wanted)
{
	unsigned long left = 3 * idgen_alloc_nr(&w->a);

	do {
		KUNIT_ASSERT_NE(w->test, left--, 0);
		sim_run_new(w, cpu, ctx);
	} while (sim_id(ctx) != wanted);
}

/* Run new contexts on @cpu until it rolls over. */
static void sim_roll_over(struct sim_world *w, unsigned int cpu)
{
	static struct sim_context other[2];
	idgen_value_t generation = w->a.generation;
	unsigned long left = idgen_alloc_nr(&w->a) + 1;
	unsigned int i = 0;

	do {
		sim_run_new(w, cpu, &other[i]);
		i = !i;
	} while (w->a.generation == generation && --left);

	KUNIT_ASSERT_EQ(w->test, w->a.generation, generation + IDGEN_GEN_STEP);
	/* The next call reuses the struct. */
	sim_sched_out(w, cpu);
}

/* Whether the kernel log has @what since the last call. */
static bool sim_log_has(struct kmsg_dump_iter *log, const char *what)
{
	static char line[256];
	bool found = false;
	size_t len;

	while (kmsg_dump_get_line(log, false, line, sizeof(line) - 1, &len)) {
		line[len] = '\0';
		if (strstr(line, what))
			found = true;
	}
	return found;
}

static void sim_log_start(struct kunit *test, struct kmsg_dump_iter *log)
{
	if (!IS_ENABLED(CONFIG_PRINTK))
		kunit_skip(test, "needs CONFIG_PRINTK");
	kmsg_dump_rewind(log);
	sim_log_has(log, "");
}

/*
 * IDs and generations
 */

static void first_id_is_in_first_generation(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 2, 8);
	struct sim_context ctx;

	sim_run_new(w, 0, &ctx);
	KUNIT_EXPECT_EQ(test, sim_gen(&ctx), IDGEN_FIRST_GEN);
	KUNIT_EXPECT_NE(test, sim_id(&ctx), 0);
	KUNIT_EXPECT_EQ(test, sim_active(w, 0), sim_value(&ctx));
}

static void valid_id_takes_fast_path(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 2, 8);
	struct sim_context ctx[2];
	idgen_value_t had;

	sim_new_contexts(w, ctx, 2);
	sim_run(w, 0, &ctx[0]);
	sim_run(w, 0, &ctx[1]);
	had = sim_value(&ctx[0]);
	KUNIT_EXPECT_TRUE(test, sim_run_fast(w, 0, &ctx[0]));
	KUNIT_EXPECT_TRUE(test, sim_run_fast(w, 0, &ctx[0]));
	KUNIT_EXPECT_TRUE(test, sim_run_fast(w, 1, &ctx[0]));
	KUNIT_EXPECT_EQ(test, sim_value(&ctx[0]), had);
}

static void ids_are_unique_until_exhaustion(struct kunit *test)
{
	unsigned int bits =
		((const struct width_param *)test->param_value)->bits;
	struct sim_world *w = sim_boot(test, LOCAL, 1, bits);
	unsigned long i, nr = idgen_alloc_nr(&w->a);
	unsigned long *seen = kunit_kcalloc(test, BITS_TO_LONGS(nr),
					    sizeof(long), GFP_KERNEL);
	struct sim_context ctx;

	KUNIT_ASSERT_NOT_NULL(test, seen);
	KUNIT_ASSERT_EQ(test, w->a.usable, nr - 1);
	for (i = 0; i < nr - 1; i++) {
		sim_run_new(w, 0, &ctx);
		KUNIT_ASSERT_EQ(test, sim_gen(&ctx), IDGEN_FIRST_GEN);
		KUNIT_ASSERT_FALSE(test,
				   __test_and_set_bit(sim_id(&ctx), seen));
	}
	KUNIT_EXPECT_EQ(test, w->cpu[0].flushes, 0);

	sim_run_new(w, 0, &ctx);
	KUNIT_EXPECT_EQ(test, sim_gen(&ctx), SECOND_GEN);
	KUNIT_EXPECT_EQ(test, w->cpu[0].flushes, 1);
}

static void exhaustion_rolls_over_once(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 4, 8);
	struct sim_context ctx[4];
	unsigned int i;

	sim_new_contexts(w, ctx, 4);
	for (i = 0; i < 4; i++)
		sim_run(w, i, &ctx[i]);
	sim_roll_over(w, 0);
	KUNIT_EXPECT_EQ(test, w->a.generation, SECOND_GEN);
	/* No context needs another rollover. */
	for (i = 0; i < 4; i++)
		sim_run(w, i, &ctx[i]);
	KUNIT_EXPECT_EQ(test, w->a.generation, SECOND_GEN);
}

static void generation_increments_by_one(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 2, 4);
	idgen_value_t generation = IDGEN_FIRST_GEN;
	struct sim_context ctx[4];
	unsigned int i;

	for (i = 0; i < 20 * 15; i++) {
		sim_run_new(w, i % 2, &ctx[i % 4]);
		if (sim_gen(&ctx[i % 4]) != generation)
			generation += IDGEN_GEN_STEP;
		KUNIT_ASSERT_EQ(test, sim_gen(&ctx[i % 4]), generation);
		KUNIT_ASSERT_EQ(test, w->a.generation, generation);
	}
	KUNIT_EXPECT_GE(test, generation, 20 * IDGEN_GEN_STEP);
}

static void generation_wraps_to_first(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 2, 4);
	struct sim_context ctx, fresh;
	unsigned int i;

	w->a.generation = LAST_GEN;
	idgen_atomic(set)(&w->slot[0].active, w->a.generation);
	idgen_atomic(set)(&w->slot[1].active, w->a.generation);
	sim_new_contexts(w, &ctx, 1);
	sim_run(w, 1, &ctx);
	KUNIT_EXPECT_EQ(test, sim_gen(&ctx), LAST_GEN);

	/* The next generation is neither 0 nor IDGEN_TAKEN. */
	for (i = 0; i < 16 && w->a.generation == LAST_GEN; i++)
		sim_run_new(w, 0, &fresh);
	KUNIT_EXPECT_EQ(test, w->a.generation, IDGEN_FIRST_GEN);
	KUNIT_EXPECT_EQ(test, sim_gen(&fresh), IDGEN_FIRST_GEN);
	sim_sched_out(w, 0);

	sim_run(w, 0, &ctx);
	KUNIT_EXPECT_EQ(test, sim_gen(&ctx), IDGEN_FIRST_GEN);
	sim_roll_over(w, 0);
	sim_run(w, 0, &ctx);
}

/* Each stale value differs in exactly one bit of the generation. */
static void all_generation_bits_are_compared(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, LOCAL, 1, 8);
	struct sim_context ctx, sleeper;
	idgen_value_t apart;

	w->a.generation = LAST_GEN;
	idgen_atomic(set)(&w->slot[0].active, w->a.generation);
	for (apart = IDGEN_GEN_STEP; apart < IDGEN_TAKEN; apart <<= 1) {
		sim_run_new(w, 0, &ctx);
		sim_new_context(w, &sleeper);
		idgen_atomic(set)(&sleeper.value, sim_value(&ctx) - apart);
		KUNIT_EXPECT_FALSE(test, sim_run_fast(w, 0, &sleeper));
		sim_run(w, 0, &sleeper);
		KUNIT_EXPECT_EQ(test, sim_gen(&sleeper), LAST_GEN);
	}
}

/*
 * Reserved IDs and stale contexts
 */

static void rollover_reserves_active_ids(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 13, 4);
	struct sim_context ctx[13];
	u64 had[13];
	unsigned int i;

	sim_new_contexts(w, ctx, 13);
	for (i = 0; i < 13; i++) {
		sim_run(w, i, &ctx[i]);
		had[i] = sim_id(&ctx[i]);
	}
	sim_roll_over(w, 0);
	for (i = 1; i < 13; i++) {
		sim_run(w, i, &ctx[i]);
		KUNIT_EXPECT_EQ(test, sim_id(&ctx[i]), had[i]);
		KUNIT_EXPECT_EQ(test, sim_gen(&ctx[i]), w->a.generation);
	}
}

/* Commit ae120d9edfe9: a CPU runs one task through several rollovers. */
static void cpu_without_switch_keeps_id(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 3, 4);
	struct sim_context idle, other;
	unsigned int i;
	u64 had;

	sim_new_context(w, &idle);
	sim_new_context(w, &other);
	sim_run(w, 1, &idle);
	had = sim_id(&idle);
	for (i = 0; i < 7; i++) {
		sim_roll_over(w, i % 2 * 2);
		KUNIT_EXPECT_EQ(test, sim_reserved(w, 1), had);
		sim_run(w, 0, &other);
		KUNIT_EXPECT_NE(test, sim_id(&other), had);
	}
	sim_run(w, 2, &idle);
	KUNIT_EXPECT_EQ(test, sim_id(&idle), had);
}

/* Commit 0ebea8088095: reserved values must follow that of the mm. */
static void shared_context_keeps_one_id(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 4, 4);
	struct sim_context mm;
	unsigned int i;
	u64 had;

	sim_run_new(w, 1, &mm);
	sim_run(w, 2, &mm);
	sim_run(w, 3, &mm);
	had = sim_id(&mm);
	for (i = 0; i < 6; i++) {
		sim_roll_over(w, 0);
		/* CPU 1 updates the value, before CPUs 2 and 3 switch. */
		sim_run(w, 1, &mm);
		KUNIT_EXPECT_EQ(test, sim_id(&mm), had);
		KUNIT_EXPECT_EQ(test, w->slot[2].reserved, sim_value(&mm));
		KUNIT_EXPECT_EQ(test, w->slot[3].reserved, sim_value(&mm));
	}
	/* Without CPU 1, only their reserved values keep the ID. */
	for (i = 0; i < 3; i++) {
		sim_sched_out(w, 1);
		sim_roll_over(w, 0);
		sim_run(w, 1, &mm);
		KUNIT_EXPECT_EQ(test, sim_id(&mm), had);
	}
	sim_run(w, 2, &mm);
	sim_run(w, 3, &mm);
}

/* Commit fb544d1ca65a: vCPUs had different VMIDs around a rollover. */
static void vcpus_of_a_vm_share_one_id(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 3, 4);
	struct sim_context vm;
	unsigned int i;

	sim_new_context(w, &vm);
	for (i = 0; i < 5; i++) {
		sim_run(w, 1, &vm);
		sim_roll_over(w, 0);
		/* The second vCPU enters while the first still runs. */
		sim_run(w, 2, &vm);
		KUNIT_EXPECT_EQ(test, w->cpu[1].id, w->cpu[2].id);
		sim_roll_over(w, 0);
		sim_run(w, 1, &vm);
		sim_sched_out(w, 2);
		sim_run(w, 2, &vm);
		KUNIT_EXPECT_EQ(test, w->cpu[1].id, w->cpu[2].id);
		sim_sched_out(w, 1);
		sim_sched_out(w, 2);
	}
}

static void stale_context_keeps_free_id(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 2, 6);
	struct sim_context ctx[8];
	unsigned int i;
	u64 had;

	sim_new_contexts(w, ctx, 8);
	for (i = 0; i < 8; i++)
		sim_run(w, 1, &ctx[i]);
	had = sim_id(&ctx[6]);
	sim_sched_out(w, 1);
	sim_roll_over(w, 0);
	KUNIT_ASSERT_FALSE(test, sim_in_map(w, had));
	sim_run(w, 1, &ctx[6]);
	KUNIT_EXPECT_EQ(test, sim_id(&ctx[6]), had);
	KUNIT_EXPECT_EQ(test, sim_gen(&ctx[6]), w->a.generation);
	KUNIT_EXPECT_TRUE(test, sim_in_map(w, had));
}

static void stale_context_gets_new_id_if_taken(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 2, 6);
	struct sim_context first, old, taker;
	u64 had;

	sim_new_context(w, &first);
	sim_new_context(w, &old);
	/* Takes ID 1, which the context that rolls over will get. */
	sim_run(w, 1, &first);
	sim_run(w, 1, &old);
	had = sim_id(&old);
	sim_sched_out(w, 1);
	sim_roll_over(w, 0);
	sim_run_until(w, 0, &taker, had);
	sim_run(w, 1, &old);
	KUNIT_EXPECT_NE(test, sim_id(&old), had);
	KUNIT_EXPECT_EQ(test, sim_gen(&old), w->a.generation);
	KUNIT_EXPECT_EQ(test, w->a.generation, SECOND_GEN);
}

/* For architectures that track CPUs with TLB entries of an mm (arch/arm). */
static void sim_new_id(struct idgen_alloc *a, idgen_atomic_t *value)
{
	struct sim_context *ctx =
		container_of(value, struct sim_context, value);

	ctx->new_id_calls++;
	ctx->new_id_old = idgen_atomic(read)(value);
}

static void new_id_is_called_for_new_ids_only(struct kunit *test)
{
	static const struct idgen_ops ops = {
		.name = "test",
		.flush_cpu = sim_flush_cpu,
		.new_id = sim_new_id,
	};
	struct sim_world *w = sim_new_world(test, 3);
	struct sim_context first, old, idle, stays, taker;
	u64 had;

	if (!IS_ENABLED(CONFIG_IDGEN_ALLOC_NEW_ID))
		kunit_skip(test, "needs CONFIG_IDGEN_ALLOC_NEW_ID");

	sim_power_on(w, &ops, 6);
	sim_new_context(w, &first);
	sim_new_context(w, &old);
	sim_new_context(w, &idle);
	sim_new_context(w, &stays);
	/* Takes ID 1, which the context that rolls over will get. */
	sim_run(w, 1, &first);
	sim_run(w, 1, &old);
	KUNIT_EXPECT_EQ(test, old.new_id_calls, 1);
	KUNIT_EXPECT_EQ(test, old.new_id_old, 0);
	had = sim_value(&old);
	sim_run(w, 1, &idle);
	sim_run(w, 1, &old);
	sim_run(w, 2, &old);
	KUNIT_EXPECT_EQ(test, old.new_id_calls, 1);

	/* Not called if the ID was reserved or is free. */
	sim_run(w, 2, &stays);
	sim_sched_out(w, 1);
	sim_roll_over(w, 0);
	sim_run(w, 1, &stays);
	sim_run(w, 1, &idle);
	KUNIT_EXPECT_EQ(test, sim_gen(&stays), SECOND_GEN);
	KUNIT_EXPECT_EQ(test, stays.new_id_calls, 1);
	KUNIT_EXPECT_EQ(test, sim_gen(&idle), SECOND_GEN);
	KUNIT_EXPECT_EQ(test, idle.new_id_calls, 1);

	/* Called before the new value is stored. */
	sim_run_until(w, 0, &taker, had & IDGEN_ID_MASK);
	sim_run(w, 1, &old);
	KUNIT_EXPECT_NE(test, sim_id(&old), had & IDGEN_ID_MASK);
	KUNIT_EXPECT_EQ(test, old.new_id_calls, 2);
	KUNIT_EXPECT_EQ(test, old.new_id_old, had);
}

static void long_stale_context_gets_new_id(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 2, 4);
	struct sim_context old, taker;
	unsigned int i;
	u64 had;

	sim_run_new(w, 1, &old);
	had = sim_id(&old);
	sim_sched_out(w, 1);
	for (i = 0; i < 5; i++)
		sim_roll_over(w, 0);
	sim_run_until(w, 0, &taker, had);
	KUNIT_EXPECT_FALSE(test, sim_run_fast(w, 1, &old));
	sim_run(w, 1, &old);
	KUNIT_EXPECT_EQ(test, sim_gen(&old), w->a.generation);
	KUNIT_EXPECT_NE(test, sim_id(&old), had);
}

static void reserved_id_not_given_to_former_owner(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 3, 4);
	struct sim_context before, after;
	u64 wanted;

	sim_run_new(w, 1, &before);
	wanted = sim_id(&before);
	sim_sched_out(w, 1);
	sim_roll_over(w, 0);
	sim_run_until(w, 2, &after, wanted);
	sim_roll_over(w, 0);
	/* CPU 2 runs @after. @before has the same ID in its value. */
	KUNIT_ASSERT_EQ(test, sim_reserved(w, 2), wanted);
	sim_run(w, 1, &before);
	KUNIT_EXPECT_NE(test, sim_id(&before), wanted);
	sim_run(w, 1, &after);
	KUNIT_EXPECT_EQ(test, sim_id(&after), wanted);
}

/* Two IDs share a hint bit. The scan of the slots tells them apart. */
static void hint_collision_is_harmless(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 2, 9);
	unsigned long size = w->a.hint_size;
	struct sim_context running, stale, fresh;
	u64 wanted;

	KUNIT_ASSERT_LT(test, size, idgen_alloc_nr(&w->a));
	/* Both IDs are equal modulo size. */
	sim_run_new(w, 1, &running);
	wanted = sim_id(&running) + size;
	sim_run_until(w, 0, &stale, wanted);
	sim_sched_out(w, 0);
	sim_roll_over(w, 0);
	KUNIT_ASSERT_TRUE(test, test_bit(wanted & (size - 1), w->a.hint));
	sim_run_until(w, 0, &fresh, wanted);
	sim_run(w, 0, &stale);
	KUNIT_EXPECT_NE(test, sim_id(&stale), wanted);
	KUNIT_EXPECT_NE(test, sim_id(&stale), sim_id(&running));
	sim_run(w, 0, &running);
	KUNIT_EXPECT_EQ(test, sim_id(&running), wanted - size);
}

static void hint_has_every_reserved_id(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 8, IDGEN_ID_BITS);
	struct sim_context ctx[8];
	unsigned int i, cpu;

	sim_new_contexts(w, ctx, 8);
	for (i = 0; i < 8; i++)
		sim_run(w, i, &ctx[i]);
	sim_roll_over(w, 0);
	for (cpu = 0; cpu < 8; cpu++)
		KUNIT_EXPECT_TRUE(test, test_bit(sim_reserved(w, cpu) &
						 (w->a.hint_size - 1),
						 w->a.hint));
	/* A rollover clears what earlier ones have set. */
	for (i = 0; i < 8; i++)
		sim_sched_out(w, i);
	sim_roll_over(w, 0);
	/* ID 0, and the ID that CPU 0 had during the rollover. */
	KUNIT_EXPECT_EQ(test, bitmap_weight(w->a.hint, w->a.hint_size), 2);
}

/*
 * Flushes
 */

static void first_generation_needs_no_flush(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 3, 6);
	struct sim_context *ctx = sim_alloc_contexts(w, 20);
	unsigned int i;

	for (i = 0; i < 20; i++)
		sim_run(w, i % 3, &ctx[i]);
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_EQ(test, w->cpu[i].flushes, 0);
	KUNIT_EXPECT_EQ(test, w->broadcasts, 0);
}

static void each_cpu_flushes_once_per_rollover(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, LOCAL, 4, 6);
	struct sim_context ctx[4];
	unsigned int i, round;

	sim_new_contexts(w, ctx, 4);
	for (round = 1; round <= 4; round++) {
		for (i = 1; i < 4; i++)
			sim_run(w, i, &ctx[i]);
		sim_roll_over(w, 0);
		/* Pending on all CPUs but the one that rolled over. */
		KUNIT_EXPECT_EQ(test, w->cpu[0].flushes, round);
		for (i = 1; i < 4; i++) {
			KUNIT_EXPECT_EQ(test, w->cpu[i].flushes, round - 1);
			KUNIT_EXPECT_TRUE(test, sim_taken(w, i));
			/* sim_flush_cpu() checks that the slot is taken. */
			sim_run(w, i, &ctx[i]);
			KUNIT_EXPECT_EQ(test, w->cpu[i].flushes, round);
		}
	}
}

static void no_flush_without_rollover(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 2, 6);
	struct sim_context ctx[6];
	unsigned int flushes, broadcasts, i;

	sim_new_contexts(w, ctx, 6);
	sim_roll_over(w, 0);
	sim_run(w, 1, &ctx[0]);
	flushes = w->cpu[1].flushes;
	broadcasts = w->broadcasts;
	/* Slow path for a new ID, then fast path. */
	for (i = 0; i < 6; i++)
		sim_run(w, 1, &ctx[i]);
	for (i = 0; i < 6; i++)
		KUNIT_EXPECT_TRUE(test, sim_run_fast(w, 1, &ctx[i]));
	KUNIT_EXPECT_EQ(test, w->cpu[1].flushes, flushes);
	KUNIT_EXPECT_EQ(test, w->broadcasts, broadcasts);
}

/* sim_flush_all() checks the order of slots, flush and new ID. */
static void one_broadcast_per_rollover(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, BROADCAST, 4, 5);
	struct sim_context ctx[4];
	unsigned int i, round;

	sim_new_contexts(w, ctx, 4);
	for (round = 1; round <= 5; round++) {
		for (i = 0; i < 4; i++)
			sim_run(w, i, &ctx[i]);
		sim_roll_over(w, round % 4);
		KUNIT_EXPECT_EQ(test, w->broadcasts, round);
		KUNIT_EXPECT_EQ(test, w->generation_flushed, w->a.generation);
	}
	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_EQ(test, w->cpu[i].flushes, 0);
}

static void both_flush_callbacks_are_called(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, BOTH, 3, 5);
	struct sim_context ctx[3];
	unsigned int i;

	sim_new_contexts(w, ctx, 3);
	for (i = 0; i < 3; i++)
		sim_run(w, i, &ctx[i]);
	sim_roll_over(w, 0);
	KUNIT_EXPECT_EQ(test, w->broadcasts, 1);
	for (i = 0; i < 3; i++)
		sim_run(w, i, &ctx[i]);
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_EQ(test, w->cpu[i].flushes, 1);
	KUNIT_EXPECT_EQ(test, w->broadcasts, 1);
}

static void rollover_in_pin_leaves_flush_pending(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, LOCAL, 2, 4);
	struct sim_context running, pinned, fresh;

	sim_new_context(w, &running);
	sim_new_context(w, &pinned);
	sim_run(w, 1, &running);
	sim_run_until(w, 0, &fresh, 15);
	sim_sched_out(w, 0);
	KUNIT_ASSERT_NE(test, sim_pin(w, 1, &pinned), 0);
	KUNIT_ASSERT_EQ(test, w->a.generation, SECOND_GEN);
	KUNIT_EXPECT_EQ(test, w->cpu[1].flushes, 0);
	sim_run(w, 1, &pinned);
	KUNIT_EXPECT_EQ(test, w->cpu[1].flushes, 1);
}

/*
 * Commit 5e10f9887ed8: an unmap reads the ID, then a rollover gives the context
 * a new one. The TLBI for the old ID is enough. No TLB has old entries with the
 * new ID.
 */
static void unmap_with_stale_id_is_safe(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 3, 4);
	struct sim_context mm, taker;
	unsigned int cpu, id;
	u64 old;

	sim_run_new(w, 1, &mm);
	sim_sched_out(w, 1);
	/* The flush must remove old entries with any other ID. */
	for (id = 1; id < 16; id++)
		w->cpu[1].tlb[id] = (struct sim_entry){ mm.serial, mm.version };
	/* CPU 2 clears the page table entry and reads the ID. */
	mm.version++;
	old = sim_id(&mm);

	sim_roll_over(w, 0);
	sim_run_until(w, 0, &taker, old);
	sim_run(w, 1, &mm);
	KUNIT_ASSERT_NE(test, sim_id(&mm), old);

	/* CPU 2 executes the TLBI. */
	for (cpu = 0; cpu < 3; cpu++)
		memset(&w->cpu[cpu].tlb[old], 0, sizeof(struct sim_entry));

	KUNIT_EXPECT_EQ_MSG(test, w->cpu[1].tlb[sim_id(&mm)].version,
			    mm.version, "EmptyAfterUnmap");
}

/*
 * Excluded IDs
 */

static void sim_exclude_odd(struct sim_world *w)
{
	unsigned int i;

	for (i = 1; i < BIT(IDGEN_ID_BITS); i += 2)
		__set_bit(i, w->excluded);
}

static void excluded_ids_are_never_allocated(struct kunit *test)
{
	struct sim_world *w = sim_new_world(test, 3);
	struct sim_context ctx[3];
	unsigned int i;

	sim_exclude_odd(w);
	sim_power_on(w, &sim_ops[sim_mode(test)], 5);
	KUNIT_EXPECT_EQ(test, w->a.usable, 15);
	sim_new_contexts(w, ctx, 3);
	for (i = 0; i < 200; i++) {
		sim_run(w, i % 3, &ctx[i % 3]);
		/* sim_check_switch() checks each ID. */
		sim_roll_over(w, (i + 1) % 3);
	}
}

static void most_ids_can_be_excluded(struct kunit *test)
{
	struct sim_world *w = sim_new_world(test, 3);
	struct sim_context ctx[3];
	unsigned int i;

	bitmap_fill(w->excluded, 256);
	__clear_bit(7, w->excluded);
	__clear_bit(100, w->excluded);
	__clear_bit(254, w->excluded);
	__clear_bit(255, w->excluded);
	sim_power_on(w, &sim_ops[sim_mode(test)], 8);
	KUNIT_EXPECT_EQ(test, w->a.usable, 4);
	sim_new_contexts(w, ctx, 3);
	for (i = 0; i < 300; i++) {
		sim_run(w, i % 3, &ctx[(i * 7 + i / 5) % 3]);
		sim_roll_over(w, i % 2);
	}
}

static void id_0_is_never_allocated(struct kunit *test)
{
	struct sim_world *w = sim_new_world(test, 2);
	static const struct idgen_ops no_marks[] = {
		[LOCAL] = { .name = "test", .flush_cpu = sim_flush_cpu },
		[BROADCAST] = { .name = "test", .flush_all = sim_flush_all },
		[BOTH] = {
			.name = "test",
			.flush_cpu = sim_flush_cpu,
			.flush_all = sim_flush_all,
		},
	};
	struct sim_context ctx[4];
	unsigned int i;

	/* Neither excluded IDs nor pins: there is no base map. */
	sim_power_on(w, &no_marks[sim_mode(test)], 4);
	KUNIT_EXPECT_NULL(test, w->a.base);
	KUNIT_EXPECT_EQ(test, w->a.usable, 15);
	/* Without sched out, which would reserve ID 0 at a rollover. */
	for (i = 0; i < 200; i++)
		sim_run_new(w, i % 2, &ctx[i % 4]);
}

static void update_excluded_frees_ids_at_rollover(struct kunit *test)
{
	struct sim_world *w = sim_new_world(test, 2);
	bool odd_seen = false;
	struct sim_context ctx;
	unsigned int i;

	sim_exclude_odd(w);
	sim_power_on(w, &sim_ops[sim_mode(test)], 6);
	KUNIT_EXPECT_EQ(test, w->a.usable, 31);
	KUNIT_EXPECT_EQ(test, w->a.max_pinned, 31 - 2 - 1);

	bitmap_zero(w->excluded, idgen_alloc_nr(&w->a));
	KUNIT_EXPECT_EQ(test, idgen_alloc_update_excluded(&w->a), 0);
	__set_bit(0, w->excluded);
	KUNIT_EXPECT_EQ(test, w->a.usable, 63);
	KUNIT_EXPECT_EQ(test, w->a.max_pinned, 63 - 2 - 1);
	for (i = 0; i < 10; i++) {
		sim_run_new(w, 1, &ctx);
		KUNIT_EXPECT_EQ(test, sim_id(&ctx) % 2, 0);
	}

	sim_roll_over(w, 0);
	for (i = 0; i < 50; i++) {
		sim_run_new(w, 1, &ctx);
		odd_seen |= sim_id(&ctx) & 1;
	}
	KUNIT_EXPECT_TRUE(test, odd_seen);
}

static const struct idgen_ops sim_provisional_ops = {
	.name = "test",
	.pins = true,
	.provisional = true,
	.exclude_ids = sim_exclude_ids,
	.flush_cpu = sim_flush_cpu,
};

static void pins_are_refused_while_provisional(struct kunit *test)
{
	struct sim_world *w = sim_new_world(test, 2);
	struct sim_context ctx;

	sim_exclude_odd(w);
	sim_power_on(w, &sim_provisional_ops, 6);
	sim_new_contexts(w, &ctx, 1);
	KUNIT_EXPECT_EQ(test, sim_pin(w, 0, &ctx), 0);
	KUNIT_EXPECT_EQ(test, refcount_read(&ctx.pins), 0);

	bitmap_zero(w->excluded, idgen_alloc_nr(&w->a));
	KUNIT_EXPECT_EQ(test, idgen_alloc_update_excluded(&w->a), 0);
	KUNIT_EXPECT_EQ(test, w->a.max_pinned, 63 - 2 - 1);
	KUNIT_EXPECT_NE(test, sim_pin(w, 0, &ctx), 0);
}

static void too_few_ids_warn_after_update(struct kunit *test)
{
	struct sim_world *w = sim_new_world(test, 7);

	/* 7 usable IDs for 7 CPUs. */
	sim_exclude_odd(w);
	kunit_warning_suppress(test) {
		sim_power_on(w, &sim_provisional_ops, 4);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 0);
		KUNIT_EXPECT_EQ(test, idgen_alloc_update_excluded(&w->a), 0);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
		KUNIT_EXPECT_EQ(test, w->a.max_pinned, 0);
		__clear_bit(15, w->excluded);
		KUNIT_EXPECT_EQ(test, idgen_alloc_update_excluded(&w->a), 0);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
	}
	KUNIT_EXPECT_EQ(test, w->a.usable, 8);
}

static void update_excluded_fails_with_pins(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 2, 6);
	struct sim_context ctx;
	u64 had;

	sim_new_context(w, &ctx);
	had = sim_pin(w, 0, &ctx);
	KUNIT_EXPECT_EQ(test, idgen_alloc_update_excluded(&w->a), -EBUSY);
	sim_roll_over(w, 0);
	sim_run(w, 0, &ctx);
	KUNIT_EXPECT_EQ(test, sim_id(&ctx), had);
	sim_unpin(w, &ctx);
	KUNIT_EXPECT_EQ(test, idgen_alloc_update_excluded(&w->a), 0);
}

static void update_excluded_without_callback(struct kunit *test)
{
	struct sim_world *w = sim_new_world(test, 2);
	static const struct idgen_ops ops = {
		.name = "test",
		.flush_cpu = sim_flush_cpu,
	};

	sim_power_on(w, &ops, 6);
	KUNIT_EXPECT_EQ(test, idgen_alloc_update_excluded(&w->a), 0);
	KUNIT_EXPECT_EQ(test, w->a.usable, 63);
}

/*
 * Sched out
 */

static void rollover_after_sched_out_frees_id(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 2, 4);
	struct sim_context vm;
	u64 had;

	sim_run_new(w, 1, &vm);
	had = sim_id(&vm);
	sim_sched_out(w, 1);
	KUNIT_EXPECT_EQ(test, sim_active(w, 1), w->a.generation);
	KUNIT_EXPECT_TRUE(test, sim_in_map(w, had));
	sim_roll_over(w, 0);
	KUNIT_EXPECT_TRUE(test, !sim_in_map(w, had) || w->cpu[0].id == had);
	KUNIT_EXPECT_EQ(test, sim_reserved(w, 1), 0);
}

/* Fails if sched out sets the slot to 0, as v3 of KVM's VMID series did. */
static void switch_after_sched_out_is_fast(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 2, 4);
	struct sim_context vm[2];
	unsigned int i;

	sim_new_contexts(w, vm, 2);
	sim_run(w, 1, &vm[0]);
	sim_run(w, 1, &vm[1]);
	for (i = 0; i < 5; i++) {
		sim_sched_out(w, 1);
		KUNIT_EXPECT_TRUE(test, sim_run_fast(w, 1, &vm[i % 2]));
	}
	sim_roll_over(w, 0);
	sim_run(w, 1, &vm[0]);
	sim_sched_out(w, 1);
	KUNIT_EXPECT_TRUE(test, sim_run_fast(w, 1, &vm[0]));
}

/* The ID must not stay reserved forever, as in v3 of KVM's VMID series. */
static void sched_out_after_rollover_frees_id_later(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 2, 4);
	struct sim_context vm;
	u64 had;

	sim_run_new(w, 1, &vm);
	had = sim_id(&vm);
	/* A rollover takes the slot while the vCPU runs. */
	sim_roll_over(w, 0);
	KUNIT_EXPECT_TRUE(test, sim_in_map(w, had));
	/* Then the vCPU is scheduled out. */
	sim_sched_out(w, 1);
	KUNIT_EXPECT_TRUE(test, sim_taken(w, 1));
	KUNIT_EXPECT_EQ(test, sim_reserved(w, 1), had);
	sim_roll_over(w, 0);
	KUNIT_EXPECT_EQ(test, sim_reserved(w, 1), 0);
	KUNIT_EXPECT_TRUE(test, !sim_in_map(w, had) || w->cpu[0].id == had);
}

/*
 * A store to the whole slot would hide a rollover. The next switch would then
 * take the fast path with an ID of the old generation.
 */
static void sched_out_does_not_hide_rollover(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 2, 4);
	struct sim_context vm, fresh;
	idgen_value_t value;

	sim_run_new(w, 1, &vm);
	value = sim_value(&vm);
	sim_roll_over(w, 0);
	/* One rollover later, its ID has a new owner. */
	sim_sched_out(w, 1);
	sim_roll_over(w, 0);
	sim_run_until(w, 0, &fresh, value & IDGEN_ID_MASK);
	KUNIT_EXPECT_FALSE(test, sim_run_fast(w, 1, &vm));
	sim_sched_out(w, 1);
	KUNIT_EXPECT_FALSE(test, sim_run_fast(w, 1, &vm));
	sim_run(w, 1, &vm);
}

/*
 * If each vCPU took a new ID when it is loaded again after a rollover, a few
 * CPUs with one VM each could roll over forever.
 */
static void sched_out_after_rollover_uses_no_ids(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 13, 4);
	struct sim_context vm[13];
	unsigned int i;
	u64 had;

	sim_new_contexts(w, vm, 13);
	for (i = 0; i < 13; i++)
		sim_run(w, i, &vm[i]);
	had = sim_id(&vm[12]);
	sim_roll_over(w, 0);
	for (i = 0; i < 5 * 13; i++) {
		sim_sched_out(w, i % 13);
		sim_run(w, i % 13, &vm[i % 13]);
	}
	KUNIT_EXPECT_EQ(test, w->a.generation, SECOND_GEN);
	KUNIT_EXPECT_EQ(test, sim_id(&vm[12]), had);
}

/* Called during a rollover, before it takes @slot. */
static struct {
	struct idgen_slot *slot;
	void (*act)(struct sim_world *w, struct sim_context *ctx);
	struct sim_world *w;
	struct sim_context *ctx;
} sim_interruption;

static void sim_interrupt(struct idgen_slot *slot)
{
	if (slot != sim_interruption.slot)
		return;
	sim_interruption.slot = NULL;
	sim_interruption.act(sim_interruption.w, sim_interruption.ctx);
}

static void sim_restore_before_take(void *saved)
{
	idgen_before_take = saved;
}

/* Roll over on CPU 0, and call @act before it takes the slot of @cpu. */
static void sim_roll_over_interrupted(struct sim_world *w, unsigned int cpu,
				      void (*act)(struct sim_world *w,
						  struct sim_context *ctx),
				      struct sim_context *ctx)
{
	KUNIT_ASSERT_EQ(w->test, 0,
			kunit_add_action_or_reset(w->test,
						  sim_restore_before_take,
						  idgen_before_take));
	sim_interruption.slot = &w->slot[cpu];
	sim_interruption.act = act;
	sim_interruption.w = w;
	sim_interruption.ctx = ctx;
	idgen_before_take = sim_interrupt;
	sim_roll_over(w, 0);
	KUNIT_ASSERT_NULL(w->test, sim_interruption.slot);
}

/* The slot of CPU 1 is taken already, that of CPU 2 is not. */
static void sim_sched_out_1_and_2(struct sim_world *w,
				  struct sim_context *unused)
{
	sim_check(w, sim_taken(w, 1), "slot 1 is not taken");
	sim_check(w, !sim_taken(w, 2), "slot 2 is taken");
	sim_sched_out(w, 1);
	sim_sched_out(w, 2);
	/* Too late: this rollover has reserved the ID of CPU 1. */
	w->cpu[1].out = false;
}

static void sched_out_races_with_take_slot(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 4, 4);
	struct sim_context vm[4];
	unsigned int i;

	sim_new_contexts(w, vm, 4);
	for (i = 0; i < 4; i++)
		sim_run(w, i, &vm[i]);
	sim_roll_over_interrupted(w, 2, sim_sched_out_1_and_2, NULL);

	KUNIT_EXPECT_EQ(test, sim_reserved(w, 1), sim_id(&vm[1]));
	KUNIT_EXPECT_TRUE(test, sim_in_map(w, sim_id(&vm[1])));
	KUNIT_EXPECT_EQ(test, sim_reserved(w, 2), 0);
	KUNIT_EXPECT_FALSE(test, sim_in_map(w, sim_id(&vm[2])));
	/* Both see the rollover. */
	for (i = 1; i < 3; i++) {
		KUNIT_EXPECT_EQ(test, sim_active(w, i),
				IDGEN_TAKEN | IDGEN_FIRST_GEN);
		KUNIT_EXPECT_FALSE(test, sim_run_fast(w, i, &vm[i]));
	}
	/* CPU 1 keeps its ID reserved for one generation. */
	w->cpu[1].out = true;
	sim_roll_over(w, 0);
	KUNIT_EXPECT_EQ(test, sim_reserved(w, 1), 0);
	KUNIT_EXPECT_EQ(test, sim_reserved(w, 3), sim_id(&vm[3]));
}

static void sched_out_clears_only_the_id(struct kunit *test)
{
	struct idgen_slot slot = {};

	idgen_atomic(set)(&slot.active, LAST_GEN | IDGEN_ID_MASK);
	idgen_alloc_sched_out(&slot);
	KUNIT_EXPECT_EQ(test, idgen_atomic(read)(&slot.active), LAST_GEN);
	idgen_atomic(set)(&slot.active, IDGEN_TAKEN | LAST_GEN | IDGEN_ID_MASK);
	idgen_alloc_sched_out(&slot);
	KUNIT_EXPECT_EQ(test, idgen_atomic(read)(&slot.active),
			IDGEN_TAKEN | LAST_GEN);
}

static void sched_out_before_first_switch(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 2, 4);
	struct sim_context vm;

	sim_sched_out(w, 1);
	KUNIT_EXPECT_EQ(test, sim_active(w, 1), IDGEN_FIRST_GEN);
	sim_roll_over(w, 0);
	sim_sched_out(w, 1);
	KUNIT_EXPECT_EQ(test, sim_active(w, 1), IDGEN_TAKEN | IDGEN_FIRST_GEN);
	KUNIT_EXPECT_EQ(test, sim_reserved(w, 1), 0);
	sim_run_new(w, 1, &vm);
}

static void sched_out_twice_is_harmless(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 2, 4);
	struct sim_context vm;

	sim_run_new(w, 1, &vm);
	sim_sched_out(w, 1);
	sim_sched_out(w, 1);
	KUNIT_EXPECT_EQ(test, sim_active(w, 1), w->a.generation);
	KUNIT_EXPECT_TRUE(test, sim_run_fast(w, 1, &vm));
}

static void sched_out_keeps_flush_pending(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, LOCAL, 2, 4);
	struct sim_context vm, fresh;

	sim_run_new(w, 1, &vm);
	sim_roll_over(w, 0);
	sim_sched_out(w, 1);
	KUNIT_EXPECT_EQ(test, w->cpu[1].flushes, 0);
	/* Without a flush, a context with the same ID would hit its entries. */
	sim_run_new(w, 0, &fresh);
	KUNIT_EXPECT_FALSE(test, sim_run_fast(w, 1, &fresh));
	sim_run(w, 1, &fresh);
	KUNIT_EXPECT_EQ(test, w->cpu[1].flushes, 1);
}

/* No context has ID 0, which a slot has after sched out. */
static void no_context_has_sched_out_value(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 2, 4);
	struct sim_context *ctx = sim_alloc_contexts(w, 8);
	unsigned int i, j;

	for (i = 0; i < 1000; i++) {
		/* A mix of new and stale contexts, on both CPUs. */
		if (i % 3)
			sim_new_context(w, &ctx[i % 8]);
		sim_run(w, 0, &ctx[i % 8]);
		if (i % 5 == 0)
			sim_run(w, 1, &ctx[i * 3 % 8]);
		sim_sched_out(w, 1);
		KUNIT_ASSERT_EQ(test, 0, sim_active(w, 1) & IDGEN_ID_MASK);
		for (j = 0; j < 8; j++)
			KUNIT_ASSERT_NE(test, sim_value(&ctx[j]),
					sim_active(w, 1) & ~IDGEN_TAKEN);
		sim_sched_out(w, 0);
	}
	KUNIT_EXPECT_GT(test, w->a.generation, 30 * IDGEN_GEN_STEP);
}

/*
 * The fast path against rollovers
 */

/* Commit a8ffaaa060b8: an old value must not replace a taken slot. */
static void switch_racing_with_rollover_is_slow(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 3, 4);
	struct sim_context from, to;
	idgen_value_t old, value;

	sim_new_context(w, &from);
	sim_run_new(w, 1, &to);
	sim_run(w, 1, &from);
	/* CPU 1 reads both values. */
	old = sim_active(w, 1);
	value = sim_value(&to);
	/* A rollover takes its slot. */
	sim_roll_over(w, 0);
	/* The slot must not get the old value. */
	KUNIT_EXPECT_FALSE(test,
			   __idgen_alloc_replace(&w->slot[1], old, value));
	KUNIT_EXPECT_EQ(test, sim_active(w, 1), IDGEN_TAKEN | old);
	sim_run(w, 1, &to);
	KUNIT_EXPECT_EQ(test, sim_gen(&to), w->a.generation);
	/* The ID that it ran meanwhile is reserved. */
	sim_run(w, 2, &from);
}

/* The slot of CPU 1 is not taken yet, so it uses the old generation. */
static void sim_switch_1_fast(struct sim_world *w, struct sim_context *ctx)
{
	sim_check(w, sim_taken(w, 0), "slot 0 is not taken");
	sim_check(w, __idgen_alloc_replace(&w->slot[1], sim_active(w, 1),
					   sim_value(ctx)), "no fast path");
	w->cpu[1].ctx = ctx;
	w->cpu[1].id = sim_id(ctx);
	sim_fill_tlb(w, 1);
}

/*
 * A draft of KVM's VMID series stored to the slot and then checked the
 * generation. A rollover in between reserved the wrong value.
 */
static void switch_before_take_slot_is_reserved(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 3, 4);
	struct sim_context from, to;
	unsigned int i;

	sim_new_context(w, &from);
	sim_run_new(w, 1, &to);
	sim_run(w, 1, &from);
	sim_roll_over_interrupted(w, 1, sim_switch_1_fast, &to);

	KUNIT_EXPECT_EQ(test, w->slot[1].reserved, sim_value(&to));
	KUNIT_EXPECT_TRUE(test, sim_in_map(w, sim_id(&to)));
	/* CPU 1 does not switch while all other IDs are reused. */
	for (i = 0; i < 3; i++)
		sim_roll_over(w, 0);
	KUNIT_EXPECT_EQ(test, w->cpu[1].id, sim_id(&to));
	sim_run(w, 2, &to);
	KUNIT_EXPECT_EQ(test, w->cpu[1].id, sim_id(&to));
}

static void newer_context_is_slow_on_stale_cpu(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 3, 4);
	struct sim_context old, new;
	idgen_value_t had;

	sim_new_context(w, &old);
	sim_new_context(w, &new);
	sim_run(w, 1, &old);
	had = sim_active(w, 1);
	sim_roll_over(w, 0);
	sim_run(w, 0, &new);
	/* CPU 1 reads its slot before and the context after the rollover. */
	KUNIT_EXPECT_FALSE(test, __idgen_alloc_replace(&w->slot[1], had,
						       sim_value(&new)));
	sim_run(w, 1, &new);
}

static void context_without_id_is_never_fast(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 2, 4);
	struct sim_context ctx;

	sim_new_context(w, &ctx);
	KUNIT_EXPECT_FALSE(test, sim_run_fast(w, 1, &ctx));
	sim_roll_over(w, 0);
	KUNIT_ASSERT_TRUE(test, sim_taken(w, 1));
	KUNIT_EXPECT_FALSE(test, sim_run_fast(w, 1, &ctx));
	KUNIT_EXPECT_TRUE(test, sim_taken(w, 1));
	sim_run(w, 1, &ctx);
	KUNIT_EXPECT_NE(test, sim_id(&ctx), 0);
}

/* Commit fa808ed4e199: a vCPU entered its guest with VMID 0. */
static void switch_returns_with_id(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 2, 4);
	struct sim_context ctx;
	unsigned int i;

	for (i = 0; i < 100; i++) {
		sim_new_context(w, &ctx);
		idgen_alloc_switch(&w->a, &w->slot[0], &ctx.value, &ctx.pins);
		KUNIT_ASSERT_NE(test, sim_id(&ctx), 0);
		KUNIT_ASSERT_EQ(test, sim_gen(&ctx), w->a.generation);
		KUNIT_ASSERT_EQ(test, sim_value(&ctx), sim_active(w, 0));
	}
}

/*
 * Pins
 */

static void pinned_id_survives_rollovers(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 2, 4);
	struct sim_context ctx;
	unsigned int i;
	u64 had;

	sim_run_new(w, 1, &ctx);
	had = sim_id(&ctx);
	KUNIT_EXPECT_EQ(test, sim_pin(w, 0, &ctx), had);
	sim_sched_out(w, 1);
	for (i = 0; i < 5; i++) {
		sim_roll_over(w, 0);
		KUNIT_EXPECT_TRUE(test, sim_in_map(w, had));
	}
	sim_run(w, 1, &ctx);
	KUNIT_EXPECT_EQ(test, sim_id(&ctx), had);
	KUNIT_EXPECT_EQ(test, sim_gen(&ctx), w->a.generation);
}

static void pin_allocates_id(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 2, 4);
	struct sim_context ctx;

	sim_new_context(w, &ctx);
	KUNIT_EXPECT_NE(test, sim_pin(w, 0, &ctx), 0);
	sim_roll_over(w, 0);
	sim_roll_over(w, 0);
	sim_run(w, 1, &ctx);
	KUNIT_EXPECT_EQ(test, sim_id(&ctx), ctx.pinned_id);
}

static void pin_updates_stale_context(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 2, 4);
	struct sim_context stale, taker;
	u64 had;

	sim_run_new(w, 1, &stale);
	had = sim_id(&stale);
	sim_sched_out(w, 1);
	sim_roll_over(w, 0);
	sim_run_until(w, 0, &taker, had);
	KUNIT_EXPECT_NE(test, sim_pin(w, 0, &stale), had);
	KUNIT_EXPECT_EQ(test, sim_gen(&stale), w->a.generation);
	sim_run(w, 1, &stale);
}

static void pin_of_running_context_keeps_id(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 2, 4);
	struct sim_context ctx;
	u64 had;

	sim_run_new(w, 1, &ctx);
	had = sim_id(&ctx);
	sim_roll_over(w, 0);
	/* Stale but reserved. The reserved copy is updated. */
	KUNIT_EXPECT_EQ(test, sim_pin(w, 0, &ctx), had);
	KUNIT_EXPECT_EQ(test, w->slot[1].reserved, sim_value(&ctx));
	sim_unpin(w, &ctx);
	sim_roll_over(w, 0);
	sim_run(w, 0, &ctx);
	KUNIT_EXPECT_EQ(test, sim_id(&ctx), had);
}

static void pinned_context_updates_reserved(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 3, 4);
	struct sim_context ctx;
	u64 had;

	sim_run_new(w, 1, &ctx);
	had = sim_pin(w, 0, &ctx);
	sim_roll_over(w, 0);
	/* CPU 1 has not switched yet. */
	sim_run(w, 2, &ctx);
	KUNIT_EXPECT_EQ(test, w->slot[1].reserved, sim_value(&ctx));
	/* After the unpin, only the reserved copy keeps the ID. */
	sim_unpin(w, &ctx);
	sim_sched_out(w, 2);
	sim_roll_over(w, 0);
	sim_run(w, 2, &ctx);
	KUNIT_EXPECT_EQ(test, sim_id(&ctx), had);
}

static void pins_without_excluded_ids(struct kunit *test)
{
	static const struct idgen_ops ops = {
		.name = "test",
		.pins = true,
		.flush_cpu = sim_flush_cpu,
	};
	struct sim_world *w = sim_new_world(test, 2);
	struct sim_context ctx;
	u64 had;

	sim_power_on(w, &ops, 4);
	KUNIT_EXPECT_EQ(test, w->a.usable, 15);
	sim_new_context(w, &ctx);
	had = sim_pin(w, 0, &ctx);
	KUNIT_ASSERT_NE(test, had, 0);
	sim_roll_over(w, 0);
	sim_roll_over(w, 1);
	sim_run(w, 0, &ctx);
	KUNIT_EXPECT_EQ(test, sim_id(&ctx), had);
}

static void pins_nest(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 2, 4);
	struct sim_context ctx;
	u64 had;

	sim_new_context(w, &ctx);
	had = sim_pin(w, 0, &ctx);
	sim_roll_over(w, 0);
	/* The value is stale, but the ID is still right. */
	KUNIT_EXPECT_EQ(test, sim_pin(w, 0, &ctx), had);
	KUNIT_EXPECT_EQ(test, w->a.nr_pinned, 1);
	sim_unpin(w, &ctx);
	KUNIT_EXPECT_EQ(test, w->a.nr_pinned, 1);
	sim_roll_over(w, 0);
	KUNIT_EXPECT_TRUE(test, sim_in_map(w, had));
	sim_unpin(w, &ctx);
	KUNIT_EXPECT_EQ(test, w->a.nr_pinned, 0);
}

static void unpin_frees_id_at_rollover(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 2, 4);
	struct sim_context ctx;
	u64 had;

	sim_new_context(w, &ctx);
	had = sim_pin(w, 0, &ctx);
	sim_roll_over(w, 0);
	sim_unpin(w, &ctx);
	KUNIT_EXPECT_TRUE(test, sim_in_map(w, had));
	sim_roll_over(w, 0);
	KUNIT_EXPECT_TRUE(test, !sim_in_map(w, had) || w->cpu[0].id == had);
}

static void unpin_after_rollover_drops_id(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 2, 4);
	struct sim_context ctx;
	u64 had;

	sim_new_context(w, &ctx);
	had = sim_pin(w, 0, &ctx);
	sim_roll_over(w, 0);
	/* The context has not run since the rollover: its value is stale. */
	sim_unpin(w, &ctx);
	sim_run(w, 1, &ctx);
	/* Another context may have its ID. */
	KUNIT_EXPECT_NE(test, sim_id(&ctx), had);
	KUNIT_EXPECT_EQ(test, w->a.generation, SECOND_GEN);
}

static void unbalanced_unpin_changes_nothing(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 2, 4);
	struct sim_context pinned, ctx;

	sim_new_context(w, &pinned);
	sim_new_context(w, &ctx);
	sim_pin(w, 0, &pinned);
	sim_run(w, 0, &ctx);
	kunit_warning_suppress(test) {
		sim_unpin(w, &ctx);
	}
	KUNIT_EXPECT_EQ(test, refcount_read(&ctx.pins), 0);
	KUNIT_EXPECT_EQ(test, w->a.nr_pinned, 1);
	KUNIT_EXPECT_NE(test, sim_pin(w, 0, &ctx), 0);
}

static void pin_count_saturates(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, LOCAL, 2, 4);
	struct sim_context ctx;
	unsigned int i;
	u64 had;

	sim_new_context(w, &ctx);
	had = sim_pin(w, 0, &ctx);
	refcount_set(&ctx.pins, REFCOUNT_MAX);
	kunit_warning_suppress(test) {
		for (i = 0; i < 3; i++) {
			KUNIT_EXPECT_EQ(test, sim_pin(w, 0, &ctx), had);
			KUNIT_EXPECT_EQ(test, (int)refcount_read(&ctx.pins),
					REFCOUNT_SATURATED);
			sim_unpin(w, &ctx);
			sim_unpin(w, &ctx);
			KUNIT_EXPECT_EQ(test, (int)refcount_read(&ctx.pins),
					REFCOUNT_SATURATED);
			sim_roll_over(w, 0);
		}
	}
	KUNIT_EXPECT_EQ(test, w->a.nr_pinned, 1);
	KUNIT_EXPECT_TRUE(test, test_bit(had, w->a.base));
}

static void pin_limit_leaves_free_ids(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 4, 4);
	struct sim_context *running = sim_alloc_contexts(w, 4);
	struct sim_context *ctx = sim_alloc_contexts(w, 16);
	unsigned int i, nr = 0;

	for (i = 0; i < 16; i++)
		nr += sim_pin(w, 0, &ctx[i]) != 0;
	/* 15 usable IDs, less one for each of 4 CPUs, less a free one. */
	KUNIT_EXPECT_EQ(test, nr, 10);
	KUNIT_EXPECT_EQ(test, w->a.nr_pinned, 10);
	KUNIT_EXPECT_EQ(test, refcount_read(&ctx[10].pins), 0);

	for (i = 0; i < 40; i++) {
		sim_run(w, i % 4, &running[i % 4]);
		sim_roll_over(w, (i + 1) % 4);
	}
	for (i = 0; i < 10; i++) {
		sim_run(w, 0, &ctx[i]);
		sim_unpin(w, &ctx[i]);
	}
	KUNIT_EXPECT_EQ(test, w->a.nr_pinned, 0);
	/* This pin was refused above. */
	KUNIT_EXPECT_NE(test, sim_pin(w, 0, &ctx[10]), 0);
}

static void pin_can_roll_over(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 2, 4);
	struct sim_context last, next, fresh;

	sim_new_context(w, &last);
	sim_new_context(w, &next);
	sim_run_until(w, 0, &fresh, 14);
	sim_sched_out(w, 0);
	/* Take the last ID of the generation. */
	KUNIT_EXPECT_EQ(test, sim_pin(w, 0, &last), 15);
	KUNIT_EXPECT_EQ(test, w->a.generation, IDGEN_FIRST_GEN);
	/* The next pin rolls over. */
	KUNIT_EXPECT_NE(test, sim_pin(w, 0, &next), 0);
	KUNIT_EXPECT_EQ(test, w->a.generation, SECOND_GEN);
	sim_run(w, 1, &last);
	KUNIT_EXPECT_EQ(test, sim_id(&last), 15);
	sim_run(w, 0, &next);
}

static void pinned_id_not_given_to_former_owner(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 2, 4);
	struct sim_context before, after;
	u64 wanted;

	sim_run_new(w, 1, &before);
	wanted = sim_id(&before);
	sim_sched_out(w, 1);
	sim_roll_over(w, 0);
	sim_run_until(w, 0, &after, wanted);
	KUNIT_EXPECT_EQ(test, sim_pin(w, 0, &after), wanted);
	sim_sched_out(w, 0);
	sim_roll_over(w, 0);
	sim_run(w, 1, &before);
	KUNIT_EXPECT_NE(test, sim_id(&before), wanted);
}

static void pin_is_refused_without_support(struct kunit *test)
{
	static const struct idgen_ops ops = {
		.name = "test",
		.exclude_ids = sim_exclude_ids,
		.flush_cpu = sim_flush_cpu,
	};
	struct sim_world *w = sim_new_world(test, 2);
	struct sim_context ctx;

	sim_power_on(w, &ops, 6);
	sim_new_context(w, &ctx);
	KUNIT_EXPECT_EQ(test, sim_pin(w, 0, &ctx), 0);
	KUNIT_EXPECT_EQ(test, idgen_alloc_update_excluded(&w->a), 0);
	KUNIT_EXPECT_EQ(test, sim_pin(w, 0, &ctx), 0);
	KUNIT_EXPECT_EQ(test, refcount_read(&ctx.pins), 0);
}

static void pin_count_is_optional(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 2, 4);
	idgen_atomic_t value = {};
	unsigned int i;

	for (i = 0; i < 3; i++) {
		w->self = 1;
		idgen_alloc_switch(&w->a, &w->slot[1], &value, NULL);
		KUNIT_EXPECT_EQ(test,
				idgen_atomic(read)(&value) & ~IDGEN_ID_MASK,
				w->a.generation);
		sim_sched_out(w, 1);
		sim_roll_over(w, 0);
		sim_roll_over(w, 0);
	}
}

/*
 * Init and destroy
 */

struct bad_init {
	const char *desc;
	unsigned int bits;
	bool no_flush;
};

static const struct bad_init bad_inits[] = {
	{ .desc = "too few bits", .bits = 3 },
	{ .desc = "no bits", .bits = 0 },
	{ .desc = "more bits than a value holds", .bits = IDGEN_ID_BITS + 1 },
	{ .desc = "no flush callback", .bits = 8, .no_flush = true },
};

KUNIT_ARRAY_PARAM_DESC(bad_inits, bad_inits, desc);

static void init_rejects_bad_arguments(struct kunit *test)
{
	static const struct idgen_ops no_flush = {
		.name = "test",
		.exclude_ids = sim_exclude_ids,
	};
	const struct bad_init *bad = test->param_value;
	struct sim_world *w = sim_new_world(test, 1);

	KUNIT_EXPECT_EQ(test, -EINVAL,
			sim_init(w, bad->no_flush ? &no_flush : &sim_ops[LOCAL],
				 bad->bits));
	KUNIT_EXPECT_NULL(test, w->a.map);
	KUNIT_EXPECT_NULL(test, w->a.base);
	KUNIT_EXPECT_NULL(test, w->a.hint);
	KUNIT_EXPECT_NULL(test, w->a.slots);
	/* Not needed, but harmless. */
	idgen_alloc_destroy(&w->a);
}

static void init_counts_usable_ids(struct kunit *test)
{
	struct sim_world *w = sim_new_world(test, 7);

	sim_exclude_odd(w);
	kunit_warning_suppress(test) {
		/* 7 usable IDs for 7 CPUs. */
		KUNIT_EXPECT_EQ(test, sim_init(w, &sim_ops[LOCAL], 4), 0);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
		KUNIT_EXPECT_EQ(test, w->a.usable, 7);
		KUNIT_EXPECT_EQ(test, w->a.max_pinned, 0);
		idgen_alloc_destroy(&w->a);

		__clear_bit(15, w->excluded);
		KUNIT_EXPECT_EQ(test, sim_init(w, &sim_ops[LOCAL], 4), 0);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
	}
	KUNIT_EXPECT_EQ(test, w->a.usable, 8);
	KUNIT_EXPECT_EQ(test, w->a.max_pinned, 0);
	idgen_alloc_destroy(&w->a);
}

/* Firmware may count CPUs that never come up. */
static void more_possible_cpus_than_ids(struct kunit *test)
{
	struct sim_world *w = sim_new_world(test, 300);
	struct sim_context ctx[4];
	unsigned int i;

	kunit_warning_suppress(test) {
		sim_power_on(w, &sim_ops[sim_mode(test)], 4);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
	}
	sim_new_contexts(w, ctx, 4);
	KUNIT_EXPECT_EQ(test, sim_pin(w, 0, &ctx[0]), 0);
	for (i = 0; i < 40; i++) {
		sim_run(w, i % 4, &ctx[i % 4]);
		sim_roll_over(w, (i + 1) % 4);
	}
}

static char sim_panic_msg[128];

static __printf(1, 2) void sim_panic(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vscnprintf(sim_panic_msg, sizeof(sim_panic_msg), fmt, args);
	va_end(args);
}

static void no_free_id_panics(struct kunit *test)
{
	static const char message[] =
		"idgen_alloc: test: too few IDs: 3 usable, 4 CPUs, 0 pinned\n";
	struct sim_world *w = sim_new_world(test, 4);
	struct sim_context ctx[4];
	unsigned int i;

	/* 3 usable IDs. */
	bitmap_set(w->excluded, 4, 12);
	kunit_warning_suppress(test) {
		sim_power_on(w, &sim_ops[sim_mode(test)], 4);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
	}
	sim_new_contexts(w, ctx, 4);
	for (i = 0; i < 3; i++)
		sim_run(w, i, &ctx[i]);

	sim_panic_msg[0] = '\0';
	idgen_panic = sim_panic;
	sim_leave(w, 3);
	sim_begin_call(w, 3, &ctx[3]);
	idgen_alloc_switch(&w->a, &w->slot[3], &ctx[3].value, NULL);
	idgen_panic = panic;
	KUNIT_EXPECT_STREQ(test, sim_panic_msg, message);
	/* No ID of another context, and no write past the map. */
	KUNIT_EXPECT_EQ(test, sim_id(&ctx[3]), 0);
	KUNIT_EXPECT_EQ(test, w->a.map[0], GENMASK(15, 0));
}

static unsigned int sim_zallocs_left;

static unsigned long *sim_failing_zalloc(unsigned long nbits)
{
	if (!sim_zallocs_left--)
		return NULL;
	return bitmap_zalloc(nbits, GFP_KERNEL);
}

static void init_cleans_up_without_memory(struct kunit *test)
{
	struct sim_world *w = sim_new_world(test, 2);
	unsigned int i;

	kunit_activate_static_stub(test, idgen_bitmap_zalloc,
				   sim_failing_zalloc);
	for (i = 0; i < 3; i++) {
		sim_zallocs_left = i;
		KUNIT_EXPECT_EQ(test, sim_init(w, &sim_ops[LOCAL], 8), -ENOMEM);
		KUNIT_EXPECT_NULL(test, w->a.map);
		KUNIT_EXPECT_NULL(test, w->a.base);
		KUNIT_EXPECT_NULL(test, w->a.hint);
		KUNIT_EXPECT_NULL(test, w->a.slots);
	}
	sim_zallocs_left = 3;
	KUNIT_EXPECT_EQ(test, sim_init(w, &sim_ops[LOCAL], 8), 0);
	/* There are three bitmaps. */
	KUNIT_EXPECT_EQ(test, sim_zallocs_left, 0);
	idgen_alloc_destroy(&w->a);
	kunit_deactivate_static_stub(test, idgen_bitmap_zalloc);
}

static void init_works_after_destroy(struct kunit *test)
{
	struct sim_world *w = sim_boot(test, sim_mode(test), 2, 6);
	struct sim_context ctx;

	sim_run_new(w, 0, &ctx);
	sim_roll_over(w, 1);
	sim_roll_over(w, 0);
	sim_pin(w, 0, &ctx);

	idgen_alloc_destroy(&w->a);
	KUNIT_EXPECT_NULL(test, w->a.map);
	idgen_alloc_destroy(&w->a);
	KUNIT_ASSERT_EQ(test, sim_init(w, &sim_ops[sim_mode(test)], 6), 0);
	w->cpu[0].ctx = NULL;
	w->generation_flushed = 0;
	sim_flush_tlb(w, 0);
	sim_flush_tlb(w, 1);

	KUNIT_EXPECT_EQ(test, w->a.generation, IDGEN_FIRST_GEN);
	KUNIT_EXPECT_EQ(test, w->a.nr_pinned, 0);
	KUNIT_EXPECT_EQ(test, sim_active(w, 0), IDGEN_FIRST_GEN);
	KUNIT_EXPECT_EQ(test, w->slot[0].reserved, IDGEN_FIRST_GEN);
	sim_run_new(w, 0, &ctx);
	KUNIT_EXPECT_EQ(test, sim_gen(&ctx), IDGEN_FIRST_GEN);
	sim_roll_over(w, 1);
}

/*
 * Debug checks
 */

/* Each check fails twice. x86 also counts warnings that WARN_ONCE() drops. */
#define SIM_ONCE	(IS_ENABLED(CONFIG_X86) ? 2 : 1)

static void each_debug_check_warns_once(struct kunit *test)
{
	static bool again;
	struct sim_world *w = sim_boot(test, LOCAL, 3, 4);
	struct sim_context *ctx = sim_alloc_contexts(w, 10);
	unsigned long *map = w->a.map;

	if (!IS_ENABLED(CONFIG_DEBUG_IDGEN_ALLOC))
		kunit_skip(test, "needs CONFIG_DEBUG_IDGEN_ALLOC");
	if (again)
		kunit_skip(test, "each check warns once per boot");
	again = true;

	sim_run(w, 1, &ctx[0]);
	w->map_corrupted = true;
	kunit_warning_suppress(test) {
		/* ActiveInMap */
		__clear_bit(sim_id(&ctx[0]), map);
		sim_run(w, 0, &ctx[1]);
		sim_run(w, 0, &ctx[2]);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, SIM_ONCE);
		__set_bit(sim_id(&ctx[0]), map);

		/* ReservedInMap */
		sim_roll_over(w, 0);
		__clear_bit(sim_id(&ctx[0]), map);
		sim_run(w, 0, &ctx[3]);
		sim_run(w, 0, &ctx[4]);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 2 * SIM_ONCE);
		__set_bit(sim_id(&ctx[0]), map);

		/* ExcludedInMap */
		__clear_bit(0, map);
		sim_pin(w, 0, &ctx[5]);
		sim_pin(w, 0, &ctx[6]);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 3 * SIM_ONCE);
		__set_bit(0, map);

		/* PinsCounted */
		w->a.nr_pinned++;
		sim_pin(w, 0, &ctx[7]);
		sim_pin(w, 0, &ctx[8]);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 4 * SIM_ONCE);
		w->a.nr_pinned--;

		sim_pin(w, 0, &ctx[9]);
		sim_run(w, 0, &ctx[9]);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 4 * SIM_ONCE);
	}
}

/*
 * The boot parameter
 */

struct boot_param {
	const char *desc;
	char *bits;
	unsigned int cpus;
	unsigned int expected;
	bool ignored;
};

static const struct boot_param boot_params[] = {
	{ "lowers", "test:5", 2, 5 },
	{ "down to 4", "test:4", 2, 4 },
	{ "the same is fine", "test:8", 2, 8 },
	{ "among others", "asid:5,test:6,vmid:7", 2, 6 },
	{ "last of several", "vmid:5,test:7", 2, 7 },
	{ "never raises", "test:9", 2, 8, true },
	{ "not below 4", "test:3", 2, 8, true },
	{ "no wraparound at 2^32", "test:4294967300", 2, 8, true },
	{ "no wraparound at 2^64", "test:18446744073709551620", 2, 8, true },
	{ "not a number", "test:few", 2, 8, true },
	{ "not only a number", "test:5x", 2, 8, true },
	{ "no number", "test:", 2, 8, true },
	{ "long",
	  "asid:16,vmid:16,asid:16,vmid:16,asid:16,vmid:16,asid:16,test:5",
	  2, 5 },
	{ "none", NULL, 2, 8 },
	{ "for another", "vmid:5", 2, 8 },
	{ "for one whose name starts alike", "tes:5,testing:6", 2, 8 },
	{ "empty", "", 2, 8 },
	{ "only commas", ",,", 2, 8 },
	{ "good after bad", "test:99,test:6", 2, 6, true },
	{ "good after no number", "test:5x,test:6", 2, 6, true },
	{ "raised to what the CPUs need", "test:4", 15, 5 },
	{ "raised further", "test:4", 63, 7 },
	{ "raised to all there is", "test:4", 200, 8 },
};

KUNIT_ARRAY_PARAM_DESC(boot_params, boot_params, desc);

static void sim_restore_bits(void *saved)
{
	idgen_bits_param = saved;
}

/* For the rest of the case. */
static void sim_set_bits(struct kunit *test, char *bits)
{
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, sim_restore_bits,
						  idgen_bits_param));
	idgen_bits_param = bits;
}

static void boot_parameter_lowers_bits(struct kunit *test)
{
	const struct boot_param *p = test->param_value;
	struct sim_world *w = sim_new_world(test, p->cpus);
	struct kmsg_dump_iter log;

	sim_log_start(test, &log);
	sim_set_bits(test, p->bits);
	KUNIT_EXPECT_EQ(test, sim_init(w, &sim_ops[LOCAL], 8), 0);
	KUNIT_EXPECT_EQ(test, sim_log_has(&log, "ignored: test has 4 to 8"),
			p->ignored);

	KUNIT_EXPECT_EQ(test, w->a.bits, p->expected);
	KUNIT_EXPECT_EQ(test, w->a.usable, BIT(p->expected) - 1);
	idgen_alloc_destroy(&w->a);
}

static void boot_parameter_warns_if_replaced(struct kunit *test)
{
	struct kernel_param kp = { .name = "bits", .arg = &idgen_bits_param };
	struct kmsg_dump_iter log;

	sim_log_start(test, &log);
	sim_set_bits(test, NULL);
	KUNIT_EXPECT_EQ(test, idgen_set_bits("asid:5", &kp), 0);
	KUNIT_EXPECT_STREQ(test, idgen_bits_param, "asid:5");
	KUNIT_EXPECT_FALSE(test, sim_log_has(&log, "bits="));
	KUNIT_EXPECT_EQ(test, idgen_set_bits("vmid:5", &kp), 0);
	KUNIT_EXPECT_STREQ(test, idgen_bits_param, "vmid:5");
	KUNIT_EXPECT_TRUE(test, sim_log_has(&log, "replaces bits=asid:5"));
	param_free_charp(&idgen_bits_param);
}

static void fewer_bits_roll_over_sooner(struct kunit *test)
{
	struct sim_world *w = sim_new_world(test, 2);
	struct sim_context ctx;
	unsigned int i;

	sim_set_bits(test, "test:4");
	sim_power_on(w, &sim_ops[sim_mode(test)], IDGEN_ID_BITS);
	for (i = 0; i < 16; i++)
		sim_run_new(w, 0, &ctx);
	KUNIT_EXPECT_EQ(test, w->a.generation, SECOND_GEN);
}

/*
 * Random steps
 */

#define RANDOM_CONTEXTS	48

/* A switch in progress. */
struct sim_midway {
	enum { NOTHING, SWITCH, REGISTER } in;
	struct sim_context *ctx;
	idgen_value_t old, value;
};

struct sim_random {
	struct sim_world *w;
	struct rnd_state rnd;
	struct sim_context ctx[RANDOM_CONTEXTS];
	struct sim_midway *mid;
	/* An unmap that has read the ID and not yet executed its TLBI. */
	struct sim_context *unmapping;
	u64 unmapping_id;
};

static u32 sim_rand_below(struct sim_random *r, u32 n)
{
	return prandom_u32_state(&r->rnd) % n;
}

static void sim_begin_switch(struct sim_random *r, unsigned int cpu)
{
	struct sim_midway *m = &r->mid[cpu];

	sim_leave(r->w, cpu);
	m->in = SWITCH;
	m->ctx = &r->ctx[sim_rand_below(r, RANDOM_CONTEXTS)];
	m->old = sim_active(r->w, cpu);
	m->value = sim_value(m->ctx);
}

/* Execute the next part of a switch. */
static void sim_proceed(struct sim_random *r, unsigned int cpu)
{
	struct idgen_slot *slot = &r->w->slot[cpu];
	struct sim_midway *m = &r->mid[cpu];

	switch (m->in) {
	case SWITCH:
		sim_begin_call(r->w, cpu, m->ctx);
		r->w->cpu[cpu].out = false;
		if (!__idgen_alloc_replace(slot, m->old, m->value))
			__idgen_alloc_switch(&r->w->a, slot, &m->ctx->value,
					     &m->ctx->pins);
		sim_end_call(r->w);
		m->in = REGISTER;
		break;
	case REGISTER:
		sim_write_register(r->w, cpu, m->ctx);
		m->in = NOTHING;
		break;
	case NOTHING:
		break;
	}
}

static void sim_unmap(struct sim_random *r)
{
	struct sim_context *ctx = r->unmapping;
	unsigned int cpu;

	if (!ctx) {
		ctx = &r->ctx[sim_rand_below(r, RANDOM_CONTEXTS)];
		ctx->version++;
		r->unmapping = ctx;
		r->unmapping_id = sim_id(ctx);
		return;
	}

	for (cpu = 0; cpu < r->w->nr_cpus; cpu++) {
		struct sim_cpu *c = &r->w->cpu[cpu];
		struct sim_entry *e = &c->tlb[r->unmapping_id];

		memset(e, 0, sizeof(*e));
		if (!c->ctx || c->leaving)
			continue;
		sim_fill_tlb(r->w, cpu);
		e = &c->tlb[c->id];
		if (c->ctx == ctx)
			KUNIT_EXPECT_EQ_MSG(r->w->test, e->version,
					    ctx->version,
					    "EmptyAfterUnmap: ctx %u, CPU%u",
					    ctx->serial, cpu);
	}
	r->unmapping = NULL;
}

/* Replace a context that is neither running nor pinned. */
static void sim_replace_context(struct sim_random *r)
{
	struct sim_context *ctx = &r->ctx[sim_rand_below(r, RANDOM_CONTEXTS)];
	unsigned int cpu;

	if (refcount_read(&ctx->pins) || r->unmapping == ctx)
		return;
	for (cpu = 0; cpu < r->w->nr_cpus; cpu++)
		if (r->w->cpu[cpu].ctx == ctx || r->mid[cpu].ctx == ctx)
			return;
	sim_new_context(r->w, ctx);
}

static void sim_random_step(struct sim_random *r)
{
	unsigned int cpu = sim_rand_below(r, r->w->nr_cpus);
	struct sim_context *ctx = &r->ctx[sim_rand_below(r, RANDOM_CONTEXTS)];
	u32 dice = sim_rand_below(r, 100);

	if (dice < 12) {
		sim_unmap(r);
	} else if (dice < 22) {
		sim_replace_context(r);
	} else if (r->mid[cpu].in != NOTHING) {
		sim_proceed(r, cpu);
	} else if (dice < 26) {
		if (refcount_read(&ctx->pins) < 3)
			sim_pin(r->w, cpu, ctx);
	} else if (dice < 30) {
		if (refcount_read(&ctx->pins))
			sim_unpin(r->w, ctx);
	} else if (dice < 45) {
		sim_sched_out(r->w, cpu);
	} else {
		sim_begin_switch(r, cpu);
		if (dice < 85) {
			sim_proceed(r, cpu);
			sim_proceed(r, cpu);
		}
	}
}

static void sim_random_steps(struct kunit *test, enum flush_mode mode,
			     unsigned int cpus, unsigned int bits,
			     unsigned int usable, int nr)
{
	u64 s = seed ?: get_random_u64();
	struct sim_world *w = sim_new_world(test, cpus);
	struct sim_random *r = kunit_kzalloc(test, sizeof(*r), GFP_KERNEL);
	int i;

	KUNIT_ASSERT_NOT_NULL(test, r);
	r->mid = kunit_kcalloc(test, cpus, sizeof(*r->mid), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, r->mid);
	r->w = w;
	if (usable < BIT(bits) - 1)
		bitmap_set(w->excluded, usable + 1, BIT(bits) - usable - 1);
	sim_power_on(w, &sim_ops[mode], bits);
	sim_new_contexts(w, r->ctx, RANDOM_CONTEXTS);
	prandom_seed_state(&r->rnd, s);
	kunit_info(test, "idgen_alloc_kunit.seed=%llu\n", s);

	for (i = 0; i < nr; i++)
		sim_random_step(r);
	KUNIT_EXPECT_GT_MSG(test, w->a.generation, nr / 1000 * IDGEN_GEN_STEP,
			    "too few rollovers");
	kunit_info(test, "%llu rollovers\n",
		   (u64)(w->a.generation >> IDGEN_ID_BITS) - 1);
}

static void random_steps_keep_invariants(struct kunit *test)
{
	sim_random_steps(test, sim_mode(test), 4, 5, 31, steps);
}

static void random_steps_with_few_ids(struct kunit *test)
{
	sim_random_steps(test, sim_mode(test), 5, 4, 5 + 2, steps);
}

static void random_steps_with_minimum_ids(struct kunit *test)
{
	sim_random_steps(test, sim_mode(test), 6, 4, 6 + 1, steps);
}

static void random_steps_with_many_cpus(struct kunit *test)
{
	sim_random_steps(test, sim_mode(test), 40, 8, 45, steps);
}

/*
 * Real CPUs
 */

static DEFINE_PER_CPU(struct idgen_slot, sim_percpu_slots);

static void init_sets_up_percpu_slots(struct kunit *test)
{
	struct sim_world *w = sim_new_world(test, nr_cpu_ids);
	struct idgen_slot *slot;
	idgen_atomic_t value = {};
	unsigned int cpu;
	idgen_value_t had;

	KUNIT_ASSERT_EQ(test, 0,
			idgen_alloc_init(&w->a, &sim_ops[LOCAL], IDGEN_ID_BITS,
					 &sim_percpu_slots));
	for_each_possible_cpu(cpu) {
		slot = per_cpu_ptr(&sim_percpu_slots, cpu);
		KUNIT_EXPECT_EQ(test, idgen_atomic(read)(&slot->active),
				IDGEN_FIRST_GEN);
	}

	slot = get_cpu_ptr(&sim_percpu_slots);
	idgen_alloc_switch(&w->a, slot, &value, NULL);
	put_cpu_ptr(&sim_percpu_slots);
	had = idgen_atomic(read)(&value);
	KUNIT_EXPECT_EQ(test, idgen_atomic(read)(&slot->active), had);
	KUNIT_EXPECT_EQ(test, had & ~IDGEN_ID_MASK, IDGEN_FIRST_GEN);

	idgen_alloc_destroy(&w->a);
}

#define THREAD_CONTEXTS	24
#define THREAD_BITS	4

/*
 * Random switches with real races. Each thread owns the TLB of its CPU, but a
 * broadcast flush clears all.
 */
struct threads {
	struct idgen_alloc a;
	struct idgen_slot *slot;
	unsigned int nr;
	idgen_atomic_t value[THREAD_CONTEXTS];
	refcount_t pins[THREAD_CONTEXTS];
	/* Indexed by CPU and ID: 1 + context, or 0. */
	atomic_t (*tlb)[BIT(THREAD_BITS)];
	atomic_t self, conflicts, id_0;
	struct completion done;
	int switches;
	u64 seed;
};

static DEFINE_PER_CPU(unsigned int, thread_self);

static void threads_flush_cpu(struct idgen_alloc *a)
{
	struct threads *t = container_of(a, struct threads, a);
	unsigned int i;

	for (i = 0; i < BIT(THREAD_BITS); i++)
		atomic_set(&t->tlb[__this_cpu_read(thread_self)][i], 0);
}

static void threads_flush_all(struct idgen_alloc *a)
{
	struct threads *t = container_of(a, struct threads, a);
	unsigned int cpu, i;

	for (cpu = 0; cpu < t->nr; cpu++)
		for (i = 0; i < BIT(THREAD_BITS); i++)
			atomic_set(&t->tlb[cpu][i], 0);
}

static const struct idgen_ops threads_ops[] = {
	[LOCAL] = { .name = "threads", .flush_cpu = threads_flush_cpu },
	[BROADCAST] = { .name = "threads", .flush_all = threads_flush_all },
	[BOTH] = {
		.name = "threads",
		.flush_cpu = threads_flush_cpu,
		.flush_all = threads_flush_all,
	},
};

static int threads_run_cpu(void *arg)
{
	struct threads *t = arg;
	unsigned int self = atomic_inc_return(&t->self) - 1;
	struct idgen_slot *slot = &t->slot[self];
	struct rnd_state rnd;
	int i, was;

	prandom_seed_state(&rnd, t->seed + self);
	for (i = 0; i < t->switches; i++) {
		u32 c = prandom_u32_state(&rnd) % THREAD_CONTEXTS;
		unsigned long flags;
		u64 id;

		local_irq_save(flags);
		__this_cpu_write(thread_self, self);
		if (prandom_u32_state(&rnd) % 4) {
			idgen_alloc_switch(&t->a, slot, &t->value[c],
					   &t->pins[c]);
			id = idgen_atomic(read)(&t->value[c]) & IDGEN_ID_MASK;
			if (!id)
				atomic_inc(&t->id_0);
			was = atomic_xchg(&t->tlb[self][id], c + 1);
			if (was && was != c + 1)
				atomic_inc(&t->conflicts);
		} else {
			idgen_alloc_sched_out(slot);
		}
		local_irq_restore(flags);
		if (!(i % 1024))
			cond_resched();
	}
	/* Does not return to this module, which may be unloaded. */
	kthread_complete_and_exit(&t->done, 0);
}

static void real_cpus_race(struct kunit *test)
{
	struct threads *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	unsigned int cpu, started = 0;
	struct task_struct *task;

	if (num_online_cpus() < 2)
		kunit_skip(test, "needs two CPUs (-smp)");

	KUNIT_ASSERT_NOT_NULL(test, t);
	t->nr = min(num_online_cpus(), 8U);
	t->slot = kunit_kcalloc(test, t->nr, sizeof(*t->slot), GFP_KERNEL);
	t->tlb = kunit_kcalloc(test, t->nr, sizeof(*t->tlb), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, t->slot);
	KUNIT_ASSERT_NOT_NULL(test, t->tlb);
	KUNIT_ASSERT_EQ(test, 0,
			idgen_alloc_init_array(&t->a,
					       &threads_ops[sim_mode(test)],
					       THREAD_BITS, t->slot, t->nr));

	/* Slow on QEMU, which may stop a CPU that holds the lock. */
	t->switches = steps / 10;
	t->seed = seed ?: get_random_u64();
	kunit_info(test, "idgen_alloc_kunit.seed=%llu\n", t->seed);
	init_completion(&t->done);
	cpus_read_lock();
	for_each_online_cpu(cpu) {
		if (started == t->nr)
			break;
		task = kthread_create_on_cpu(threads_run_cpu, t, cpu,
					     "idgen_kunit/%u");
		if (IS_ERR(task)) {
			KUNIT_FAIL(test, "no thread for CPU%u", cpu);
			break;
		}
		wake_up_process(task);
		started++;
	}
	cpus_read_unlock();
	while (started--)
		wait_for_completion(&t->done);

	KUNIT_EXPECT_EQ_MSG(test, atomic_read(&t->conflicts), 0,
			    "UniquePerCPU");
	KUNIT_EXPECT_EQ_MSG(test, atomic_read(&t->id_0), 0, "NeverReservedID");
	KUNIT_EXPECT_GT_MSG(test, t->a.generation,
			    t->switches / 100 * IDGEN_GEN_STEP,
			    "too few rollovers");
	idgen_alloc_destroy(&t->a);
}

/*
 * Example of a user, on an imaginary architecture. One register holds the page
 * table address and up to 9 bits of ASID. The kernel uses ASID 1. Each CPU
 * flushes its own TLB and shares it with no other CPU.
 */

#define EXAMPLE_ASID_BITS	9
#define EXAMPLE_ASID		GENMASK_ULL(EXAMPLE_ASID_BITS - 1, 0)
#define EXAMPLE_KERNEL_ASID	1

/* The hardware, with 8 bits of ASID. */
static u64 example_register;
static unsigned int example_flushes;

static void example_write(u64 value)
{
	example_register = value & ~(EXAMPLE_ASID & ~GENMASK_ULL(7, 0));
}

struct example_mm {
	u64 tables;
	idgen_atomic_t id;
};

static struct idgen_alloc example_asids;
static DEFINE_PER_CPU(struct idgen_slot, example_slots);

/* Optional: IDs besides 0 that must not be allocated. */
static void example_exclude_ids(struct idgen_alloc *a, unsigned long *map)
{
	__set_bit(EXAMPLE_KERNEL_ASID, map);
}

/* Required: flush_cpu(), flush_all() or both. */
static void example_flush_cpu(struct idgen_alloc *a)
{
	example_flushes++;
}

static const struct idgen_ops example_ops = {
	.name		= "example",
	.exclude_ids	= example_exclude_ids,
	.flush_cpu	= example_flush_cpu,
};

/* Called before the first switch, when cpu_possible_mask is final. */
static int example_init(void)
{
	/* Count the ASID bits that the register keeps. */
	example_write(EXAMPLE_ASID);
	return idgen_alloc_init(&example_asids, &example_ops,
				hweight64(example_register & EXAMPLE_ASID),
				&example_slots);
}

/* Called by fork() and execve(). The first switch allocates an ID. */
static void example_init_new_context(struct example_mm *mm)
{
	idgen_atomic(set)(&mm->id, 0);
}

/* Called with preemption off. Get the ID before writing the register. */
static void example_switch_mm(struct example_mm *mm)
{
	idgen_alloc_switch(&example_asids, this_cpu_ptr(&example_slots),
			   &mm->id, NULL);
	example_write(mm->tables |
		      (idgen_atomic(read)(&mm->id) & EXAMPLE_ASID));
}

static void example_user(struct kunit *test)
{
	struct example_mm mm;
	unsigned int i;

	if (num_possible_cpus() >= BIT(8) - 2)
		kunit_skip(test, "more CPUs than the example has ASIDs");

	KUNIT_ASSERT_EQ(test, example_init(), 0);
	KUNIT_EXPECT_EQ(test, example_asids.usable, BIT(8) - 2);
	example_flushes = 0;

	for (i = 1; i <= 300; i++) {
		mm.tables = i * BIT(16);
		example_init_new_context(&mm);
		preempt_disable();
		example_switch_mm(&mm);
		preempt_enable();
		KUNIT_EXPECT_EQ(test, example_register & ~EXAMPLE_ASID,
				mm.tables);
		KUNIT_EXPECT_GT(test, example_register & EXAMPLE_ASID,
				EXAMPLE_KERNEL_ASID);
	}
	/* There are more contexts than IDs, so there was a rollover. */
	KUNIT_EXPECT_GT(test, example_flushes, 0);
	idgen_alloc_destroy(&example_asids);
}

#define MODE_CASE(name)	KUNIT_CASE_PARAM(name, mode_gen_params)

static struct kunit_case idgen_alloc_cases[] = {
	MODE_CASE(first_id_is_in_first_generation),
	MODE_CASE(valid_id_takes_fast_path),
	KUNIT_CASE_PARAM(ids_are_unique_until_exhaustion, width_gen_params),
	MODE_CASE(exhaustion_rolls_over_once),
	MODE_CASE(generation_increments_by_one),
	MODE_CASE(generation_wraps_to_first),
	KUNIT_CASE(all_generation_bits_are_compared),

	MODE_CASE(rollover_reserves_active_ids),
	MODE_CASE(cpu_without_switch_keeps_id),
	MODE_CASE(shared_context_keeps_one_id),
	MODE_CASE(vcpus_of_a_vm_share_one_id),
	MODE_CASE(stale_context_keeps_free_id),
	MODE_CASE(stale_context_gets_new_id_if_taken),
	KUNIT_CASE(new_id_is_called_for_new_ids_only),
	MODE_CASE(long_stale_context_gets_new_id),
	MODE_CASE(reserved_id_not_given_to_former_owner),
	MODE_CASE(hint_collision_is_harmless),
	MODE_CASE(hint_has_every_reserved_id),

	MODE_CASE(first_generation_needs_no_flush),
	KUNIT_CASE(each_cpu_flushes_once_per_rollover),
	MODE_CASE(no_flush_without_rollover),
	KUNIT_CASE(one_broadcast_per_rollover),
	KUNIT_CASE(both_flush_callbacks_are_called),
	KUNIT_CASE(rollover_in_pin_leaves_flush_pending),
	MODE_CASE(unmap_with_stale_id_is_safe),

	MODE_CASE(excluded_ids_are_never_allocated),
	MODE_CASE(most_ids_can_be_excluded),
	MODE_CASE(id_0_is_never_allocated),
	MODE_CASE(update_excluded_frees_ids_at_rollover),
	KUNIT_CASE(pins_are_refused_while_provisional),
	KUNIT_CASE(too_few_ids_warn_after_update),
	MODE_CASE(update_excluded_fails_with_pins),
	KUNIT_CASE(update_excluded_without_callback),

	MODE_CASE(rollover_after_sched_out_frees_id),
	MODE_CASE(switch_after_sched_out_is_fast),
	MODE_CASE(sched_out_after_rollover_frees_id_later),
	MODE_CASE(sched_out_does_not_hide_rollover),
	MODE_CASE(sched_out_after_rollover_uses_no_ids),
	MODE_CASE(sched_out_races_with_take_slot),
	KUNIT_CASE(sched_out_clears_only_the_id),
	MODE_CASE(sched_out_before_first_switch),
	MODE_CASE(sched_out_twice_is_harmless),
	KUNIT_CASE(sched_out_keeps_flush_pending),
	MODE_CASE(no_context_has_sched_out_value),

	MODE_CASE(switch_racing_with_rollover_is_slow),
	MODE_CASE(switch_before_take_slot_is_reserved),
	MODE_CASE(newer_context_is_slow_on_stale_cpu),
	MODE_CASE(context_without_id_is_never_fast),
	MODE_CASE(switch_returns_with_id),

	MODE_CASE(pinned_id_survives_rollovers),
	MODE_CASE(pin_allocates_id),
	MODE_CASE(pin_updates_stale_context),
	MODE_CASE(pin_of_running_context_keeps_id),
	MODE_CASE(pinned_context_updates_reserved),
	KUNIT_CASE(pins_without_excluded_ids),
	MODE_CASE(pins_nest),
	MODE_CASE(unpin_frees_id_at_rollover),
	MODE_CASE(unpin_after_rollover_drops_id),
	MODE_CASE(unbalanced_unpin_changes_nothing),
	KUNIT_CASE(pin_count_saturates),
	MODE_CASE(pin_limit_leaves_free_ids),
	MODE_CASE(pin_can_roll_over),
	MODE_CASE(pinned_id_not_given_to_former_owner),
	KUNIT_CASE(pin_is_refused_without_support),
	MODE_CASE(pin_count_is_optional),

	KUNIT_CASE_PARAM(init_rejects_bad_arguments, bad_inits_gen_params),
	KUNIT_CASE(init_counts_usable_ids),
	MODE_CASE(more_possible_cpus_than_ids),
	MODE_CASE(no_free_id_panics),
	KUNIT_CASE(init_cleans_up_without_memory),
	MODE_CASE(init_works_after_destroy),
	KUNIT_CASE(each_debug_check_warns_once),

	KUNIT_CASE_PARAM(boot_parameter_lowers_bits, boot_params_gen_params),
	KUNIT_CASE(boot_parameter_warns_if_replaced),
	MODE_CASE(fewer_bits_roll_over_sooner),

	MODE_CASE(random_steps_keep_invariants),
	MODE_CASE(random_steps_with_few_ids),
	MODE_CASE(random_steps_with_minimum_ids),
	MODE_CASE(random_steps_with_many_cpus),

	KUNIT_CASE(init_sets_up_percpu_slots),
	KUNIT_CASE(example_user),
	MODE_CASE(real_cpus_race),
	{}
};

static struct kunit_suite idgen_alloc_suite = {
	.name = "idgen_alloc",
	.test_cases = idgen_alloc_cases,
};

kunit_test_suite(idgen_alloc_suite);

MODULE_DESCRIPTION("KUnit tests of the allocator of generation-tagged IDs");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");
