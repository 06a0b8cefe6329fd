// SPDX-License-Identifier: GPL-2.0-only
/*
 * Model of the hardware around the allocator.
 *
 * Each CPU has a lock, which makes these steps atomic (A9):
 *
 *  - A walk reads the page table and loads the entry. This models the
 *    completion of a TLBI by a DSB: no entry of an earlier walk remains or is
 *    added later (A1).
 *  - A write of the register. The kernel executes an ISB after it, so there are
 *    no later walks with the old value (A2).
 *
 * CPUs that share a TLB share the lock. A flush by one of them drops what all
 * of them see (A4).
 *
 * A broadcast flush visits one CPU after the other, while the others run. TLBs
 * are the worst case: only software drops entries, and a walk replaces none.
 */
#include <signal.h>
#include <stdarg.h>
#include <unistd.h>

#include "hw.h"

struct hw hw;
__thread int self = -1;
unsigned int nr_cpu_ids;

void hw_violation(const char *fmt, ...)
{
	va_list args;

	/* The first few are enough. */
	if (__atomic_fetch_add(&hw.violations, 1, __ATOMIC_RELAXED) >= 10)
		return;
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
}

static void too_late(int signal)
{
	static const char text[] = "error: a CPU does not end\n";

	_exit(write(STDERR_FILENO, text, sizeof(text) - 1) < 0 ? 2 : 1);
}

void hw_watchdog(unsigned int seconds)
{
	signal(SIGALRM, too_late);
	alarm(seconds);
}

/* A violation that the library itself reports. */
void shim_bad(const char *what)
{
	hw_violation("%.*s", (int)strcspn(what, "\n"), what);
}

static u32 serial(struct context *ctx)
{
	return __atomic_load_n(&ctx->serial, __ATOMIC_RELAXED);
}

/* The number of TLBs. */
static unsigned int nr_tlbs(void)
{
	return hw.mode->cnp ? 1 : hw.nr_cpus;
}

static pthread_mutex_t *lock_of(int cpu)
{
	return &hw.cpu[hw.mode->cnp || hw.mode->ftlb ? 0 : cpu].lock;
}

static void lock(int cpu)
{
	pthread_mutex_lock(lock_of(cpu));
}

static void unlock(int cpu)
{
	pthread_mutex_unlock(lock_of(cpu));
}

/* The entry that a CPU hits: its own, or a sibling's, or an empty one. */
static struct entry *lookup(int cpu, u64 id)
{
	struct entry *own = &hw.cpu[cpu].tlb[id];
	int other;

	for (other = 0; hw.mode->ftlb && !own->serial && other < hw.nr_cpus; other++)
		if (hw.cpu[other].tlb[id].serial)
			return &hw.cpu[other].tlb[id];
	return own;
}

static bool walks(struct hw_cpu *c)
{
	return c->ctx && (hw.mode->walk == WALK_ALWAYS || c->running);
}

static void fill(int cpu)
{
	struct hw_cpu *c = &hw.cpu[cpu];
	struct entry *e;

	if (!walks(c))
		return;

	e = lookup(cpu, c->id);
	if (e->serial && e->serial != serial(c->ctx)) {
		hw_violation("%s: CPU%d walks context %u for ID %llu, and has an entry of %u",
			     hw.mode->cnp || hw.mode->ftlb ? "UniqueAllCPUs" : "UniquePerCPU",
			     cpu, serial(c->ctx), c->id, e->serial);
	} else if (!e->serial) {
		e->serial = serial(c->ctx);
		e->version = __atomic_load_n(&c->ctx->version, __ATOMIC_RELAXED);
		c->fills++;
	}
}

void hw_fill(int cpu)
{
	lock(cpu);
	fill(cpu);
	unlock(cpu);
}

/* Walks by the CPUs that see a TLB, after entries were dropped from it. */
static void fill_again(int cpu)
{
	int other;

	for (other = 0; other < hw.nr_cpus; other++)
		if ((other == cpu || hw.mode->cnp) && hw_walks_now())
			fill(other);
}

