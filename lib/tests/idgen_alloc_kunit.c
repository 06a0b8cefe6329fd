// SPDX-License-Identifier: GPL-2.0-only
/*
 * The allocator of generation-tagged IDs on simulated CPUs.
 *
 * Each case runs in a small world: CPUs with a slot, a translation register and
 * a TLB, and contexts. One thread plays all CPUs, in the order that the case
 * wants, so a race is a sequence like any other. The hardware is played at its
 * worst: a TLB takes in an entry for what the register holds as soon as the
 * register is written and again as soon as a flush ends, and drops none on its own.
 *
 * Whatever a case is about, each of its steps is also checked against what must
 * always hold; the names are those of Documentation/core-api/idgen_alloc.rst.
 */
#include <kunit/static_stub.h>
#include <kunit/test.h>

#include <linux/bitmap.h>
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
#include <linux/sizes.h>
#include <linux/string.h>

#include "../idgen_alloc_internal.h"

/* Older kernels have no way to expect a warning. */
#ifndef kunit_warning_suppress
#define kunit_warning_suppress(test) \
	for (({ kunit_skip(test, "this kernel cannot suppress warnings"); });;)
#define KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, expected)
#define KUNIT_SUPPRESSED_WARNING_COUNT() 0
#endif

static ulong seed;
module_param(seed, ulong, 0444);
MODULE_PARM_DESC(seed, "Seed of the random cases; 0: choose one");

static int steps = 100000;
module_param(steps, int, 0444);
MODULE_PARM_DESC(steps, "Steps of each random case; of each racing CPU a tenth");

#define NO_ID	(~0ULL)
#define SECOND_GEN	(2 * IDGEN_GEN_STEP)
#define LAST_GEN	(IDGEN_TAKEN - IDGEN_GEN_STEP)

struct context {
	idgen_atomic_t value;
	refcount_t pins;
	/* Tells contexts apart. */
	u32 serial;
	/* Raised when a page of its tables is unmapped. */
	u32 version;
	/* ID that it was pinned with. */
	u64 pinned_id;
	/* How often it was told of a new ID, and its value when it last was. */
	unsigned int told;
	u64 told_had;
};

/* An entry: whose tables it is from, and as of which version. */
struct entry {
	u32 serial;
	u32 version;
};

struct sim_cpu {
	/* Translation register: ID, and the context whose tables are walked. */
	u64 id;
	struct context *ctx;
	/* Switches from it: the kernel runs, userspace or guest do not. */
	bool leaving;
	/* Scheduled out: a rollover has nothing to reserve for it. */
	bool out;
	/* By ID. */
	struct entry *tlb;
	unsigned int flushes;
};

struct world {
	struct kunit *test;
	struct idgen_alloc a;
	struct idgen_slot *slot;
	struct sim_cpu *cpu;
	unsigned int nr_cpus;
	/* Who is calling into the allocator. */
	unsigned int self;
	u32 last_serial;
	/* IDs that must never be seen. */
	unsigned long *never;
	/* By the case, to see that something notices. */
	bool map_is_broken;
	unsigned int broadcasts;
	idgen_value_t generation_flushed;
	idgen_value_t generation_checked;
	/* Who is about to be given an ID, and the value from before. */
	struct context *asking;
	idgen_value_t asking_had;
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

/* Values of 32 bits hold no more than 9. */
static const struct width_param widths[] = {
	{ "4 bits", 4 }, { "8 bits", 8 }, { "9 bits", 9 },
	{ "all bits", IDGEN_ID_BITS },
};

KUNIT_ARRAY_PARAM_DESC(width, widths, desc);

static u64 id(struct context *ctx)
{
	return idgen_atomic(read)(&ctx->value) & IDGEN_ID_MASK;
}

static idgen_value_t gen(struct context *ctx)
{
	return idgen_atomic(read)(&ctx->value) & ~IDGEN_ID_MASK;
}

static struct world *world_of(struct idgen_alloc *a)
{
	return container_of(a, struct world, a);
}

static bool in_map(struct world *w, u64 nr)
{
	return test_bit(nr, w->a.map);
}

static idgen_value_t active(struct world *w, unsigned int cpu)
{
	return idgen_atomic(read)(&w->slot[cpu].active);
}

/* By a rollover, and the CPU does not know it yet. */
static bool taken(struct world *w, unsigned int cpu)
{
	return active(w, cpu) & IDGEN_TAKEN;
}

static u64 reserved(struct world *w, unsigned int cpu)
{
	return w->slot[cpu].reserved & IDGEN_ID_MASK;
}

/* The hardware walks the tables that it has been given. */
static void fill(struct world *w, unsigned int cpu)
{
	struct sim_cpu *c = &w->cpu[cpu];
	struct entry *e;

	if (!c->ctx)
		return;

	e = &c->tlb[c->id];
	KUNIT_EXPECT_TRUE_MSG(w->test, !e->serial || e->serial == c->ctx->serial,
			      "UniquePerCPU: CPU%u, ID %llu: context %u has %u's",
			      cpu, c->id, c->ctx->serial, e->serial);
	/* An old entry is hit, and hides the new one. */
	if (!e->serial)
		*e = (struct entry){ c->ctx->serial, c->ctx->version };
}

static void flush_tlb(struct world *w, unsigned int cpu)
{
	memset(w->cpu[cpu].tlb, 0, sizeof(struct entry) << w->a.bits);
	fill(w, cpu);
}

/* Callbacks come under the lock. */
static void check_context(struct world *w)
{
	KUNIT_EXPECT_TRUE(w->test, irqs_disabled());
}

static void flush_cpu(struct idgen_alloc *a)
{
	struct world *w = world_of(a);

	check_context(w);
	KUNIT_EXPECT_TRUE_MSG(w->test, taken(w, w->self),
			      "CPU%u has an ID already when it flushes", w->self);
	w->cpu[w->self].flushes++;
	flush_tlb(w, w->self);
}

static void flush_all(struct idgen_alloc *a)
{
	struct world *w = world_of(a);
	unsigned int cpu;

	KUNIT_EXPECT_NE_MSG(w->test, a->generation, w->generation_flushed,
			    "generation flushed for twice");
	w->generation_flushed = a->generation;
	if (w->asking)
		KUNIT_EXPECT_EQ_MSG(w->test, idgen_atomic(read)(&w->asking->value),
				    w->asking_had, "new ID out before the flush");

	for (cpu = 0; cpu < w->nr_cpus; cpu++) {
		KUNIT_EXPECT_TRUE_MSG(w->test, taken(w, cpu),
				      "CPU%u not taken before the flush", cpu);
		KUNIT_EXPECT_TRUE_MSG(w->test, in_map(w, reserved(w, cpu)),
				      "CPU%u's ID not in the map before the flush",
				      cpu);
		flush_tlb(w, cpu);
	}
	w->broadcasts++;
}

/* As one that writes whole longs: it clears what it does not set. */
static void mark_from_world(struct idgen_alloc *a, unsigned long *map)
{
	/* Slots come last in init: this is idgen_alloc_update_never(). */
	if (a->slots[0])
		check_context(world_of(a));
	bitmap_copy(map, world_of(a)->never, idgen_alloc_nr(a));
}

static const struct idgen_ops ops_by_mode[] = {
	[LOCAL] = {
		.name = "test",
		.pins = true,
		.mark_never = mark_from_world,
		.flush_cpu = flush_cpu,
	},
	[BROADCAST] = {
		.name = "test",
		.pins = true,
		.mark_never = mark_from_world,
		.flush_all = flush_all,
	},
	[BOTH] = {
		.name = "test",
		.pins = true,
		.mark_never = mark_from_world,
		.flush_cpu = flush_cpu,
		.flush_all = flush_all,
	},
};

static void destroy(void *a)
{
	idgen_alloc_destroy(a);
}

static struct world *new_world(struct kunit *test, unsigned int cpus)
{
	struct world *w = kunit_kzalloc(test, sizeof(*w), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, w);
	w->test = test;
	w->nr_cpus = cpus;
	w->slot = kunit_kcalloc(test, cpus, sizeof(*w->slot), GFP_KERNEL);
	w->cpu = kunit_kcalloc(test, cpus, sizeof(*w->cpu), GFP_KERNEL);
	w->never = kunit_kzalloc(test, BIT(IDGEN_ID_BITS) / 8, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, w->slot);
	KUNIT_ASSERT_NOT_NULL(test, w->cpu);
	KUNIT_ASSERT_NOT_NULL(test, w->never);
	return w;
}

static int init(struct world *w, const struct idgen_ops *ops, unsigned int bits)
{
	return idgen_alloc_init_array(&w->a, ops, bits, w->slot, w->nr_cpus);
}

static void power_on(struct world *w, const struct idgen_ops *ops,
		     unsigned int bits)
{
	struct kunit *test = w->test;
	unsigned int cpu;

	KUNIT_ASSERT_EQ(test, 0, init(w, ops, bits));
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, destroy, &w->a));
	for (cpu = 0; cpu < w->nr_cpus; cpu++) {
		w->cpu[cpu].tlb = kunit_kcalloc(test, idgen_alloc_nr(&w->a),
						sizeof(struct entry), GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, w->cpu[cpu].tlb);
	}
	__set_bit(0, w->never);
}

static struct world *boot(struct kunit *test, enum flush_mode mode,
			  unsigned int cpus, unsigned int bits)
{
	struct world *w = new_world(test, cpus);

	power_on(w, &ops_by_mode[mode], bits);
	return w;
}

static enum flush_mode mode_of(struct kunit *test)
{
	return ((const struct mode_param *)test->param_value)->mode;
}

static void birth(struct world *w, struct context *ctx)
{
	memset(ctx, 0, sizeof(*ctx));
	ctx->serial = ++w->last_serial;
}

static void births(struct world *w, struct context *ctx, unsigned int nr)
{
	while (nr--)
		birth(w, ctx++);
}