static void flush(int cpu)
{
	struct hw_cpu *c = &hw.cpu[cpu];

	shim_point("flush", c);
	lock(cpu);
	memset(c->tlb, 0, sizeof(*c->tlb) << hw.a.bits);
	c->flushes++;
	fill_again(cpu);
	unlock(cpu);
}

static void flush_cpu(struct idgen_alloc *a)
{
	if (self >= 0)
		hw.cpu[self].flushed = true;
	flush(self);
}

static void flush_all(struct idgen_alloc *a)
{
	unsigned int cpu;

	for (cpu = 0; cpu < nr_tlbs(); cpu++)
		flush(cpu);
}

/* Overwrites the whole map, including ID 0. */
static void exclude_ids(struct idgen_alloc *a, unsigned long *map)
{
	unsigned long id;

	if (hw.up)
		lockdep_assert_held(&a->lock);
	for (id = 0; id < idgen_alloc_nr(a); id++)
		if (hw.excluded[id])
			__set_bit(id, map);
		else
			__clear_bit(id, map);
}

static const struct idgen_ops ops_local = {
	.name = "host", .pins = true,
	.exclude_ids = exclude_ids, .flush_cpu = flush_cpu,
};

static const struct idgen_ops ops_broadcast = {
	.name = "host", .pins = true,
	.exclude_ids = exclude_ids, .flush_all = flush_all,
};

static const struct idgen_ops ops_both = {
	.name = "host", .pins = true,
	.exclude_ids = exclude_ids, .flush_cpu = flush_cpu, .flush_all = flush_all,
};

static const struct mode modes[] = {
	/* ASIDs and VMIDs. */
	{ "local", &ops_local, WALK_ALWAYS, false },
	{ "broadcast", &ops_broadcast, WALK_RUNNING, true },
	{ "both", &ops_both, WALK_RUNNING, true },
	{ "local-out", &ops_local, WALK_RUNNING, true },
	{ "broadcast-direct", &ops_broadcast, WALK_RUNNING, false },
	/*
	 * The register is still walked after sched out, or after the slot has
	 * the next context, with an ID that is no longer reserved. A flush of
	 * this CPU comes too early or not at all.
	 */
	{ "broadcast-direct-walk", &ops_broadcast, WALK_ALWAYS, false, true },
	{ "broadcast-walk", &ops_broadcast, WALK_ALWAYS, true, true },
	{ "local-walk", &ops_local, WALK_ALWAYS, true, true },
	/* The fix for any hardware: clear the register first. */
	{ "broadcast-first", &ops_broadcast, WALK_ALWAYS, true, .first = true },
	/*
	 * CnP: ASIDs as on arm64, with reserved tables during a switch. VMIDs
	 * as in KVM, and with the register cleared first. Then those that are
	 * not sufficient.
	 */
	{ "cnp-local", &ops_local, WALK_ALWAYS, false, .first = true, .cnp = true },
	{ "cnp-broadcast", &ops_broadcast, WALK_RUNNING, true, .cnp = true },
	{ "cnp-broadcast-first", &ops_broadcast, WALK_ALWAYS, true, .first = true, .cnp = true },
	{ "cnp-local-walk", &ops_local, WALK_ALWAYS, false, true, .cnp = true },
	{ "cnp-broadcast-walk", &ops_broadcast, WALK_ALWAYS, true, true, .cnp = true },
	/*
	 * MIPS (A6): a CPU hits entries in the FTLB of its siblings. A switch
	 * invalidates the new ID there while one of them has a flush pending.
	 * Software refills the TLB, and the hardware walker is stopped. Then
	 * those that are not sufficient.
	 */
	{ "ftlb", &ops_local, WALK_ALWAYS, false, .first = true, .ftlb = true, .ginvt = true },
	{ "ftlb-walk", &ops_local, WALK_ALWAYS, false, true, .ftlb = true, .ginvt = true },
	{ "ftlb-no-ginvt", &ops_local, WALK_ALWAYS, false, true, .first = true, .ftlb = true },
};

static bool mode_is(const struct mode *mode, const char *name)
{
	if (!strcmp(name, "all") || !strcmp(name, "bad"))
		return mode->bad == (*name == 'b');
	return !strcmp(name, mode->name);
}

bool mode_walks_on(const struct mode *mode)
{
	return mode->walk == WALK_ALWAYS && !mode->first;
}

void hw_init(unsigned int cpus, unsigned int bits, const struct mode *mode,
	     unsigned int before)
{
	unsigned int cpu;
	int ret;

	nr_cpu_ids = cpus;
	hw.nr_cpus = cpus;
	hw.mode = mode;
	hw.violations = 0;
	hw.reserved = 0;
	hw.up = false;
	hw.ops = *mode->ops;
	if (!memchr(hw.excluded, true, sizeof(hw.excluded)))
		hw.ops.exclude_ids = NULL;
	ret = idgen_alloc_init(&hw.a, &hw.ops, bits, hw.slot);
	if (ret) {
		fprintf(stderr, "error: init with %u bits and %u CPUs: %s\n", bits, cpus,
			strerror(-ret));
		exit(2);
	}
	/* The library has said what is wrong. */
	if (hw.violations)
		exit(2);
	hw.up = true;
	hw.began = LAST_GEN - before * IDGEN_GEN_STEP;
	hw.a.generation = hw.began;
	for (cpu = 0; cpu < cpus; cpu++) {
		idgen_atomic(set)(&hw.slot[cpu].active, hw.a.generation);
		hw.cpu[cpu] = (struct hw_cpu){
			.tlb = cpu < nr_tlbs() ?
			       calloc(idgen_alloc_nr(&hw.a), sizeof(struct entry)) :
			       hw.cpu[0].tlb,
		};
		pthread_mutex_init(&hw.cpu[cpu].lock, NULL);
	}
}

unsigned long hw_rollovers(void)
{
	/* There is no generation 0. */
	return ((hw.a.generation - hw.began) & LAST_GEN) / IDGEN_GEN_STEP -
	       (hw.a.generation < hw.began);
}

void hw_destroy(void)
{
	unsigned int cpu;

	for (cpu = 0; cpu < nr_tlbs(); cpu++)
		free(hw.cpu[cpu].tlb);
	idgen_alloc_destroy(&hw.a);
}

/*
 * Start a context in an unused struct. Its @value is 0, or that of a context
 * that has slept for a long time.
 */
void hw_birth(struct context *ctx, idgen_value_t value)
{
	idgen_atomic(set)(&ctx->value, value);
	__atomic_store_n(&ctx->serial,
			 __atomic_add_fetch(&hw.last_serial, 1, __ATOMIC_RELAXED),
			 __ATOMIC_RELAXED);
}

/* @cpu begins a switch or a sched out. */
void hw_leave(int cpu)
{
	struct hw_cpu *c = &hw.cpu[cpu];

	lock(cpu);
	c->running = false;
	if (hw.mode->first)
		c->ctx = NULL;
	unlock(cpu);
}

/* @cpu is scheduled out. */
void hw_sched_out(int cpu)
{
	u64 active;

	hw_leave(cpu);
	idgen_alloc_sched_out(&hw.slot[cpu]);
	active = idgen_atomic(read)(&hw.slot[cpu].active);
	if (active & IDGEN_ID_MASK)
		hw_violation("sched out: CPU%d's slot has %#llx", cpu, active);
}

/* Clear the register, so that there is nothing to walk. */
void hw_clear(int cpu)
{
	struct hw_cpu *c = &hw.cpu[cpu];

	shim_point("clear", c);
	lock(cpu);
	c->running = false;
	c->ctx = NULL;
	unlock(cpu);
}

/*
 * Check the registers of all other CPUs, one after the other. This is as good
 * as a snapshot, since this CPU runs @ctx throughout.
 */
static void check_others(int cpu, struct context *ctx, u64 id)
{
	unsigned int other;

	for (other = 0; other < hw.nr_cpus; other++) {
		struct hw_cpu *o = &hw.cpu[other];

		if (other == cpu)
			continue;
		lock(other);
		if (o->running && o->ctx == ctx && o->id != id)
			hw_violation("SameActive: context %u is %llu on CPU%d, %llu on CPU%d",
				     serial(ctx), id, cpu, o->id, other);
		if (o->running && o->ctx != ctx && o->id == id)
			hw_violation("UniqueActive: ID %llu is context %u on CPU%d, %u on CPU%d",
				     id, serial(ctx), cpu, serial(o->ctx), other);
		unlock(other);
	}
}