/* More of them than a stack should hold. */
static struct context *crowd(struct world *w, unsigned int nr)
{
	struct context *ctx = kunit_kcalloc(w->test, nr, sizeof(*ctx), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(w->test, ctx);
	births(w, ctx, nr);
	return ctx;
}

/* What must hold once @cpu has its ID. */
static void check_switched(struct world *w, unsigned int cpu)
{
	struct sim_cpu *c = &w->cpu[cpu];
	unsigned int other;

	KUNIT_EXPECT_LT_MSG(w->test, c->id, idgen_alloc_nr(&w->a),
			    "AlwaysSucceeds: no ID was left");
	KUNIT_EXPECT_FALSE_MSG(w->test, test_bit(c->id, w->never),
			       "NeverReservedID: %llu handed out", c->id);
	if (refcount_read(&c->ctx->pins))
		KUNIT_EXPECT_EQ_MSG(w->test, c->id, c->ctx->pinned_id,
				    "PinStays: context %u", c->ctx->serial);
	if (!w->map_is_broken)
		KUNIT_EXPECT_GE_MSG(w->test,
				    find_first_zero_bit(w->a.map,
							idgen_alloc_nr(&w->a)),
				    w->a.cursor, "a free ID is not found");

	for (other = 0; other < w->nr_cpus; other++) {
		struct sim_cpu *o = &w->cpu[other];

		if (!o->ctx || o->leaving)
			continue;
		if (o->ctx == c->ctx)
			KUNIT_EXPECT_EQ_MSG(w->test, o->id, c->id,
					    "SameActive: context %u on CPU%u and %u",
					    c->ctx->serial, other, cpu);
		else
			KUNIT_EXPECT_NE_MSG(w->test, o->id, c->id,
					    "UniqueActive: context %u, CPU%u and %u",
					    c->ctx->serial, other, cpu);
	}
}

static void about_to_ask(struct world *w, unsigned int cpu, struct context *ctx)
{
	w->self = cpu;
	w->asking = ctx;
	w->asking_had = idgen_atomic(read)(&ctx->value);
}

/* The allocator is done. If it rolled over, then no CPU has changed since. */
static void answered(struct world *w)
{
	unsigned int cpu;

	w->asking = NULL;
	if (w->generation_checked == w->a.generation)
		return;
	w->generation_checked = w->a.generation;
	for (cpu = 0; cpu < w->nr_cpus; cpu++)
		if (w->cpu[cpu].out)
			KUNIT_EXPECT_EQ_MSG(w->test, reserved(w, cpu), 0,
					    "CPU%u is scheduled out", cpu);
}

/*
 * A switch begins. If others flush for this CPU, what its register has must not be
 * walked until the switch is done.
 */
static void leave(struct world *w, unsigned int cpu)
{
	if (w->a.ops->flush_cpu)
		w->cpu[cpu].leaving = true;
	else
		w->cpu[cpu].ctx = NULL;
}

/* The register is written. Ends the case if all is not well. */
static void install(struct world *w, unsigned int cpu, struct context *ctx)
{
	w->cpu[cpu].leaving = false;
	w->cpu[cpu].ctx = ctx;
	w->cpu[cpu].id = id(ctx);
	check_switched(w, cpu);
	if (w->cpu[cpu].id < idgen_alloc_nr(&w->a))
		fill(w, cpu);
	KUNIT_ASSERT_NE(w->test, READ_ONCE(w->test->status), KUNIT_FAILURE);
}

static void run(struct world *w, unsigned int cpu, struct context *ctx)
{
	about_to_ask(w, cpu, ctx);
	leave(w, cpu);
	w->cpu[cpu].out = false;
	idgen_alloc_switch(&w->a, &w->slot[cpu], &ctx->value, &ctx->pins);
	answered(w);
	install(w, cpu, ctx);
}

/* Whether the fast path is enough; the slow path is not taken if it is not. */
static bool runs_fast(struct world *w, unsigned int cpu, struct context *ctx)
{
	idgen_value_t value = idgen_atomic(read)(&ctx->value);

	if (!__idgen_alloc_replace(&w->slot[cpu], active(w, cpu), value))
		return false;
	w->cpu[cpu].out = false;
	install(w, cpu, ctx);
	return true;
}

static void sched_out(struct world *w, unsigned int cpu)
{
	w->cpu[cpu].ctx = NULL;
	w->cpu[cpu].leaving = false;
	w->cpu[cpu].out = true;
	idgen_alloc_sched_out(&w->slot[cpu]);
}

static u64 pin(struct world *w, unsigned int cpu, struct context *ctx)
{
	u64 got;

	about_to_ask(w, cpu, ctx);
	got = idgen_alloc_pin(&w->a, &ctx->value, &ctx->pins);
	answered(w);
	if (got) {
		KUNIT_EXPECT_EQ(w->test, got, id(ctx));
		KUNIT_EXPECT_FALSE(w->test, test_bit(got, w->never));
		if (refcount_read(&ctx->pins) > 1)
			KUNIT_EXPECT_EQ(w->test, got, ctx->pinned_id);
		ctx->pinned_id = got;
	}
	return got;
}

static void unpin(struct world *w, struct context *ctx)
{
	idgen_alloc_unpin(&w->a, &ctx->value, &ctx->pins);
}

/* New contexts, each run once, until there is one with this ID: @ctx. */
static void run_until(struct world *w, unsigned int cpu, struct context *ctx,
		      u64 wanted)
{
	unsigned long left = 3 * idgen_alloc_nr(&w->a);

	do {
		KUNIT_ASSERT_NE(w->test, left--, 0);
		birth(w, ctx);
		run(w, cpu, ctx);
	} while (id(ctx) != wanted);
}

/* New contexts, each run once, until there is a rollover. CPU @cpu does it. */
static void roll_over(struct world *w, unsigned int cpu)
{
	static struct context passer_by[2];
	idgen_value_t generation = w->a.generation;
	unsigned long left = idgen_alloc_nr(&w->a) + 1;
	unsigned int i = 0;

	do {
		birth(w, &passer_by[i]);
		run(w, cpu, &passer_by[i]);
		i = !i;
	} while (w->a.generation == generation && --left);

	KUNIT_ASSERT_EQ(w->test, w->a.generation, generation + IDGEN_GEN_STEP);
	/* The struct will be another's. */
	sched_out(w, cpu);
}

/* Whether the kernel log has @what, from where @log was last read to. */
static bool said(struct kmsg_dump_iter *log, const char *what)
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

static void listen(struct kmsg_dump_iter *log)
{
	kmsg_dump_rewind(log);
	said(log, "");
}

/*
 * IDs and generations
 */

static void first_id_is_usable_and_of_the_first_generation(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 2, 8);
	struct context ctx;

	birth(w, &ctx);
	run(w, 0, &ctx);
	KUNIT_EXPECT_EQ(test, gen(&ctx), IDGEN_FIRST_GEN);
	KUNIT_EXPECT_NE(test, id(&ctx), 0);
	KUNIT_EXPECT_EQ(test, idgen_atomic(read)(&w->slot[0].active),
			idgen_atomic(read)(&ctx.value));
}

static void same_id_again_without_the_lock(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 2, 8);
	struct context ctx[2];
	idgen_value_t had;

	births(w, ctx, 2);
	run(w, 0, &ctx[0]);
	run(w, 0, &ctx[1]);
	had = idgen_atomic(read)(&ctx[0].value);
	KUNIT_EXPECT_TRUE(test, runs_fast(w, 0, &ctx[0]));
	KUNIT_EXPECT_TRUE(test, runs_fast(w, 0, &ctx[0]));
	KUNIT_EXPECT_TRUE(test, runs_fast(w, 1, &ctx[0]));
	KUNIT_EXPECT_EQ(test, idgen_atomic(read)(&ctx[0].value), had);
}

static void ids_are_distinct_until_exhaustion(struct kunit *test)
{
	unsigned int bits = ((const struct width_param *)test->param_value)->bits;
	struct world *w = boot(test, LOCAL, 1, bits);
	unsigned long i, nr = idgen_alloc_nr(&w->a);
	unsigned long *seen = kunit_kzalloc(test, BITS_TO_LONGS(nr) * sizeof(long),
					    GFP_KERNEL);
	struct context ctx;

	KUNIT_ASSERT_NOT_NULL(test, seen);
	KUNIT_ASSERT_EQ(test, w->a.usable, nr - 1);
	for (i = 0; i < nr - 1; i++) {
		birth(w, &ctx);
		run(w, 0, &ctx);
		KUNIT_ASSERT_EQ(test, gen(&ctx), IDGEN_FIRST_GEN);
		KUNIT_ASSERT_FALSE(test, __test_and_set_bit(id(&ctx), seen));
	}
	KUNIT_EXPECT_EQ(test, w->cpu[0].flushes, 0);

	birth(w, &ctx);
	run(w, 0, &ctx);
	KUNIT_EXPECT_EQ(test, gen(&ctx), SECOND_GEN);
	KUNIT_EXPECT_EQ(test, w->cpu[0].flushes, 1);
}

static void exhaustion_rolls_over_exactly_once(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 4, 8);
	struct context ctx[4];
	unsigned int i;

	births(w, ctx, 4);
	for (i = 0; i < 4; i++)
		run(w, i, &ctx[i]);
	roll_over(w, 0);
	KUNIT_EXPECT_EQ(test, w->a.generation, SECOND_GEN);
	/* All of them come back: none needs another rollover. */
	for (i = 0; i < 4; i++)
		run(w, i, &ctx[i]);
	KUNIT_EXPECT_EQ(test, w->a.generation, SECOND_GEN);
}

static void generation_steps_by_one(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 2, 4);
	idgen_value_t generation = IDGEN_FIRST_GEN;
	struct context ctx[4];
	unsigned int i;

	for (i = 0; i < 20 * 15; i++) {
		birth(w, &ctx[i % 4]);
		run(w, i % 2, &ctx[i % 4]);
		if (gen(&ctx[i % 4]) != generation)
			generation += IDGEN_GEN_STEP;
		KUNIT_ASSERT_EQ(test, gen(&ctx[i % 4]), generation);
		KUNIT_ASSERT_EQ(test, w->a.generation, generation);
	}
	KUNIT_EXPECT_GE(test, generation, 20 * IDGEN_GEN_STEP);
}

static void generations_start_again_at_the_first_after_the_last(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 2, 4);
	struct context ctx, fresh;
	unsigned int i;

	w->a.generation = LAST_GEN;
	idgen_atomic(set)(&w->slot[0].active, w->a.generation);
	idgen_atomic(set)(&w->slot[1].active, w->a.generation);
	births(w, &ctx, 1);
	run(w, 1, &ctx);
	KUNIT_EXPECT_EQ(test, gen(&ctx), LAST_GEN);

	/* Not 0, which is a context without ID, nor the mark of a taken slot. */
	for (i = 0; i < 16 && w->a.generation == LAST_GEN; i++) {
		birth(w, &fresh);
		run(w, 0, &fresh);
	}
	KUNIT_EXPECT_EQ(test, w->a.generation, IDGEN_FIRST_GEN);
	KUNIT_EXPECT_EQ(test, gen(&fresh), IDGEN_FIRST_GEN);
	sched_out(w, 0);

	run(w, 0, &ctx);
	KUNIT_EXPECT_EQ(test, gen(&ctx), IDGEN_FIRST_GEN);
	roll_over(w, 0);
	run(w, 0, &ctx);
}

/* However long it slept: each bit of the generation tells. */
static void generations_are_compared_in_all_their_bits(struct kunit *test)
{
	struct world *w = boot(test, LOCAL, 1, 8);
	struct context ctx, sleeper;
	idgen_value_t apart;

	w->a.generation = LAST_GEN;
	idgen_atomic(set)(&w->slot[0].active, w->a.generation);
	for (apart = IDGEN_GEN_STEP; apart < IDGEN_TAKEN; apart <<= 1) {
		birth(w, &ctx);
		run(w, 0, &ctx);
		birth(w, &sleeper);
		idgen_atomic(set)(&sleeper.value, idgen_atomic(read)(&ctx.value) - apart);
		KUNIT_EXPECT_FALSE(test, runs_fast(w, 0, &sleeper));
		run(w, 0, &sleeper);
		KUNIT_EXPECT_EQ(test, gen(&sleeper), LAST_GEN);
	}
}

/*
 * What is reserved, and what comes back
 */

static void rollover_keeps_the_ids_of_all_active_cpus(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 13, 4);
	struct context ctx[13];
	u64 had[13];
	unsigned int i;

	births(w, ctx, 13);
	for (i = 0; i < 13; i++) {
		run(w, i, &ctx[i]);
		had[i] = id(&ctx[i]);
	}
	roll_over(w, 0);
	for (i = 1; i < 13; i++) {
		run(w, i, &ctx[i]);
		KUNIT_EXPECT_EQ(test, id(&ctx[i]), had[i]);
		KUNIT_EXPECT_EQ(test, gen(&ctx[i]), w->a.generation);
	}
}

/* Linux commit ae120d9edfe9. */
static void cpu_that_never_switches_keeps_its_id_over_many_rollovers(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 3, 4);
	struct context idle, other;
	unsigned int i;
	u64 had;

	birth(w, &idle);
	birth(w, &other);
	run(w, 1, &idle);
	had = id(&idle);
	for (i = 0; i < 7; i++) {
		roll_over(w, i % 2 * 2);
		KUNIT_EXPECT_EQ(test, reserved(w, 1), had);
		run(w, 0, &other);
		KUNIT_EXPECT_NE(test, id(&other), had);
	}
	run(w, 2, &idle);
	KUNIT_EXPECT_EQ(test, id(&idle), had);
}

/* Linux commit 0ebea8088095. */
static void context_on_several_cpus_keeps_one_id_over_several_rollovers(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 4, 4);
	struct context mm;
	unsigned int i;
	u64 had;

	birth(w, &mm);
	run(w, 1, &mm);
	run(w, 2, &mm);
	run(w, 3, &mm);
	had = id(&mm);
	for (i = 0; i < 6; i++) {
		roll_over(w, 0);
		/* CPU 1 brings the value up to date; 2 and 3 have yet to notice. */
		run(w, 1, &mm);
		KUNIT_EXPECT_EQ(test, id(&mm), had);
		KUNIT_EXPECT_EQ(test, w->slot[2].reserved, idgen_atomic(read)(&mm.value));
		KUNIT_EXPECT_EQ(test, w->slot[3].reserved, idgen_atomic(read)(&mm.value));
	}
	/* CPU 1 leaves. Now only their reserved values keep the ID. */
	for (i = 0; i < 3; i++) {
		sched_out(w, 1);
		roll_over(w, 0);
		run(w, 1, &mm);
		KUNIT_EXPECT_EQ(test, id(&mm), had);
	}
	run(w, 2, &mm);
	run(w, 3, &mm);
}

/* Linux commit fb544d1ca65a, in KVM's older allocator. */
static void two_vcpus_of_one_vm_agree_around_a_rollover(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 3, 4);
	struct context vm;
	unsigned int i;

	birth(w, &vm);
	for (i = 0; i < 5; i++) {
		run(w, 1, &vm);
		roll_over(w, 0);
		/* The second vCPU enters after, the first has not left. */
		run(w, 2, &vm);
		KUNIT_EXPECT_EQ(test, w->cpu[1].id, w->cpu[2].id);
		roll_over(w, 0);
		run(w, 1, &vm);
		sched_out(w, 2);
		run(w, 2, &vm);
		KUNIT_EXPECT_EQ(test, w->cpu[1].id, w->cpu[2].id);
		sched_out(w, 1);
		sched_out(w, 2);
	}
}

static void stale_context_gets_its_old_id_back_if_it_is_free(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 2, 6);
	struct context ctx[8];
	unsigned int i;
	u64 had;

	births(w, ctx, 8);
	for (i = 0; i < 8; i++)
		run(w, 1, &ctx[i]);
	had = id(&ctx[6]);
	sched_out(w, 1);
	roll_over(w, 0);
	KUNIT_ASSERT_FALSE(test, in_map(w, had));
	run(w, 1, &ctx[6]);
	KUNIT_EXPECT_EQ(test, id(&ctx[6]), had);
	KUNIT_EXPECT_EQ(test, gen(&ctx[6]), w->a.generation);
	KUNIT_EXPECT_TRUE(test, in_map(w, had));
}

static void stale_context_whose_id_was_taken_gets_another(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 2, 6);
	struct context first, old, taker;
	u64 had;

	birth(w, &first);
	birth(w, &old);
	/* Not the ID that the rollover's own context will take. */
	run(w, 1, &first);
	run(w, 1, &old);
	had = id(&old);
	sched_out(w, 1);
	roll_over(w, 0);
	run_until(w, 0, &taker, had);
	run(w, 1, &old);
	KUNIT_EXPECT_NE(test, id(&old), had);
	KUNIT_EXPECT_EQ(test, gen(&old), w->a.generation);
	KUNIT_EXPECT_EQ(test, w->a.generation, SECOND_GEN);
}

/* An architecture that keeps track of where an mm's TLB entries can be: arch/arm. */
static void tell(struct idgen_alloc *a, idgen_atomic_t *value)
{
	struct context *ctx = container_of(value, struct context, value);

	ctx->told++;
	ctx->told_had = idgen_atomic(read)(value);
}

static void context_is_told_of_an_id_that_it_did_not_have(struct kunit *test)
{
	static const struct idgen_ops ops = {
		.name = "test",
		.flush_cpu = flush_cpu,
		.new_id = tell,
	};
	struct world *w = new_world(test, 3);
	struct context first, old, idle, stays, taker;
	u64 had;

	if (!IS_ENABLED(CONFIG_IDGEN_ALLOC_NEW_ID))
		kunit_skip(test, "needs CONFIG_IDGEN_ALLOC_NEW_ID");

	power_on(w, &ops, 6);
	birth(w, &first);
	birth(w, &old);
	birth(w, &idle);
	birth(w, &stays);
	/* Not the ID that the rollover's own context will take. */
	run(w, 1, &first);
	run(w, 1, &old);
	KUNIT_EXPECT_EQ(test, old.told, 1);
	KUNIT_EXPECT_EQ(test, old.told_had, 0);
	had = idgen_atomic(read)(&old.value);
	run(w, 1, &idle);
	run(w, 1, &old);
	run(w, 2, &old);
	KUNIT_EXPECT_EQ(test, old.told, 1);

	/* Not if the ID was reserved, nor if it is free. */
	run(w, 2, &stays);
	sched_out(w, 1);
	roll_over(w, 0);
	run(w, 1, &stays);
	run(w, 1, &idle);
	KUNIT_EXPECT_EQ(test, gen(&stays), SECOND_GEN);
	KUNIT_EXPECT_EQ(test, stays.told, 1);
	KUNIT_EXPECT_EQ(test, gen(&idle), SECOND_GEN);
	KUNIT_EXPECT_EQ(test, idle.told, 1);

	/* Before the new value is out. */
	run_until(w, 0, &taker, had & IDGEN_ID_MASK);
	run(w, 1, &old);
	KUNIT_EXPECT_NE(test, id(&old), had & IDGEN_ID_MASK);
	KUNIT_EXPECT_EQ(test, old.told, 2);
	KUNIT_EXPECT_EQ(test, old.told_had, had);
}

static void context_that_lost_its_id_long_ago_gets_another(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 2, 4);
	struct context old, taker;
	unsigned int i;
	u64 had;

	birth(w, &old);
	run(w, 1, &old);
	had = id(&old);
	sched_out(w, 1);
	for (i = 0; i < 5; i++)
		roll_over(w, 0);
	run_until(w, 0, &taker, had);
	KUNIT_EXPECT_FALSE(test, runs_fast(w, 1, &old));
	run(w, 1, &old);
	KUNIT_EXPECT_EQ(test, gen(&old), w->a.generation);
	KUNIT_EXPECT_NE(test, id(&old), had);
}

static void reserved_id_is_not_given_to_another_context_that_once_had_it(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 3, 4);
	struct context before, after;
	u64 wanted;

	birth(w, &before);
	run(w, 1, &before);
	wanted = id(&before);
	sched_out(w, 1);
	roll_over(w, 0);
	run_until(w, 2, &after, wanted);
	roll_over(w, 0);
	/* CPU 2 runs @after; @before's value has the same ID. */
	KUNIT_ASSERT_EQ(test, reserved(w, 2), wanted);
	run(w, 1, &before);
	KUNIT_EXPECT_NE(test, id(&before), wanted);
	run(w, 1, &after);
	KUNIT_EXPECT_EQ(test, id(&after), wanted);
}

/*
 * Not wanted, but so it is: generations are counted modulo their number, and CPU 1
 * has not switched since one that the sleeper knows by the same number.
 */
static void sleeper_of_before_the_wraparound_can_take_a_reserved_id(struct kunit *test)
{
	struct world *w = boot(test, LOCAL, 3, 4);
	struct context ctx, sleeper;
	unsigned int i;

	births(w, &ctx, 1);
	births(w, &sleeper, 1);
	run(w, 1, &ctx);
	for (i = 0; i < 5; i++)
		roll_over(w, 0);
	sleeper.value = ctx.value;
	about_to_ask(w, 2, &sleeper);
	idgen_alloc_switch(&w->a, &w->slot[2], &sleeper.value, NULL);
	w->asking = NULL;
	KUNIT_EXPECT_EQ(test, gen(&sleeper), w->a.generation);
	KUNIT_EXPECT_EQ(test, id(&sleeper), w->cpu[1].id);
}

/* IDs that share a bit of the hint are kept apart by the visit to the slots. */
static void hint_that_speaks_of_another_id_misleads_nobody(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 2, 9);
	unsigned long size = w->a.hint_size;
	struct context running, stale, fresh;
	u64 wanted;

	KUNIT_ASSERT_LT(test, size, idgen_alloc_nr(&w->a));
	/* Both IDs are k modulo size. */
	birth(w, &running);
	run(w, 1, &running);
	wanted = id(&running) + size;
	run_until(w, 0, &stale, wanted);
	sched_out(w, 0);
	roll_over(w, 0);
	KUNIT_ASSERT_TRUE(test, test_bit(wanted & (size - 1), w->a.hint));
	run_until(w, 0, &fresh, wanted);
	run(w, 0, &stale);
	KUNIT_EXPECT_NE(test, id(&stale), wanted);
	KUNIT_EXPECT_NE(test, id(&stale), id(&running));
	run(w, 0, &running);
	KUNIT_EXPECT_EQ(test, id(&running), wanted - size);
}

static void hint_has_every_reserved_id(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 8, IDGEN_ID_BITS);
	struct context ctx[8];
	unsigned int i, cpu;

	births(w, ctx, 8);
	for (i = 0; i < 8; i++)
		run(w, i, &ctx[i]);
	roll_over(w, 0);
	for (cpu = 0; cpu < 8; cpu++)
		KUNIT_EXPECT_TRUE(test, test_bit(w->slot[cpu].reserved &
						 (w->a.hint_size - 1), w->a.hint));
	/* And no more, of earlier generations neither: it is to spare visits. */
	for (i = 0; i < 8; i++)
		sched_out(w, i);
	roll_over(w, 0);
	/* ID 0, and what CPU 0 ran when it rolled over. */
	KUNIT_EXPECT_EQ(test, bitmap_weight(w->a.hint, w->a.hint_size), 2);
}

/*
 * Flushes
 */

static void no_flush_in_the_first_generation(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 3, 6);
	struct context *ctx = crowd(w, 20);
	unsigned int i;

	for (i = 0; i < 20; i++)
		run(w, i % 3, &ctx[i]);
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_EQ(test, w->cpu[i].flushes, 0);
	KUNIT_EXPECT_EQ(test, w->broadcasts, 0);
}

static void each_cpu_flushes_once_and_before_its_first_id(struct kunit *test)
{
	struct world *w = boot(test, LOCAL, 4, 6);
	struct context ctx[4];
	unsigned int i, round;

	births(w, ctx, 4);
	for (round = 1; round <= 4; round++) {
		for (i = 1; i < 4; i++)
			run(w, i, &ctx[i]);
		roll_over(w, 0);
		/* All owe a flush, but the one that did the rollover. */
		KUNIT_EXPECT_EQ(test, w->cpu[0].flushes, round);
		for (i = 1; i < 4; i++) {
			KUNIT_EXPECT_EQ(test, w->cpu[i].flushes, round - 1);
			KUNIT_EXPECT_TRUE(test, taken(w, i));
			/* flush_cpu() sees to it that the slot is not set yet. */
			run(w, i, &ctx[i]);
			KUNIT_EXPECT_EQ(test, w->cpu[i].flushes, round);
		}
	}
}

static void no_flush_on_the_fast_path_nor_for_an_id_within_the_generation(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 2, 6);
	struct context ctx[6];
	unsigned int flushes, broadcasts, i;

	births(w, ctx, 6);
	roll_over(w, 0);
	run(w, 1, &ctx[0]);
	flushes = w->cpu[1].flushes;
	broadcasts = w->broadcasts;
	/* Slow path, for a new ID, then fast path. */
	for (i = 0; i < 6; i++)
		run(w, 1, &ctx[i]);
	for (i = 0; i < 6; i++)
		KUNIT_EXPECT_TRUE(test, runs_fast(w, 1, &ctx[i]));
	KUNIT_EXPECT_EQ(test, w->cpu[1].flushes, flushes);
	KUNIT_EXPECT_EQ(test, w->broadcasts, broadcasts);
}

/* flush_all() sees to it that it comes after the slots and before any new ID. */
static void one_broadcast_per_rollover(struct kunit *test)
{
	struct world *w = boot(test, BROADCAST, 4, 5);
	struct context ctx[4];
	unsigned int i, round;

	births(w, ctx, 4);
	for (round = 1; round <= 5; round++) {
		for (i = 0; i < 4; i++)
			run(w, i, &ctx[i]);
		roll_over(w, round % 4);
		KUNIT_EXPECT_EQ(test, w->broadcasts, round);
		KUNIT_EXPECT_EQ(test, w->generation_flushed, w->a.generation);
	}
	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_EQ(test, w->cpu[i].flushes, 0);
}

static void both_flushes_on_one_allocator(struct kunit *test)
{
	struct world *w = boot(test, BOTH, 3, 5);
	struct context ctx[3];
	unsigned int i;

	births(w, ctx, 3);
	for (i = 0; i < 3; i++)
		run(w, i, &ctx[i]);
	roll_over(w, 0);
	KUNIT_EXPECT_EQ(test, w->broadcasts, 1);
	for (i = 0; i < 3; i++)
		run(w, i, &ctx[i]);
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_EQ(test, w->cpu[i].flushes, 1);
	KUNIT_EXPECT_EQ(test, w->broadcasts, 1);
}

static void rollover_for_a_pin_leaves_this_cpu_owing_its_flush(struct kunit *test)
{
	struct world *w = boot(test, LOCAL, 2, 4);
	struct context running, pinned, fresh;

	birth(w, &running);
	birth(w, &pinned);
	run(w, 1, &running);
	run_until(w, 0, &fresh, 15);
	sched_out(w, 0);
	KUNIT_ASSERT_NE(test, pin(w, 1, &pinned), 0);
	KUNIT_ASSERT_EQ(test, w->a.generation, SECOND_GEN);
	KUNIT_EXPECT_EQ(test, w->cpu[1].flushes, 0);
	run(w, 1, &pinned);
	KUNIT_EXPECT_EQ(test, w->cpu[1].flushes, 1);
}

/*
 * Linux commit 5e10f9887ed8: an unmap reads the ID, a rollover gives the context
 * another, the TLBI is for the old one. That will do, as the new ID is clean.
 */