/* Drop the entries of an ID everywhere while a sibling has a flush pending. */
static void ginvt_if_pending(int cpu, u64 id)
{
	bool pending = false;
	int other;

	for (other = 0; other < hw.nr_cpus; other++)
		pending |= !!(idgen_atomic(read)(&hw.slot[other].active) & IDGEN_TAKEN);
	for (other = 0; pending && other < hw.nr_cpus; other++) {
		shim_point("ginvt", &hw.cpu[other]);
		lock(other);
		hw.cpu[other].tlb[id] = (struct entry){};
		unlock(other);
	}
}

/* After the allocator's switch, @cpu runs @ctx with its ID. */
void hw_enter(int cpu, struct context *ctx)
{
	struct hw_cpu *c = &hw.cpu[cpu];
	u64 id = idgen_atomic(read)(&ctx->value) & IDGEN_ID_MASK;
	struct entry *e;

	if (id >= idgen_alloc_nr(&hw.a)) {
		hw_violation("AlwaysSucceeds: CPU%d was given ID %llu of %lu", cpu, id,
			     idgen_alloc_nr(&hw.a));
		return;
	}
	if (!id || hw.excluded[id])
		hw_violation("NeverReservedID: CPU%d was given ID %llu", cpu, id);

	if (hw.mode->ginvt)
		ginvt_if_pending(cpu, id);

	shim_point("enter", c);
	lock(cpu);
	e = lookup(cpu, id);
	if (e->serial && e->serial != serial(ctx))
		hw_violation("FlushBeforeReuse: CPU%d runs context %u with ID %llu, and has an entry of %u",
			     cpu, serial(ctx), id, e->serial);
	c->ctx = ctx;
	c->id = id;
	c->running = true;
	/*
	 * A new ID that this CPU has stored is visible before its walks (A5),
	 * due to the barrier at the end of the slow path. So if an unmap still
	 * reads an older ID for its TLBI, these walks find its change. See
	 * hw_unmap() and litmus/unmap-*.
	 */
	if (hw_walks_now())
		fill(cpu);
	unlock(cpu);

	check_others(cpu, ctx, id);
}

/*
 * Clear an entry of @ctx's page table, and invalidate its ID on all CPUs. After
 * that, no CPU that runs @ctx may have the old entry.
 */
bool hw_unmap(struct context *ctx)
{
	u32 version = __atomic_add_fetch(&ctx->version, 1, __ATOMIC_RELAXED);
	unsigned int cpu;
	u64 id;

	/* DSB ISHST before the read of the ID (commit 5e10f9887ed8). */
	mb();
	id = idgen_atomic(read)(&ctx->value) & IDGEN_ID_MASK;
	if (!id)
		return false;

	for (cpu = 0; cpu < nr_tlbs(); cpu++) {
		struct hw_cpu *c = &hw.cpu[cpu];

		shim_point("tlbi", c);
		lock(cpu);
		c->tlb[id] = (struct entry){};
		fill_again(cpu);
		unlock(cpu);
	}
	for (cpu = 0; cpu < hw.nr_cpus; cpu++) {
		struct hw_cpu *c = &hw.cpu[cpu];
		struct entry *e;

		shim_point("check", c);
		lock(cpu);
		e = lookup(cpu, c->id);
		if (c->running && c->ctx == ctx && e->serial == serial(ctx) &&
		    (int)(e->version - version) < 0)
			hw_violation("EmptyAfterUnmap: CPU%u runs context %u and has its old entry",
				     cpu, serial(ctx));
		unlock(cpu);
	}
	return true;
}

/* Called with the lock held, after all slots are taken. */
void shim_rollover(unsigned int reserved)
{
	unsigned int cpu;
	u64 id;

	for (cpu = 0; cpu < hw.nr_cpus; cpu++) {
		id = hw.slot[cpu].reserved & IDGEN_ID_MASK;
		reserved -= !!id;
		if (id && hw.cpu[cpu].out_since && hw.cpu[cpu].out_since != hw.a.generation)
			hw_violation("rollover: CPU%u is scheduled out, and has ID %llu reserved",
				     cpu, id);
	}
	if (reserved)
		hw_violation("trace: %d more IDs are reserved than it says", -(int)reserved);
}