static void unmap_with_the_id_of_before_a_rollover_leaves_no_old_entry(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 3, 4);
	struct context mm, taker;
	unsigned int cpu;
	u64 old;

	birth(w, &mm);
	run(w, 1, &mm);
	sched_out(w, 1);
	/* CPU 2: the page-table entry is cleared, then the ID is read. */
	mm.version++;
	old = id(&mm);

	roll_over(w, 0);
	run_until(w, 0, &taker, old);
	run(w, 1, &mm);
	KUNIT_ASSERT_NE(test, id(&mm), old);

	/* CPU 2: TLBI. */
	for (cpu = 0; cpu < 3; cpu++)
		memset(&w->cpu[cpu].tlb[old], 0, sizeof(struct entry));

	KUNIT_EXPECT_EQ_MSG(test, w->cpu[1].tlb[id(&mm)].version, mm.version,
			    "EmptyAfterUnmap");
}

/*
 * IDs that are never handed out
 */

static void mark_pairs(struct world *w)
{
	unsigned int i;

	for (i = 1; i < BIT(IDGEN_ID_BITS); i += 2)
		__set_bit(i, w->never);
}

static void ids_that_are_ruled_out_are_never_handed_out(struct kunit *test)
{
	struct world *w = new_world(test, 3);
	struct context ctx[3];
	unsigned int i;

	mark_pairs(w);
	power_on(w, &ops_by_mode[mode_of(test)], 5);
	KUNIT_EXPECT_EQ(test, w->a.usable, 15);
	births(w, ctx, 3);
	for (i = 0; i < 200; i++) {
		run(w, i % 3, &ctx[i % 3]);
		/* check_switched() looks at each ID. */
		roll_over(w, (i + 1) % 3);
	}
}

static void nearly_all_ids_can_be_ruled_out(struct kunit *test)
{
	struct world *w = new_world(test, 3);
	struct context ctx[3];
	unsigned int i;

	bitmap_fill(w->never, 256);
	__clear_bit(7, w->never);
	__clear_bit(100, w->never);
	__clear_bit(254, w->never);
	__clear_bit(255, w->never);
	power_on(w, &ops_by_mode[mode_of(test)], 8);
	KUNIT_EXPECT_EQ(test, w->a.usable, 4);
	births(w, ctx, 3);
	for (i = 0; i < 300; i++) {
		run(w, i % 3, &ctx[(i * 7 + i / 5) % 3]);
		roll_over(w, i % 2);
	}
}

static void id_0_is_never_handed_out(struct kunit *test)
{
	struct world *w = new_world(test, 2);
	static const struct idgen_ops no_marks[] = {
		[LOCAL] = { .name = "test", .flush_cpu = flush_cpu },
		[BROADCAST] = { .name = "test", .flush_all = flush_all },
		[BOTH] = {
			.name = "test",
			.flush_cpu = flush_cpu,
			.flush_all = flush_all,
		},
	};
	struct context ctx[4];
	unsigned int i;

	/* With nothing to start a map from: neither marks nor pins. */
	power_on(w, &no_marks[mode_of(test)], 4);
	KUNIT_EXPECT_NULL(test, w->a.base);
	KUNIT_EXPECT_EQ(test, w->a.usable, 15);
	/* No CPU is ever sched out: that alone would keep ID 0 out of the map. */
	for (i = 0; i < 200; i++) {
		birth(w, &ctx[i % 4]);
		run(w, i % 2, &ctx[i % 4]);
	}
}

static void ids_ruled_out_no_longer_are_used_from_the_next_rollover_on(struct kunit *test)
{
	struct world *w = new_world(test, 2);
	bool odd_seen = false;
	struct context ctx;
	unsigned int i;

	mark_pairs(w);
	power_on(w, &ops_by_mode[mode_of(test)], 6);
	KUNIT_EXPECT_EQ(test, w->a.usable, 31);
	KUNIT_EXPECT_EQ(test, w->a.max_pinned, 31 - 2 - 1);

	bitmap_zero(w->never, idgen_alloc_nr(&w->a));
	KUNIT_EXPECT_EQ(test, idgen_alloc_update_never(&w->a), 0);
	__set_bit(0, w->never);
	KUNIT_EXPECT_EQ(test, w->a.usable, 63);
	KUNIT_EXPECT_EQ(test, w->a.max_pinned, 63 - 2 - 1);

	roll_over(w, 0);
	for (i = 0; i < 50; i++) {
		birth(w, &ctx);
		run(w, 1, &ctx);
		odd_seen |= id(&ctx) & 1;
	}
	KUNIT_EXPECT_TRUE(test, odd_seen);
}

static const struct idgen_ops provisional_ops = {
	.name = "test",
	.pins = true,
	.provisional = true,
	.mark_never = mark_from_world,
	.flush_cpu = flush_cpu,
};

static void pins_are_refused_while_the_ids_ruled_out_are_provisional(struct kunit *test)
{
	struct world *w = new_world(test, 2);
	struct context ctx;

	mark_pairs(w);
	power_on(w, &provisional_ops, 6);
	births(w, &ctx, 1);
	KUNIT_EXPECT_EQ(test, pin(w, 0, &ctx), 0);
	KUNIT_EXPECT_EQ(test, refcount_read(&ctx.pins), 0);

	bitmap_zero(w->never, idgen_alloc_nr(&w->a));
	KUNIT_EXPECT_EQ(test, idgen_alloc_update_never(&w->a), 0);
	KUNIT_EXPECT_EQ(test, w->a.max_pinned, 63 - 2 - 1);
	KUNIT_EXPECT_NE(test, pin(w, 0, &ctx), 0);
}

static void too_few_ids_are_warned_about_once_they_are_final(struct kunit *test)
{
	struct world *w = new_world(test, 7);

	/* 7 usable, 7 CPUs. */
	mark_pairs(w);
	kunit_warning_suppress(test) {
		power_on(w, &provisional_ops, 4);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 0);
		KUNIT_EXPECT_EQ(test, idgen_alloc_update_never(&w->a), 0);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
		KUNIT_EXPECT_EQ(test, w->a.max_pinned, 0);
		__clear_bit(15, w->never);
		KUNIT_EXPECT_EQ(test, idgen_alloc_update_never(&w->a), 0);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
	}
	KUNIT_EXPECT_EQ(test, w->a.usable, 8);
}

static void update_is_refused_while_contexts_are_pinned(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 2, 6);
	struct context ctx;
	u64 had;

	birth(w, &ctx);
	had = pin(w, 0, &ctx);
	KUNIT_EXPECT_EQ(test, idgen_alloc_update_never(&w->a), -EBUSY);
	roll_over(w, 0);
	run(w, 0, &ctx);
	KUNIT_EXPECT_EQ(test, id(&ctx), had);
	unpin(w, &ctx);
	KUNIT_EXPECT_EQ(test, idgen_alloc_update_never(&w->a), 0);
}

static void update_without_anything_ruled_out_is_fine(struct kunit *test)
{
	struct world *w = new_world(test, 2);
	static const struct idgen_ops ops = {
		.name = "test",
		.flush_cpu = flush_cpu,
	};

	power_on(w, &ops, 6);
	KUNIT_EXPECT_EQ(test, idgen_alloc_update_never(&w->a), 0);
	KUNIT_EXPECT_EQ(test, w->a.usable, 63);
}

/*
 * Sched out
 */

static void sched_out_then_rollover_frees_the_id(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 2, 4);
	struct context vm;
	u64 had;

	birth(w, &vm);
	run(w, 1, &vm);
	had = id(&vm);
	sched_out(w, 1);
	KUNIT_EXPECT_EQ(test, active(w, 1), w->a.generation);
	KUNIT_EXPECT_TRUE(test, in_map(w, had));
	roll_over(w, 0);
	KUNIT_EXPECT_TRUE(test, !in_map(w, had) || w->cpu[0].id == had);
	KUNIT_EXPECT_EQ(test, reserved(w, 1), 0);
}

/* The VMID series, v3: every switch after a sched out took the slow path. */
static void next_switch_after_sched_out_is_fast(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 2, 4);
	struct context vm[2];
	unsigned int i;

	births(w, vm, 2);
	run(w, 1, &vm[0]);
	run(w, 1, &vm[1]);
	for (i = 0; i < 5; i++) {
		sched_out(w, 1);
		KUNIT_EXPECT_TRUE(test, runs_fast(w, 1, &vm[i % 2]));
	}
	roll_over(w, 0);
	run(w, 1, &vm[0]);
	sched_out(w, 1);
	KUNIT_EXPECT_TRUE(test, runs_fast(w, 1, &vm[0]));
}

/* The VMID series, v3: and the ID stayed reserved all the same. */
static void sched_out_after_a_rollover_frees_the_id_at_the_next(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 2, 4);
	struct context vm;
	u64 had;

	birth(w, &vm);
	run(w, 1, &vm);
	had = id(&vm);
	/* The rollover takes the slot while the vCPU runs, */
	roll_over(w, 0);
	KUNIT_EXPECT_TRUE(test, in_map(w, had));
	/* and then it is scheduled out. */
	sched_out(w, 1);
	KUNIT_EXPECT_TRUE(test, taken(w, 1));
	KUNIT_EXPECT_EQ(test, reserved(w, 1), had);
	roll_over(w, 0);
	KUNIT_EXPECT_EQ(test, reserved(w, 1), 0);
	KUNIT_EXPECT_TRUE(test, !in_map(w, had) || w->cpu[0].id == had);
}

/*
 * Linux's VMID allocator: a plain store at sched out hides the rollover's 0, and
 * if the new generation is not visible yet, the old ID is used again.
 */
static void sched_out_does_not_hide_a_rollover(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 2, 4);
	struct context vm, fresh;
	idgen_value_t value;

	birth(w, &vm);
	run(w, 1, &vm);
	value = idgen_atomic(read)(&vm.value);
	roll_over(w, 0);
	/* Until a generation later its ID is another's. */
	sched_out(w, 1);
	roll_over(w, 0);
	run_until(w, 0, &fresh, value & IDGEN_ID_MASK);
	KUNIT_EXPECT_FALSE(test, runs_fast(w, 1, &vm));
	sched_out(w, 1);
	KUNIT_EXPECT_FALSE(test, runs_fast(w, 1, &vm));
	run(w, 1, &vm);
}

/*
 * After a rollover all vCPUs are scheduled out and loaded again sooner or later. If
 * each took another ID then, CPUs with one VM each could roll over for ever.
 */
static void sched_out_after_a_rollover_uses_up_no_ids(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 13, 4);
	struct context vm[13];
	unsigned int i;
	u64 had;

	births(w, vm, 13);
	for (i = 0; i < 13; i++)
		run(w, i, &vm[i]);
	had = id(&vm[12]);
	roll_over(w, 0);
	for (i = 0; i < 5 * 13; i++) {
		sched_out(w, i % 13);
		run(w, i % 13, &vm[i % 13]);
	}
	KUNIT_EXPECT_EQ(test, w->a.generation, SECOND_GEN);
	KUNIT_EXPECT_EQ(test, id(&vm[12]), had);
}

/* What a rollover does to one slot. */
static void take(struct world *w, unsigned int cpu)
{
	u64 id = idgen_take_slot(&w->slot[cpu]);

	__set_bit(id, w->a.map);
	__set_bit(id & (w->a.hint_size - 1), w->a.hint);
}

static void sched_out_just_before_and_after_its_slot_is_taken(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 4, 4);
	struct context vm[4];
	unsigned int i;

	births(w, vm, 4);
	for (i = 0; i < 4; i++)
		run(w, i, &vm[i]);
	/* As a rollover does, up to the slot of CPU 1. */
	w->a.generation += IDGEN_GEN_STEP;
	bitmap_copy(w->a.map, w->a.base, idgen_alloc_nr(&w->a));
	w->a.cursor = 0;
	take(w, 0);
	take(w, 1);
	/* CPUs 1 and 2 are scheduled out: one too late, one in time. */
	sched_out(w, 1);
	sched_out(w, 2);
	take(w, 2);
	take(w, 3);
	if (w->a.ops->flush_all)
		w->a.ops->flush_all(&w->a);

	KUNIT_EXPECT_EQ(test, reserved(w, 1), id(&vm[1]));
	KUNIT_EXPECT_TRUE(test, in_map(w, id(&vm[1])));
	KUNIT_EXPECT_EQ(test, reserved(w, 2), 0);
	KUNIT_EXPECT_FALSE(test, in_map(w, id(&vm[2])));
	/* Both know. */
	w->generation_checked = w->a.generation;
	for (i = 1; i < 3; i++) {
		KUNIT_EXPECT_EQ(test, active(w, i), IDGEN_TAKEN | IDGEN_FIRST_GEN);
		KUNIT_EXPECT_FALSE(test, runs_fast(w, i, &vm[i]));
	}
	/* The one that was too late keeps it for one generation. */
	roll_over(w, 0);
	KUNIT_EXPECT_EQ(test, reserved(w, 1), 0);
	KUNIT_EXPECT_EQ(test, reserved(w, 3), id(&vm[3]));
}

static void sched_out_clears_the_whole_id_and_nothing_else(struct kunit *test)
{
	struct idgen_slot slot = {};

	idgen_atomic(set)(&slot.active, LAST_GEN | IDGEN_ID_MASK);
	idgen_alloc_sched_out(&slot);
	KUNIT_EXPECT_EQ(test, idgen_atomic(read)(&slot.active), LAST_GEN);
	idgen_atomic(set)(&slot.active, IDGEN_TAKEN | LAST_GEN | IDGEN_ID_MASK);
	idgen_alloc_sched_out(&slot);
	KUNIT_EXPECT_EQ(test, idgen_atomic(read)(&slot.active), IDGEN_TAKEN | LAST_GEN);
}

static void sched_out_on_a_cpu_that_never_ran_is_harmless(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 2, 4);
	struct context vm;

	sched_out(w, 1);
	KUNIT_EXPECT_EQ(test, active(w, 1), IDGEN_FIRST_GEN);
	roll_over(w, 0);
	sched_out(w, 1);
	KUNIT_EXPECT_EQ(test, active(w, 1), IDGEN_TAKEN | IDGEN_FIRST_GEN);
	KUNIT_EXPECT_EQ(test, reserved(w, 1), 0);
	birth(w, &vm);
	run(w, 1, &vm);
}

static void sched_out_twice_is_harmless(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 2, 4);
	struct context vm;

	birth(w, &vm);
	run(w, 1, &vm);
	sched_out(w, 1);
	sched_out(w, 1);
	KUNIT_EXPECT_EQ(test, active(w, 1), w->a.generation);
	KUNIT_EXPECT_TRUE(test, runs_fast(w, 1, &vm));
}

static void sched_out_leaves_a_pending_flush_to_the_next_switch(struct kunit *test)
{
	struct world *w = boot(test, LOCAL, 2, 4);
	struct context vm, fresh;

	birth(w, &vm);
	run(w, 1, &vm);
	roll_over(w, 0);
	sched_out(w, 1);
	KUNIT_EXPECT_EQ(test, w->cpu[1].flushes, 0);
	/* Without the flush it would hit vm's entries if it got vm's ID. */
	birth(w, &fresh);
	run(w, 0, &fresh);
	KUNIT_EXPECT_FALSE(test, runs_fast(w, 1, &fresh));
	run(w, 1, &fresh);
	KUNIT_EXPECT_EQ(test, w->cpu[1].flushes, 1);
}

/* The question in the thread: INVALID_VMID looks like a valid one. Is it? */
static void no_context_ever_has_the_value_of_a_cpu_that_is_sched_out(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 2, 4);
	struct context *ctx = crowd(w, 8);
	unsigned int i, j;

	for (i = 0; i < 1000; i++) {
		/* Some are new, some come back, and CPU 1 runs them as well. */
		if (i % 3)
			birth(w, &ctx[i % 8]);
		run(w, 0, &ctx[i % 8]);
		if (i % 5 == 0)
			run(w, 1, &ctx[i * 3 % 8]);
		sched_out(w, 1);
		KUNIT_ASSERT_EQ(test, 0, active(w, 1) & IDGEN_ID_MASK);
		for (j = 0; j < 8; j++) {
			KUNIT_ASSERT_NE(test, idgen_atomic(read)(&ctx[j].value),
					active(w, 1) & ~IDGEN_TAKEN);
			KUNIT_ASSERT_NE(test, idgen_atomic(read)(&ctx[j].value),
					IDGEN_FIRST_GEN);
		}
		sched_out(w, 0);
	}
	KUNIT_EXPECT_GT(test, w->a.generation, 30 * IDGEN_GEN_STEP);
}

/*
 * The fast path against rollovers
 */

/* Linux commit a8ffaaa060b8, and arch/arm until it used this. */
static void switch_that_a_rollover_overtakes_takes_the_slow_path(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 3, 4);
	struct context from, to;
	idgen_value_t old, value;

	birth(w, &from);
	birth(w, &to);
	run(w, 1, &to);
	run(w, 1, &from);
	/* CPU 1 has read both values, */
	old = active(w, 1);
	value = idgen_atomic(read)(&to.value);
	/* the rollover takes the slot, */
	roll_over(w, 0);
	/* and the slot must not get the old value. */
	KUNIT_EXPECT_FALSE(test, __idgen_alloc_replace(&w->slot[1], old, value));
	KUNIT_EXPECT_EQ(test, active(w, 1), IDGEN_TAKEN | old);
	run(w, 1, &to);
	KUNIT_EXPECT_EQ(test, gen(&to), w->a.generation);
	/* What it ran meanwhile is kept. */
	run(w, 2, &from);
}

/*
 * A draft after v3 of the VMID series stored to the slot, and then looked at the
 * generation: what a rollover took in between was not what was then run.
 */
static void switch_just_before_the_slot_is_taken_is_reserved(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 3, 4);
	struct context from, to;
	unsigned int i;

	birth(w, &from);
	birth(w, &to);
	run(w, 1, &to);
	run(w, 1, &from);

	/* CPU 0 rolls over. It has taken its own slot, */
	w->a.generation += IDGEN_GEN_STEP;
	bitmap_copy(w->a.map, w->a.base, idgen_alloc_nr(&w->a));
	w->a.cursor = 0;
	take(w, 0);
	/* CPU 1 switches: the old generation is still good for it. */
	KUNIT_EXPECT_TRUE(test, runs_fast(w, 1, &to));
	/* Then the others. */
	take(w, 1);
	take(w, 2);
	if (w->a.ops->flush_all)
		w->a.ops->flush_all(&w->a);

	KUNIT_EXPECT_EQ(test, w->slot[1].reserved, idgen_atomic(read)(&to.value));
	KUNIT_EXPECT_TRUE(test, in_map(w, id(&to)));
	/* All other IDs go to others, while CPU 1 runs on. */
	for (i = 0; i < 3; i++)
		roll_over(w, 0);
	KUNIT_EXPECT_EQ(test, w->cpu[1].id, id(&to));
	run(w, 2, &to);
	KUNIT_EXPECT_EQ(test, w->cpu[1].id, id(&to));
}

static void context_of_the_new_generation_is_not_run_fast_on_a_cpu_of_the_old(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 3, 4);
	struct context old, new;
	idgen_value_t had;

	birth(w, &old);
	birth(w, &new);
	run(w, 1, &old);
	had = active(w, 1);
	roll_over(w, 0);
	run(w, 0, &new);
	/* CPU 1 read its slot before the rollover, and the context after it. */
	KUNIT_EXPECT_FALSE(test, __idgen_alloc_replace(&w->slot[1], had,
						       idgen_atomic(read)(&new.value)));
	run(w, 1, &new);
}

static void context_without_id_is_never_run_fast(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 2, 4);
	struct context ctx;

	birth(w, &ctx);
	KUNIT_EXPECT_FALSE(test, runs_fast(w, 1, &ctx));
	roll_over(w, 0);
	KUNIT_ASSERT_TRUE(test, taken(w, 1));
	KUNIT_EXPECT_FALSE(test, runs_fast(w, 1, &ctx));
	KUNIT_EXPECT_TRUE(test, taken(w, 1));
	run(w, 1, &ctx);
	KUNIT_EXPECT_NE(test, id(&ctx), 0);
}

/* Linux commit fa808ed4e199: a vCPU entered its guest with VMID 0. */
static void context_has_an_id_when_the_switch_returns(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 2, 4);
	struct context ctx;
	unsigned int i;

	for (i = 0; i < 100; i++) {
		birth(w, &ctx);
		idgen_alloc_switch(&w->a, &w->slot[0], &ctx.value, &ctx.pins);
		KUNIT_ASSERT_NE(test, id(&ctx), 0);
		KUNIT_ASSERT_EQ(test, gen(&ctx), w->a.generation);
		KUNIT_ASSERT_EQ(test, idgen_atomic(read)(&ctx.value),
				idgen_atomic(read)(&w->slot[0].active));
	}
}

/*
 * Pins
 */

static void pinned_id_survives_rollovers(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 2, 4);
	struct context ctx;
	unsigned int i;
	u64 had;

	birth(w, &ctx);
	run(w, 1, &ctx);
	had = id(&ctx);
	KUNIT_EXPECT_EQ(test, pin(w, 0, &ctx), had);
	sched_out(w, 1);
	for (i = 0; i < 5; i++) {
		roll_over(w, 0);
		KUNIT_EXPECT_TRUE(test, in_map(w, had));
	}
	run(w, 1, &ctx);
	KUNIT_EXPECT_EQ(test, id(&ctx), had);
	KUNIT_EXPECT_EQ(test, gen(&ctx), w->a.generation);
}

static void pin_of_a_context_that_never_ran_gives_it_an_id(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 2, 4);
	struct context ctx;

	birth(w, &ctx);
	KUNIT_EXPECT_NE(test, pin(w, 0, &ctx), 0);
	roll_over(w, 0);
	roll_over(w, 0);
	run(w, 1, &ctx);
	KUNIT_EXPECT_EQ(test, id(&ctx), ctx.pinned_id);
}

static void pin_of_a_stale_context_gives_it_an_id_of_this_generation(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 2, 4);
	struct context stale, taker;
	u64 had;

	birth(w, &stale);
	run(w, 1, &stale);
	had = id(&stale);
	sched_out(w, 1);
	roll_over(w, 0);
	run_until(w, 0, &taker, had);
	KUNIT_EXPECT_NE(test, pin(w, 0, &stale), had);
	KUNIT_EXPECT_EQ(test, gen(&stale), w->a.generation);
	run(w, 1, &stale);
}

static void pin_of_a_context_that_runs_keeps_what_it_runs_with(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 2, 4);
	struct context ctx;
	u64 had;

	birth(w, &ctx);
	run(w, 1, &ctx);
	had = id(&ctx);
	roll_over(w, 0);
	/* Stale, but reserved: and the reserved copy must follow. */
	KUNIT_EXPECT_EQ(test, pin(w, 0, &ctx), had);
	KUNIT_EXPECT_EQ(test, w->slot[1].reserved, idgen_atomic(read)(&ctx.value));
	unpin(w, &ctx);
	roll_over(w, 0);
	run(w, 0, &ctx);
	KUNIT_EXPECT_EQ(test, id(&ctx), had);
}

static void pinned_context_takes_its_reserved_values_along(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 3, 4);
	struct context ctx;
	u64 had;

	birth(w, &ctx);
	run(w, 1, &ctx);
	had = pin(w, 0, &ctx);
	roll_over(w, 0);
	/* CPU 1 has yet to switch. */
	run(w, 2, &ctx);
	KUNIT_EXPECT_EQ(test, w->slot[1].reserved, idgen_atomic(read)(&ctx.value));
	/* When it is pinned no longer, that alone keeps the ID. */
	unpin(w, &ctx);
	sched_out(w, 2);
	roll_over(w, 0);
	run(w, 2, &ctx);
	KUNIT_EXPECT_EQ(test, id(&ctx), had);
}

static void allocator_may_have_pins_and_rule_out_nothing(struct kunit *test)
{
	static const struct idgen_ops ops = {
		.name = "test",
		.pins = true,
		.flush_cpu = flush_cpu,
	};
	struct world *w = new_world(test, 2);
	struct context ctx;
	u64 had;

	power_on(w, &ops, 4);
	KUNIT_EXPECT_EQ(test, w->a.usable, 15);
	birth(w, &ctx);
	had = pin(w, 0, &ctx);
	KUNIT_ASSERT_NE(test, had, 0);
	roll_over(w, 0);
	roll_over(w, 1);
	run(w, 0, &ctx);
	KUNIT_EXPECT_EQ(test, id(&ctx), had);
}

static void pins_nest(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 2, 4);
	struct context ctx;
	u64 had;

	birth(w, &ctx);
	had = pin(w, 0, &ctx);
	roll_over(w, 0);
	/* Its value is of the generation before; the ID is right all the same. */
	KUNIT_EXPECT_EQ(test, pin(w, 0, &ctx), had);
	KUNIT_EXPECT_EQ(test, w->a.nr_pinned, 1);
	unpin(w, &ctx);
	KUNIT_EXPECT_EQ(test, w->a.nr_pinned, 1);
	roll_over(w, 0);
	KUNIT_EXPECT_TRUE(test, in_map(w, had));
	unpin(w, &ctx);
	KUNIT_EXPECT_EQ(test, w->a.nr_pinned, 0);
}