/* Called with the lock held, after this CPU's slot got @value. */
void shim_slow_path(u64 old, u64 value, bool flush)
{
	struct idgen_alloc *a = &hw.a;
	unsigned int cpu;

	/* During initialisation. */
	if (self < 0)
		return;

	if ((u64)hw.slot[self].active.counter != value)
		hw_violation("trace: CPU%d has %#llx, not %#llx", self,
			     (u64)hw.slot[self].active.counter, value);
	if (old != value && !((old ^ value) >> IDGEN_ID_BITS))
		hw_violation("trace: CPU%d: old %#llx is of the generation of new %#llx", self,
			     old, value);
	if (flush != hw.cpu[self].flushed)
		hw_violation("trace: CPU%d did%s flush", self, flush ? " not" : "");
	hw.cpu[self].flushed = false;

	for (cpu = 0; cpu < hw.nr_cpus && old != value; cpu++)
		if (cpu != self && hw.slot[cpu].reserved == value)
			break;
	hw.reserved += old != value && cpu < hw.nr_cpus;

	if (find_first_zero_bit(a->map, idgen_alloc_nr(a)) < a->cursor)
		hw_violation("cursor: an ID below %lu is free", a->cursor);
}

static const char * const step_names[NR_STEPS] = {
	"switches", "rollovers", "reserved", "sched out", "pins", "births", "unmaps", "updates",
	"fills", "flushes",
};

static void hw_heading(void)
{
	unsigned int i;

	printf("%-21s", "mode");
	for (i = 0; i < NR_STEPS; i++)
		printf(" %10s", step_names[i]);
	printf(" %10s\n", "violations");
	fflush(stdout);
}

/* Works after hw_destroy(). */
static bool can_happen(unsigned int step)
{
	switch (step) {
	case RESERVED:
		return hw.nr_cpus > 1;
	case OUTS:
		return hw.mode->out;
	case PINS:
		return hw.a.max_pinned;
	case UPDATES:
		return hw.ops.exclude_ids && hw.updates;
	default:
		return true;
	}
}

bool hw_row(const unsigned long *steps)
{
	bool good = !hw.violations == !hw.mode->bad;
	unsigned int i;

	printf("%-21s", hw.mode->name);
	for (i = 0; i < NR_STEPS; i++)
		if (can_happen(i))
			printf(" %10lu", steps[i]);
		else
			printf(" %10s", "-");
	printf(" %10lu%s\n", hw.violations, hw.mode->bad ? " (expected)" : "");

	/* A violation can end a mode before all steps have happened. */
	for (i = 0; i < NR_STEPS && !hw.violations; i++)
		if (can_happen(i) && !steps[i]) {
			printf("error: %s: no %s\n", hw.mode->name, step_names[i]);
			good = false;
		}
	fflush(stdout);
	return good;
}

void hw_print_modes(void)
{
	unsigned int i;

	for (i = 0; i < sizeof(modes) / sizeof(*modes); i++)
		fprintf(stderr, " %s", modes[i].name);
	fprintf(stderr, "\n");
}

int hw_run_modes(const char *name, bool (*run)(const struct mode *mode), int (*usage)(void))
{
	unsigned int i, ran = 0, failed = 0;

	hw_heading();
	for (i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		if (!mode_is(&modes[i], name))
			continue;
		failed += !run(&modes[i]);
		ran++;
	}
	if (!ran)
		return usage();
	printf("%s%s: %u modes, %u not as expected\n", failed ? "FAILED" : "passed",
	       can_happen(PINS) ? "" : ", but there were too few IDs for pins", ran, failed);
	return !!failed;
}

u64 hw_number(int option, u64 min, u64 max)
{
	u64 number;
	char *end;

	errno = 0;
	number = strtoull(optarg, &end, 10);
	if (*optarg < '0' || *optarg > '9' || *end || errno || number < min || number > max) {
		fprintf(stderr, "error: -%c %s: not a number from %llu to %llu\n", option, optarg,
			min, max);
		exit(2);
	}
	return number;
}