static void unpin_frees_the_id_at_the_next_rollover_only(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 2, 4);
	struct context ctx;
	u64 had;

	birth(w, &ctx);
	had = pin(w, 0, &ctx);
	roll_over(w, 0);
	unpin(w, &ctx);
	KUNIT_EXPECT_TRUE(test, in_map(w, had));
	roll_over(w, 0);
	KUNIT_EXPECT_TRUE(test, !in_map(w, had) || w->cpu[0].id == had);
}

static void unpin_after_a_rollover_does_not_keep_the_id(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 2, 4);
	struct context ctx;
	u64 had;

	birth(w, &ctx);
	had = pin(w, 0, &ctx);
	roll_over(w, 0);
	/* It has not been switched to since: its value is an old one, */
	unpin(w, &ctx);
	run(w, 1, &ctx);
	/* and all that is known is that somebody has its ID. */
	KUNIT_EXPECT_NE(test, id(&ctx), had);
	KUNIT_EXPECT_EQ(test, w->a.generation, SECOND_GEN);
}

static void unpin_of_what_is_not_pinned_changes_nothing(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 2, 4);
	struct context pinned, ctx;

	birth(w, &pinned);
	birth(w, &ctx);
	pin(w, 0, &pinned);
	run(w, 0, &ctx);
	kunit_warning_suppress(test) {
		unpin(w, &ctx);
	}
	KUNIT_EXPECT_EQ(test, refcount_read(&ctx.pins), 0);
	KUNIT_EXPECT_EQ(test, w->a.nr_pinned, 1);
	KUNIT_EXPECT_NE(test, pin(w, 0, &ctx), 0);
}

static void pin_count_that_overflows_stays_pinned(struct kunit *test)
{
	struct world *w = boot(test, LOCAL, 2, 4);
	struct context ctx;
	unsigned int i;
	u64 had;

	birth(w, &ctx);
	had = pin(w, 0, &ctx);
	refcount_set(&ctx.pins, REFCOUNT_MAX);
	kunit_warning_suppress(test) {
		for (i = 0; i < 3; i++) {
			KUNIT_EXPECT_EQ(test, pin(w, 0, &ctx), had);
			KUNIT_EXPECT_EQ(test, (int)refcount_read(&ctx.pins),
					REFCOUNT_SATURATED);
			unpin(w, &ctx);
			unpin(w, &ctx);
			KUNIT_EXPECT_EQ(test, (int)refcount_read(&ctx.pins),
					REFCOUNT_SATURATED);
			roll_over(w, 0);
		}
	}
	KUNIT_EXPECT_EQ(test, w->a.nr_pinned, 1);
	KUNIT_EXPECT_TRUE(test, test_bit(had, w->a.base));
}

static void pins_are_limited_so_that_allocation_succeeds(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 4, 4);
	struct context *ctx = crowd(w, 16), *running = crowd(w, 4);
	unsigned int i, nr = 0;

	for (i = 0; i < 16; i++)
		nr += pin(w, 0, &ctx[i]) != 0;
	/* 15 usable, 4 CPUs, one to be free. */
	KUNIT_EXPECT_EQ(test, nr, 10);
	KUNIT_EXPECT_EQ(test, w->a.nr_pinned, 10);
	KUNIT_EXPECT_EQ(test, refcount_read(&ctx[10].pins), 0);

	for (i = 0; i < 40; i++) {
		run(w, i % 4, &running[i % 4]);
		roll_over(w, (i + 1) % 4);
	}
	for (i = 0; i < 10; i++) {
		run(w, 0, &ctx[i]);
		unpin(w, &ctx[i]);
	}
	KUNIT_EXPECT_EQ(test, w->a.nr_pinned, 0);
	/* One more that was refused before. */
	KUNIT_EXPECT_NE(test, pin(w, 0, &ctx[10]), 0);
}

static void pin_that_finds_no_free_id_rolls_over(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 2, 4);
	struct context last, next, fresh;

	birth(w, &last);
	birth(w, &next);
	run_until(w, 0, &fresh, 14);
	sched_out(w, 0);
	/* The very last ID, */
	KUNIT_EXPECT_EQ(test, pin(w, 0, &last), 15);
	KUNIT_EXPECT_EQ(test, w->a.generation, IDGEN_FIRST_GEN);
	/* and one more. */
	KUNIT_EXPECT_NE(test, pin(w, 0, &next), 0);
	KUNIT_EXPECT_EQ(test, w->a.generation, SECOND_GEN);
	run(w, 1, &last);
	KUNIT_EXPECT_EQ(test, id(&last), 15);
	run(w, 0, &next);
}

static void pinned_id_is_not_taken_by_another_context_that_once_had_it(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 2, 4);
	struct context before, after;
	u64 wanted;

	birth(w, &before);
	run(w, 1, &before);
	wanted = id(&before);
	sched_out(w, 1);
	roll_over(w, 0);
	run_until(w, 0, &after, wanted);
	KUNIT_EXPECT_EQ(test, pin(w, 0, &after), wanted);
	sched_out(w, 0);
	roll_over(w, 0);
	run(w, 1, &before);
	KUNIT_EXPECT_NE(test, id(&before), wanted);
}

static void allocator_without_pins_refuses_them(struct kunit *test)
{
	static const struct idgen_ops ops = {
		.name = "test",
		.mark_never = mark_from_world,
		.flush_cpu = flush_cpu,
	};
	struct world *w = new_world(test, 2);
	struct context ctx;

	power_on(w, &ops, 6);
	birth(w, &ctx);
	KUNIT_EXPECT_EQ(test, pin(w, 0, &ctx), 0);
	KUNIT_EXPECT_EQ(test, idgen_alloc_update_never(&w->a), 0);
	KUNIT_EXPECT_EQ(test, pin(w, 0, &ctx), 0);
	KUNIT_EXPECT_EQ(test, refcount_read(&ctx.pins), 0);
}

static void contexts_may_come_without_a_pin_count(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 2, 4);
	idgen_atomic_t value = {};
	unsigned int i;

	for (i = 0; i < 3; i++) {
		w->self = 1;
		idgen_alloc_switch(&w->a, &w->slot[1], &value, NULL);
		KUNIT_EXPECT_EQ(test, idgen_atomic(read)(&value) & ~IDGEN_ID_MASK,
				w->a.generation);
		sched_out(w, 1);
		roll_over(w, 0);
		roll_over(w, 0);
	}
}

/*
 * Set up and tear down
 */

struct bad_init {
	const char *desc;
	unsigned int bits;
	unsigned int cpus;
	int error;
	bool no_flush;
};

static const struct bad_init bad_inits[] = {
	{ .desc = "too few bits", .bits = 3, .cpus = 1, .error = -EINVAL },
	{ .desc = "no bits", .bits = 0, .cpus = 1, .error = -EINVAL },
	{ .desc = "more bits than a value holds", .bits = IDGEN_ID_BITS + 1,
	  .cpus = 1, .error = -EINVAL },
	{ .desc = "no flush callback", .bits = 8, .cpus = 1, .no_flush = true,
	  .error = -EINVAL },
};

KUNIT_ARRAY_PARAM_DESC(bad_inits, bad_inits, desc);

static void init_refuses_what_cannot_work(struct kunit *test)
{
	static const struct idgen_ops no_flush = {
		.name = "test",
		.mark_never = mark_from_world,
	};
	const struct bad_init *bad = test->param_value;
	struct world *w = new_world(test, bad->cpus);

	KUNIT_EXPECT_EQ(test, bad->error,
			init(w, bad->no_flush ? &no_flush : &ops_by_mode[LOCAL],
			     bad->bits));
	KUNIT_EXPECT_NULL(test, w->a.map);
	KUNIT_EXPECT_NULL(test, w->a.base);
	KUNIT_EXPECT_NULL(test, w->a.hint);
	KUNIT_EXPECT_NULL(test, w->a.slots);
	/* Nothing to undo, and undoing it is harmless. */
	idgen_alloc_destroy(&w->a);
}

static void init_counts_only_usable_ids(struct kunit *test)
{
	struct world *w = new_world(test, 7);

	mark_pairs(w);
	kunit_warning_suppress(test) {
		/* 7 usable, 7 CPUs. */
		KUNIT_EXPECT_EQ(test, init(w, &ops_by_mode[LOCAL], 4), 0);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
		KUNIT_EXPECT_EQ(test, w->a.usable, 7);
		KUNIT_EXPECT_EQ(test, w->a.max_pinned, 0);
		idgen_alloc_destroy(&w->a);

		__clear_bit(15, w->never);
		KUNIT_EXPECT_EQ(test, init(w, &ops_by_mode[LOCAL], 4), 0);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
	}
	KUNIT_EXPECT_EQ(test, w->a.usable, 8);
	KUNIT_EXPECT_EQ(test, w->a.max_pinned, 0);
	idgen_alloc_destroy(&w->a);
}

/* Firmware may count CPUs that never come up. */
static void more_possible_cpus_than_ids_do_no_harm_until_they_run(struct kunit *test)
{
	struct world *w = new_world(test, 300);
	struct context ctx[4];
	unsigned int i;

	kunit_warning_suppress(test) {
		power_on(w, &ops_by_mode[mode_of(test)], 4);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
	}
	births(w, ctx, 4);
	KUNIT_EXPECT_EQ(test, pin(w, 0, &ctx[0]), 0);
	for (i = 0; i < 40; i++) {
		run(w, i % 4, &ctx[i % 4]);
		roll_over(w, (i + 1) % 4);
	}
}

static char last_words[128];

static __printf(1, 2) void note_panic(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vscnprintf(last_words, sizeof(last_words), fmt, args);
	va_end(args);
}

static void rollover_that_leaves_no_free_id_is_a_panic(struct kunit *test)
{
	struct world *w = new_world(test, 4);
	struct context ctx[4];
	unsigned int i;

	/* 3 usable. */
	bitmap_set(w->never, 4, 12);
	kunit_warning_suppress(test) {
		power_on(w, &ops_by_mode[mode_of(test)], 4);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
	}
	births(w, ctx, 4);
	for (i = 0; i < 3; i++)
		run(w, i, &ctx[i]);

	last_words[0] = '\0';
	idgen_panic = note_panic;
	leave(w, 3);
	about_to_ask(w, 3, &ctx[3]);
	idgen_alloc_switch(&w->a, &w->slot[3], &ctx[3].value, NULL);
	idgen_panic = panic;
	KUNIT_EXPECT_STREQ(test, last_words,
			   "idgen_alloc: test: no free ID: 3 CPUs and 0 pins hold all 3\n");
	/* Nobody else's ID, and nothing beyond the map. */
	KUNIT_EXPECT_EQ(test, id(&ctx[3]), 0);
	KUNIT_EXPECT_EQ(test, w->a.map[0], GENMASK(15, 0));
}

static unsigned int allocations_until_failure;

static unsigned long *failing_zalloc(unsigned long nbits)
{
	if (!allocations_until_failure--)
		return NULL;
	return bitmap_zalloc(nbits, GFP_KERNEL);
}

static void init_without_memory_leaves_nothing_behind(struct kunit *test)
{
	struct world *w = new_world(test, 2);
	unsigned int i;

	kunit_activate_static_stub(test, idgen_bitmap_zalloc, failing_zalloc);
	for (i = 0; i < 3; i++) {
		allocations_until_failure = i;
		KUNIT_EXPECT_EQ(test, init(w, &ops_by_mode[LOCAL], 8), -ENOMEM);
		KUNIT_EXPECT_NULL(test, w->a.map);
		KUNIT_EXPECT_NULL(test, w->a.base);
		KUNIT_EXPECT_NULL(test, w->a.hint);
		KUNIT_EXPECT_NULL(test, w->a.slots);
	}
	/* There is no fourth allocation. */
	allocations_until_failure = 3;
	KUNIT_EXPECT_EQ(test, init(w, &ops_by_mode[LOCAL], 8), 0);
	idgen_alloc_destroy(&w->a);
	kunit_deactivate_static_stub(test, idgen_bitmap_zalloc);
}

static void allocator_can_be_set_up_again_after_destroy(struct kunit *test)
{
	struct world *w = boot(test, mode_of(test), 2, 6);
	struct context ctx;

	birth(w, &ctx);
	run(w, 0, &ctx);
	roll_over(w, 1);
	roll_over(w, 0);
	pin(w, 0, &ctx);

	idgen_alloc_destroy(&w->a);
	KUNIT_EXPECT_NULL(test, w->a.map);
	idgen_alloc_destroy(&w->a);
	KUNIT_ASSERT_EQ(test, init(w, &ops_by_mode[mode_of(test)], 6), 0);
	w->cpu[0].ctx = NULL;
	w->generation_flushed = 0;
	flush_tlb(w, 0);
	flush_tlb(w, 1);

	KUNIT_EXPECT_EQ(test, w->a.generation, IDGEN_FIRST_GEN);
	KUNIT_EXPECT_EQ(test, w->a.nr_pinned, 0);
	KUNIT_EXPECT_EQ(test, idgen_atomic(read)(&w->slot[0].active), IDGEN_FIRST_GEN);
	KUNIT_EXPECT_EQ(test, w->slot[0].reserved, IDGEN_FIRST_GEN);
	birth(w, &ctx);
	run(w, 0, &ctx);
	KUNIT_EXPECT_EQ(test, gen(&ctx), IDGEN_FIRST_GEN);
	roll_over(w, 1);
}

/*
 * Debug checks
 */

static int warnings_so_far;

#define EXPECT_WARNED(test) do {					\
	KUNIT_EXPECT_GT(test, KUNIT_SUPPRESSED_WARNING_COUNT(), warnings_so_far); \
	warnings_so_far = KUNIT_SUPPRESSED_WARNING_COUNT();		\
} while (0)

/* Each may warn only once after boot: this case cannot be run again. */
static void each_debug_check_warns(struct kunit *test)
{
	struct world *w = boot(test, LOCAL, 3, 4);
	struct context *ctx = crowd(w, 6);
	unsigned long *map = w->a.map;

	if (!IS_ENABLED(CONFIG_DEBUG_IDGEN_ALLOC))
		kunit_skip(test, "needs CONFIG_DEBUG_IDGEN_ALLOC");

	run(w, 1, &ctx[0]);
	w->map_is_broken = true;
	warnings_so_far = 0;
	kunit_warning_suppress(test) {
		/* ActiveInMap */
		__clear_bit(id(&ctx[0]), map);
		run(w, 0, &ctx[1]);
		EXPECT_WARNED(test);
		__set_bit(id(&ctx[0]), map);

		/* ReservedInMap */
		roll_over(w, 0);
		__clear_bit(id(&ctx[0]), map);
		run(w, 0, &ctx[2]);
		EXPECT_WARNED(test);
		__set_bit(id(&ctx[0]), map);

		/* NeverInMap */
		__clear_bit(0, map);
		pin(w, 0, &ctx[3]);
		EXPECT_WARNED(test);
		__set_bit(0, map);

		/* PinsCounted */
		w->a.nr_pinned++;
		pin(w, 0, &ctx[4]);
		EXPECT_WARNED(test);
		w->a.nr_pinned--;

		pin(w, 0, &ctx[5]);
		run(w, 0, &ctx[5]);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, warnings_so_far);
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
	{ "long", "asid:16,vmid:16,asid:16,vmid:16,asid:16,vmid:16,asid:16,vmid:16,test:5", 2, 5 },
	{ "none", NULL, 2, 8 },
	{ "for another", "vmid:5", 2, 8 },
	{ "for one whose name starts alike", "tes:5,testing:6", 2, 8 },
	{ "empty", "", 2, 8 },
	{ "only commas", ",,", 2, 8 },
	{ "good after bad", "test:99,test:6", 2, 6, true },
	{ "raised to what the CPUs need", "test:4", 15, 5 },
	{ "raised further", "test:4", 63, 7 },
	{ "raised to all there is", "test:4", 200, 8 },
};

KUNIT_ARRAY_PARAM_DESC(boot_params, boot_params, desc);

static void boot_parameter_lowers_the_bits(struct kunit *test)
{
	const struct boot_param *p = test->param_value;
	struct world *w = new_world(test, p->cpus);
	char *saved = idgen_bits_param;
	struct kmsg_dump_iter log;

	listen(&log);
	idgen_bits_param = p->bits;
	KUNIT_EXPECT_EQ(test, init(w, &ops_by_mode[LOCAL], 8), 0);
	idgen_bits_param = saved;
	KUNIT_EXPECT_EQ(test, said(&log, "ignored: test has 4 to 8"), p->ignored);

	KUNIT_EXPECT_EQ(test, w->a.bits, p->expected);
	KUNIT_EXPECT_EQ(test, w->a.usable, BIT(p->expected) - 1);
	idgen_alloc_destroy(&w->a);
}

static void boot_parameter_is_set_with_a_word_if_not_as_asked(struct kunit *test)
{
	struct kernel_param kp = { .name = "bits", .arg = &idgen_bits_param };
	char *saved = idgen_bits_param, *overlong;
	struct kmsg_dump_iter log;

	overlong = kunit_kzalloc(test, SZ_2K, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, overlong);
	memset(overlong, '5', SZ_2K - 1);

	listen(&log);
	idgen_bits_param = NULL;
	KUNIT_EXPECT_EQ(test, idgen_set_bits("asid:5", &kp), 0);
	KUNIT_EXPECT_STREQ(test, idgen_bits_param, "asid:5");
	KUNIT_EXPECT_FALSE(test, said(&log, "bits="));
	KUNIT_EXPECT_EQ(test, idgen_set_bits("vmid:5", &kp), 0);
	KUNIT_EXPECT_STREQ(test, idgen_bits_param, "vmid:5");
	KUNIT_EXPECT_TRUE(test, said(&log, "bits=vmid:5 replaces bits=asid:5"));
	param_free_charp(&idgen_bits_param);

	idgen_bits_param = NULL;
	KUNIT_EXPECT_EQ(test, idgen_set_bits(overlong, &kp), -ENOSPC);
	KUNIT_EXPECT_NULL(test, idgen_bits_param);
	KUNIT_EXPECT_TRUE(test, said(&log, "too long"));
	idgen_bits_param = saved;
}

static void allocator_with_lowered_bits_rolls_over_sooner(struct kunit *test)
{
	struct world *w = new_world(test, 2);
	char *saved = idgen_bits_param;
	struct context ctx;
	unsigned int i;

	idgen_bits_param = "test:4";
	power_on(w, &ops_by_mode[mode_of(test)], IDGEN_ID_BITS);
	idgen_bits_param = saved;

	for (i = 0; i < 16; i++) {
		birth(w, &ctx);
		run(w, 0, &ctx);
	}
	KUNIT_EXPECT_EQ(test, w->a.generation, SECOND_GEN);
}

/*
 * At random
 */

#define RANDOM_CONTEXTS	48

/* What a CPU is in the middle of. */
struct midway {
	enum { NOTHING, SWITCH, REGISTER } in;
	struct context *ctx;
	idgen_value_t old, value;
};

struct random_world {
	struct world *w;
	struct rnd_state rnd;
	struct context ctx[RANDOM_CONTEXTS];
	struct midway *mid;
	/* An unmap that has read the ID, but has yet to issue its TLBI. */
	struct context *unmapping;
	u64 unmapping_id;
};

static u32 below(struct random_world *r, u32 n)
{
	return prandom_u32_state(&r->rnd) % n;
}

static void begin_switch(struct random_world *r, unsigned int cpu)
{
	struct midway *m = &r->mid[cpu];

	leave(r->w, cpu);
	m->in = SWITCH;
	m->ctx = &r->ctx[below(r, RANDOM_CONTEXTS)];
	m->old = active(r->w, cpu);
	m->value = idgen_atomic(read)(&m->ctx->value);
}

/* Do the next part of it. */
static void proceed(struct random_world *r, unsigned int cpu)
{
	struct idgen_slot *slot = &r->w->slot[cpu];
	struct midway *m = &r->mid[cpu];

	switch (m->in) {
	case SWITCH:
		about_to_ask(r->w, cpu, m->ctx);
		r->w->cpu[cpu].out = false;
		if (!__idgen_alloc_replace(slot, m->old, m->value))
			__idgen_alloc_switch(&r->w->a, slot, &m->ctx->value,
					     &m->ctx->pins);
		answered(r->w);
		m->in = REGISTER;
		break;
	case REGISTER:
		install(r->w, cpu, m->ctx);
		m->in = NOTHING;
		break;
	case NOTHING:
		break;
	}
}

static void unmap(struct random_world *r)
{
	struct context *ctx = r->unmapping;
	unsigned int cpu;

	if (!ctx) {
		ctx = &r->ctx[below(r, RANDOM_CONTEXTS)];
		ctx->version++;
		r->unmapping = ctx;
		r->unmapping_id = id(ctx);
		return;
	}

	for (cpu = 0; cpu < r->w->nr_cpus; cpu++) {
		struct sim_cpu *c = &r->w->cpu[cpu];
		struct entry *e = &c->tlb[r->unmapping_id];

		memset(e, 0, sizeof(*e));
		if (!c->ctx || c->leaving)
			continue;
		fill(r->w, cpu);
		e = &c->tlb[c->id];
		if (c->ctx == ctx)
			KUNIT_EXPECT_EQ_MSG(r->w->test, e->version, ctx->version,
					    "EmptyAfterUnmap: context %u on CPU%u",
					    ctx->serial, cpu);
	}
	r->unmapping = NULL;
}

/* A context that nobody runs, is about to run, or has pinned, ends. */
static void renew(struct random_world *r)
{
	struct context *ctx = &r->ctx[below(r, RANDOM_CONTEXTS)];
	unsigned int cpu;

	if (refcount_read(&ctx->pins) || r->unmapping == ctx)
		return;
	for (cpu = 0; cpu < r->w->nr_cpus; cpu++)
		if (r->w->cpu[cpu].ctx == ctx || r->mid[cpu].ctx == ctx)
			return;
	birth(r->w, ctx);
}

static void random_step(struct random_world *r)
{
	unsigned int cpu = below(r, r->w->nr_cpus);
	struct context *ctx = &r->ctx[below(r, RANDOM_CONTEXTS)];
	u32 dice = below(r, 100);

	if (dice < 12) {
		unmap(r);
	} else if (dice < 22) {
		renew(r);
	} else if (r->mid[cpu].in != NOTHING) {
		proceed(r, cpu);
	} else if (dice < 26) {
		if (refcount_read(&ctx->pins) < 3)
			pin(r->w, cpu, ctx);
	} else if (dice < 30) {
		if (refcount_read(&ctx->pins))
			unpin(r->w, ctx);
	} else if (dice < 45) {
		sched_out(r->w, cpu);
	} else {
		begin_switch(r, cpu);
		if (dice < 85) {
			proceed(r, cpu);
			proceed(r, cpu);
		}
	}
}

static void random_steps(struct kunit *test, enum flush_mode mode,
			 unsigned int cpus, unsigned int bits,
			 unsigned int usable, int nr)
{
	u64 s = seed ?: get_random_u64();
	struct world *w = new_world(test, cpus);
	struct random_world *r = kunit_kzalloc(test, sizeof(*r), GFP_KERNEL);
	int i;

	KUNIT_ASSERT_NOT_NULL(test, r);
	r->mid = kunit_kcalloc(test, cpus, sizeof(*r->mid), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, r->mid);
	r->w = w;
	if (usable < BIT(bits) - 1)
		bitmap_set(w->never, usable + 1, BIT(bits) - usable - 1);
	power_on(w, &ops_by_mode[mode], bits);
	births(w, r->ctx, RANDOM_CONTEXTS);
	prandom_seed_state(&r->rnd, s);
	kunit_info(test, "idgen_alloc_kunit.seed=%llu\n", s);

	for (i = 0; i < nr; i++)
		random_step(r);
	KUNIT_EXPECT_GT_MSG(test, w->a.generation, nr / 1000 * IDGEN_GEN_STEP,
			    "hardly any rollover");
	kunit_info(test, "%llu rollovers\n",
		   (u64)(w->a.generation >> IDGEN_ID_BITS) - 1);
}

static void random_steps_hold_all_invariants(struct kunit *test)
{
	random_steps(test, mode_of(test), 4, 5, 31, steps);
}

static void random_steps_in_the_tightest_space(struct kunit *test)
{
	random_steps(test, mode_of(test), 5, 4, 5 + 2, steps);
}

static void random_steps_with_one_id_more_than_cpus(struct kunit *test)
{
	random_steps(test, mode_of(test), 6, 4, 6 + 1, steps);
}

static void random_steps_of_many_cpus(struct kunit *test)
{
	random_steps(test, mode_of(test), 40, 8, 45, steps);
}

/*
 * Real CPUs
 */

static void slots_of_the_real_cpus(struct kunit *test)
{
	struct idgen_slot __percpu *slots = alloc_percpu(struct idgen_slot);
	struct world *w = new_world(test, nr_cpu_ids);
	struct idgen_slot *slot;
	idgen_atomic_t value = {};
	unsigned int cpu;
	idgen_value_t had;

	KUNIT_ASSERT_NOT_NULL(test, (void __force *)slots);
	bitmap_zero(w->never, BIT(IDGEN_ID_BITS));
	KUNIT_ASSERT_EQ(test, 0, idgen_alloc_init(&w->a, &ops_by_mode[LOCAL],
						  IDGEN_ID_BITS, slots));
	for_each_possible_cpu(cpu) {
		slot = per_cpu_ptr(slots, cpu);
		KUNIT_EXPECT_EQ(test, idgen_atomic(read)(&slot->active), IDGEN_FIRST_GEN);
	}

	slot = get_cpu_ptr(slots);
	idgen_alloc_switch(&w->a, slot, &value, NULL);
	put_cpu_ptr(slots);
	had = idgen_atomic(read)(&value);
	KUNIT_EXPECT_EQ(test, idgen_atomic(read)(&slot->active), had);
	KUNIT_EXPECT_EQ(test, had & ~IDGEN_ID_MASK, IDGEN_FIRST_GEN);

	idgen_alloc_destroy(&w->a);
	free_percpu(slots);
}

#define THREAD_CONTEXTS	24
#define THREAD_BITS	4

/*
 * As above, but races are real. Each thread owns the TLB of its CPU, except that
 * a broadcast flush empties all.
 */
struct threads {
	struct idgen_alloc a;
	struct idgen_slot *slot;
	unsigned int nr;
	idgen_atomic_t value[THREAD_CONTEXTS];
	refcount_t pins[THREAD_CONTEXTS];
	/* By CPU and ID: 1 + context, or 0. */
	atomic_t (*tlb)[BIT(THREAD_BITS)];
	atomic_t self, left, conflicts, id_0;
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

static int one_cpu(void *arg)
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
			idgen_alloc_switch(&t->a, slot, &t->value[c], &t->pins[c]);
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
	atomic_dec(&t->left);
	return 0;
}

static void real_cpus_racing(struct kunit *test)
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
			idgen_alloc_init_array(&t->a, &threads_ops[mode_of(test)],
					       THREAD_BITS, t->slot, t->nr));

	/* The lock goes from CPU to CPU, each of which QEMU may have stopped. */
	t->switches = steps / 10;
	t->seed = seed ?: get_random_u64();
	kunit_info(test, "idgen_alloc_kunit.seed=%llu\n", t->seed);
	atomic_set(&t->left, t->nr);
	cpus_read_lock();
	for_each_online_cpu(cpu) {
		if (started++ == t->nr)
			break;
		task = kthread_create_on_cpu(one_cpu, t, cpu, "idgen_kunit/%u");
		if (IS_ERR(task)) {
			atomic_dec(&t->left);
			KUNIT_FAIL(test, "no thread for CPU%u", cpu);
		} else {
			wake_up_process(task);
		}
	}
	cpus_read_unlock();
	while (atomic_read(&t->left))
		schedule_timeout_uninterruptible(1);

	KUNIT_EXPECT_EQ_MSG(test, atomic_read(&t->conflicts), 0, "UniquePerCPU");
	KUNIT_EXPECT_EQ_MSG(test, atomic_read(&t->id_0), 0, "NeverReservedID");
	KUNIT_EXPECT_GT_MSG(test, t->a.generation, t->switches / 100 * IDGEN_GEN_STEP,
			    "hardly any rollover");
	idgen_alloc_destroy(&t->a);
}

/*
 * An adopter: what an architecture has to provide, on one that does not exist. It
 * has up to 9 bits of ASID in a register, beside the tables; ASID 1 is the kernel's
 * own; each CPU can flush its own TLB, and none shares one with another.
 */

#define EXAMPLE_ASID_BITS	9
#define EXAMPLE_ASID		GENMASK_ULL(EXAMPLE_ASID_BITS - 1, 0)
#define EXAMPLE_KERNEL_ASID	1

/* The hardware. This machine has 8 bits. */
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

/* IDs that no context may have, besides 0; without any, leave it out. */
static void example_mark_never(struct idgen_alloc *a, unsigned long *map)
{
	__set_bit(EXAMPLE_KERNEL_ASID, map);
}

/* One flush is needed, of this CPU's TLB or of all. */
static void example_flush_cpu(struct idgen_alloc *a)
{
	example_flushes++;
}

static const struct idgen_ops example_ops = {
	.name		= "example",
	.mark_never	= example_mark_never,
	.flush_cpu	= example_flush_cpu,
};

/* Before the first switch, and once it is known how many CPUs there can be. */
static int example_init(void)
{
	/* The bits that the register keeps. */
	example_write(EXAMPLE_ASID);
	return idgen_alloc_init(&example_asids, &example_ops,
				hweight64(example_register & EXAMPLE_ASID),
				&example_slots);
}

/* fork(), or execve(): no ID yet. It gets one when it first runs. */
static void example_init_new_context(struct example_mm *mm)
{
	idgen_atomic(set)(&mm->id, 0);
}

/* Preemption is off. First the ID, and only then the register. */
static void example_switch_mm(struct example_mm *mm)
{
	idgen_alloc_switch(&example_asids, this_cpu_ptr(&example_slots), &mm->id,
			   NULL);
	example_write(mm->tables | (idgen_atomic(read)(&mm->id) & EXAMPLE_ASID));
}

static void adopter_has_little_to_provide(struct kunit *test)
{
	struct example_mm mm;
	unsigned int i;

	if (num_possible_cpus() >= BIT(8) - 2)
		kunit_skip(test, "this machine has more CPUs than the other has IDs");

	KUNIT_ASSERT_EQ(test, example_init(), 0);
	KUNIT_EXPECT_EQ(test, example_asids.usable, BIT(8) - 2);
	example_flushes = 0;

	for (i = 1; i <= 300; i++) {
		mm.tables = i * BIT(16);
		example_init_new_context(&mm);
		preempt_disable();
		example_switch_mm(&mm);
		preempt_enable();
		KUNIT_EXPECT_EQ(test, example_register & ~EXAMPLE_ASID, mm.tables);
		KUNIT_EXPECT_GT(test, example_register & EXAMPLE_ASID,
				EXAMPLE_KERNEL_ASID);
	}
	/* There were more contexts than IDs. */
	KUNIT_EXPECT_GT(test, example_flushes, 0);
	idgen_alloc_destroy(&example_asids);
}

#define MODE_CASE(name)	KUNIT_CASE_PARAM(name, mode_gen_params)

static struct kunit_case idgen_alloc_cases[] = {
	MODE_CASE(first_id_is_usable_and_of_the_first_generation),
	MODE_CASE(same_id_again_without_the_lock),
	KUNIT_CASE_PARAM(ids_are_distinct_until_exhaustion, width_gen_params),
	MODE_CASE(exhaustion_rolls_over_exactly_once),
	MODE_CASE(generation_steps_by_one),
	MODE_CASE(generations_start_again_at_the_first_after_the_last),
	KUNIT_CASE(generations_are_compared_in_all_their_bits),

	MODE_CASE(rollover_keeps_the_ids_of_all_active_cpus),
	MODE_CASE(cpu_that_never_switches_keeps_its_id_over_many_rollovers),
	MODE_CASE(context_on_several_cpus_keeps_one_id_over_several_rollovers),
	MODE_CASE(two_vcpus_of_one_vm_agree_around_a_rollover),
	MODE_CASE(stale_context_gets_its_old_id_back_if_it_is_free),
	MODE_CASE(stale_context_whose_id_was_taken_gets_another),
	KUNIT_CASE(context_is_told_of_an_id_that_it_did_not_have),
	MODE_CASE(context_that_lost_its_id_long_ago_gets_another),
	MODE_CASE(reserved_id_is_not_given_to_another_context_that_once_had_it),
	KUNIT_CASE(sleeper_of_before_the_wraparound_can_take_a_reserved_id),
	MODE_CASE(hint_that_speaks_of_another_id_misleads_nobody),
	MODE_CASE(hint_has_every_reserved_id),

	MODE_CASE(no_flush_in_the_first_generation),
	KUNIT_CASE(each_cpu_flushes_once_and_before_its_first_id),
	MODE_CASE(no_flush_on_the_fast_path_nor_for_an_id_within_the_generation),
	KUNIT_CASE(one_broadcast_per_rollover),
	KUNIT_CASE(both_flushes_on_one_allocator),
	KUNIT_CASE(rollover_for_a_pin_leaves_this_cpu_owing_its_flush),
	MODE_CASE(unmap_with_the_id_of_before_a_rollover_leaves_no_old_entry),

	MODE_CASE(ids_that_are_ruled_out_are_never_handed_out),
	MODE_CASE(nearly_all_ids_can_be_ruled_out),
	MODE_CASE(id_0_is_never_handed_out),
	MODE_CASE(ids_ruled_out_no_longer_are_used_from_the_next_rollover_on),
	KUNIT_CASE(pins_are_refused_while_the_ids_ruled_out_are_provisional),
	KUNIT_CASE(too_few_ids_are_warned_about_once_they_are_final),
	MODE_CASE(update_is_refused_while_contexts_are_pinned),
	KUNIT_CASE(update_without_anything_ruled_out_is_fine),

	MODE_CASE(sched_out_then_rollover_frees_the_id),
	MODE_CASE(next_switch_after_sched_out_is_fast),
	MODE_CASE(sched_out_after_a_rollover_frees_the_id_at_the_next),
	MODE_CASE(sched_out_does_not_hide_a_rollover),
	MODE_CASE(sched_out_after_a_rollover_uses_up_no_ids),
	MODE_CASE(sched_out_just_before_and_after_its_slot_is_taken),
	KUNIT_CASE(sched_out_clears_the_whole_id_and_nothing_else),
	MODE_CASE(sched_out_on_a_cpu_that_never_ran_is_harmless),
	MODE_CASE(sched_out_twice_is_harmless),
	KUNIT_CASE(sched_out_leaves_a_pending_flush_to_the_next_switch),
	MODE_CASE(no_context_ever_has_the_value_of_a_cpu_that_is_sched_out),

	MODE_CASE(switch_that_a_rollover_overtakes_takes_the_slow_path),
	MODE_CASE(switch_just_before_the_slot_is_taken_is_reserved),
	MODE_CASE(context_of_the_new_generation_is_not_run_fast_on_a_cpu_of_the_old),
	MODE_CASE(context_without_id_is_never_run_fast),
	MODE_CASE(context_has_an_id_when_the_switch_returns),

	MODE_CASE(pinned_id_survives_rollovers),
	MODE_CASE(pin_of_a_context_that_never_ran_gives_it_an_id),
	MODE_CASE(pin_of_a_stale_context_gives_it_an_id_of_this_generation),
	MODE_CASE(pin_of_a_context_that_runs_keeps_what_it_runs_with),
	MODE_CASE(pinned_context_takes_its_reserved_values_along),
	KUNIT_CASE(allocator_may_have_pins_and_rule_out_nothing),
	MODE_CASE(pins_nest),
	MODE_CASE(unpin_frees_the_id_at_the_next_rollover_only),
	MODE_CASE(unpin_after_a_rollover_does_not_keep_the_id),
	MODE_CASE(unpin_of_what_is_not_pinned_changes_nothing),
	KUNIT_CASE(pin_count_that_overflows_stays_pinned),
	MODE_CASE(pins_are_limited_so_that_allocation_succeeds),
	MODE_CASE(pin_that_finds_no_free_id_rolls_over),
	MODE_CASE(pinned_id_is_not_taken_by_another_context_that_once_had_it),
	KUNIT_CASE(allocator_without_pins_refuses_them),
	MODE_CASE(contexts_may_come_without_a_pin_count),

	KUNIT_CASE_PARAM(init_refuses_what_cannot_work, bad_inits_gen_params),
	KUNIT_CASE(init_counts_only_usable_ids),
	MODE_CASE(more_possible_cpus_than_ids_do_no_harm_until_they_run),
	MODE_CASE(rollover_that_leaves_no_free_id_is_a_panic),
	KUNIT_CASE(init_without_memory_leaves_nothing_behind),
	MODE_CASE(allocator_can_be_set_up_again_after_destroy),
	KUNIT_CASE(each_debug_check_warns),

	KUNIT_CASE_PARAM(boot_parameter_lowers_the_bits, boot_params_gen_params),
	KUNIT_CASE(boot_parameter_is_set_with_a_word_if_not_as_asked),
	MODE_CASE(allocator_with_lowered_bits_rolls_over_sooner),

	MODE_CASE(random_steps_hold_all_invariants),
	MODE_CASE(random_steps_in_the_tightest_space),
	MODE_CASE(random_steps_with_one_id_more_than_cpus),
	MODE_CASE(random_steps_of_many_cpus),

	KUNIT_CASE(slots_of_the_real_cpus),
	KUNIT_CASE(adopter_has_little_to_provide),
	MODE_CASE(real_cpus_racing),
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
