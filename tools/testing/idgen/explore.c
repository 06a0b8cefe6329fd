// SPDX-License-Identifier: GPL-2.0-only
/*
 * Run lib/idgen_alloc.c under all schedules with a bounded number of
 * preemptions.
 *
 * Two CPUs are coroutines of one thread. A CPU runs until it is done, waits for
 * the lock, or is preempted. Preemption is possible before each access that
 * others can see: see shim_point(). Each combination of steps of the two CPUs
 * is run under each choice of preemption points.
 *
 * Each run starts just before a rollover. Four IDs are usable, and four
 * contexts have them. Each CPU runs one context and has old entries of all. The
 * fifth context has no ID. Each run of it starts a new context, unless a CPU
 * switches to it or has it in its register (A11). Four IDs are the fewest that
 * allow a pin. The generation is the last one before the wraparound.
 *
 * Accesses are in program order (A7): for others see litmus/ and weak/. Not
 * covered: more CPUs, more preemptions. Walks happen as early as possible.
 */
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "hw.h"

#define CPUS		2
#define CONTEXTS	5
#define FRESH		4
/* Run a context, sched out, pin or unpin the first one, unmap a page of it. */
enum { OUT = CONTEXTS, PIN, UNMAP, OPS };

#define MAX_OPS		4
#define MAX_STEPS	1024
#define MAX_PREEMPTIONS	4

static struct context contexts[CONTEXTS];
/* The contexts in the register now and next. */
static struct context *holds[CPUS], *wants[CPUS];
static bool pinned[CPUS];
static u64 pinned_id;
static unsigned int script[CPUS][MAX_OPS], nr_ops = 2;
static unsigned int max_preemptions = 2;

static ucontext_t scheduler, coroutine[CPUS];
static char stack[CPUS][32768];
static bool done[CPUS], waits[CPUS];

/* The schedule of this run, and the preemptible CPU at each step. */
static unsigned int first, step, nr_preemptions, next_preemption;
static unsigned int preemptions[MAX_PREEMPTIONS];
static bool preemptible[MAX_STEPS];
static bool tracing;

static unsigned long runs, scenarios, longest, steps[NR_STEPS];

static void switch_to(int cpu)
{
	int had = self;

	self = cpu;
	swapcontext(had < 0 ? &scheduler : &coroutine[had],
		    cpu < 0 ? &scheduler : &coroutine[cpu]);
}

static void print_script(void)
{
	static const char * const names[] = { "1", "2", "3", "4", "new", "out", "pin", "unmap" };
	unsigned int cpu, i;

	for (cpu = 0; cpu < CPUS; cpu++) {
		fprintf(stderr, "%s: CPU%u:", hw.mode->name, cpu);
		for (i = 0; i < nr_ops; i++)
			fprintf(stderr, " %s", names[script[cpu][i]]);
		fprintf(stderr, "%s\n", cpu == first ? " (first)" : "");
	}
}

/*
 * A schedule that never ends is an error in every mode. tell() cannot run it
 * again, so print it here.
 */
static void stuck(const char *what)
{
	unsigned int i;

	if (self < 0)
		hw_violation("outside of the coroutines, a CPU %s", what);
	else
		hw_violation("CPU%d %s", self, what);
	print_script();
	for (i = 0; i < next_preemption; i++)
		fprintf(stderr, "  preempted at step %u\n", preemptions[i]);
	exit(1);
}

void shim_point(const char *what, const void *where)
{
	if (self < 0)
		return;
	if (step >= MAX_STEPS)
		stuck("does not end");
	preemptible[step] = !done[!self];
	if (next_preemption < nr_preemptions && preemptions[next_preemption] == step) {
		next_preemption++;
		if (tracing)
			fprintf(stderr, "  step %u: CPU%d is preempted before %s\n", step,
				self, what);
		step++;
		switch_to(!self);
		return;
	}
	step++;
}

bool hw_walks_now(void)
{
	return true;
}

void shim_lock_init(raw_spinlock_t *lock)
{
	lock->owner = -1;
}

void shim_lock(raw_spinlock_t *lock)
{
	shim_point("lock", lock);
	/* Only the other CPU can drop the lock. */
	while (lock->owner >= 0) {
		if (self < 0 || done[!self] || waits[!self])
			stuck("waits for the lock, which is never dropped");
		waits[self] = true;
		switch_to(!self);
		waits[self] = false;
	}
	lock->owner = self < 0 ? CPUS : self;
}

void shim_unlock(raw_spinlock_t *lock)
{
	lock->owner = -1;
	shim_point("unlock", lock);
}

bool shim_locked(const raw_spinlock_t *lock)
{
	return lock->owner == (self < 0 ? CPUS : self);
}

static void sched_out(int cpu)
{
	hw_sched_out(cpu);
	hw.cpu[cpu].out_since = hw.a.generation;
	if (!mode_walks_on(hw.mode)) {
		hw_clear(cpu);
		holds[cpu] = NULL;
	}
}

static bool in_use(struct context *ctx)
{
	return holds[0] == ctx || holds[1] == ctx || wants[0] == ctx || wants[1] == ctx;
}

static void run(int cpu, struct context *ctx)
{
	if (hw.mode->out && holds[cpu])
		sched_out(cpu);
	if (ctx == &contexts[FRESH] && !in_use(ctx)) {
		int me = self;

		/* Atomically: the other CPU must not see half a context. */
		self = -1;
		hw_birth(ctx, 0);
		self = me;
		steps[BIRTHS]++;
	}
	hw_leave(cpu);
	wants[cpu] = ctx;
	hw.cpu[cpu].out_since = 0;
	idgen_alloc_switch(&hw.a, &hw.slot[cpu], &ctx->value, &ctx->pins);
	hw_enter(cpu, ctx);
	holds[cpu] = ctx;
	wants[cpu] = NULL;
}

static void check_pinned(void)
{
	u64 id = contexts[0].value.counter & IDGEN_ID_MASK;

	if (id != pinned_id)
		hw_violation("PinStays: context %u was pinned with ID %llu, has %llu",
			     contexts[0].serial, pinned_id, id);
}

/* Pins nest: both CPUs pin the same context. */
static void pin(int cpu)
{
	struct context *ctx = &contexts[0];
	u64 id;

	if (pinned[cpu]) {
		check_pinned();
		pinned[cpu] = false;
		idgen_alloc_unpin(&hw.a, &ctx->value, &ctx->pins);
		return;
	}

	id = idgen_alloc_pin(&hw.a, &ctx->value, &ctx->pins);
	if (!id) {
		hw_violation("CPU%d cannot pin context %u", cpu, ctx->serial);
		return;
	}
	if (!pinned[!cpu])
		pinned_id = id;
	pinned[cpu] = true;
	check_pinned();
	steps[PINS]++;
}

static void act(int cpu, unsigned int op)
{
	switch (op) {
	case OUT:
		sched_out(cpu);
		steps[OUTS]++;
		break;
	case PIN:
		pin(cpu);
		break;
	case UNMAP:
		steps[UNMAPS] += hw_unmap(&contexts[0]);
		break;
	default:
		run(cpu, &contexts[op]);
		steps[SWITCHES]++;
	}
}

static void play_cpu(int cpu)
{
	unsigned int i;

	for (i = 0; i < nr_ops; i++)
		act(cpu, script[cpu][i]);
	done[cpu] = true;
	/* The other CPU continues if it is not done. */
	switch_to(done[!cpu] ? -1 : !cpu);
	/* A coroutine that returns ends the program with status 0. */
	stuck("continues after its end");
}

static void start(void)
{
	unsigned int cpu, i, had;

	memset(contexts, 0, sizeof(contexts));
	memset(holds, 0, sizeof(holds));
	memset(wants, 0, sizeof(wants));
	memset(pinned, 0, sizeof(pinned));
	memset(done, 0, sizeof(done));
	memset(waits, 0, sizeof(waits));
	hw.last_serial = 0;
	for (i = 0; i < CONTEXTS; i++)
		hw_birth(&contexts[i], 0);
	had = hw.violations;
	hw_init(CPUS, IDGEN_MIN_BITS, hw.mode, 0);
	hw.violations = had;

	/* Each context with an ID has run on each CPU. */
	for (i = FRESH; i--;)
		for (cpu = 0; cpu < CPUS; cpu++)
			run(cpu, &contexts[(i + cpu) % FRESH]);
	for (cpu = 0; cpu < CPUS; cpu++)
		hw.cpu[cpu].fills = 0;
}

static void run_once(void)
{
	unsigned int cpu;

	/* For a loop without accesses. */
	if (!(runs % 4096))
		hw_watchdog(120);
	start();
	step = 0;
	next_preemption = 0;
	for (cpu = 0; cpu < CPUS; cpu++) {
		getcontext(&coroutine[cpu]);
		coroutine[cpu].uc_stack.ss_sp = stack[cpu];
		coroutine[cpu].uc_stack.ss_size = sizeof(stack[cpu]);
		coroutine[cpu].uc_link = NULL;
		makecontext(&coroutine[cpu], (void (*)(void))play_cpu, 1, cpu);
	}
	switch_to(first);

	runs++;
	steps[ROLLOVERS] += hw_rollovers();
	steps[RESERVED] += hw.reserved;
	longest = step > longest ? step : longest;
	for (cpu = 0; cpu < CPUS; cpu++) {
		if (pinned[cpu])
			pin(cpu);
		steps[FILLS] += hw.cpu[cpu].fills;
		steps[FLUSHES] += hw.cpu[cpu].flushes;
	}
	if (hw.a.nr_pinned)
		hw_violation("PinStays: %lu pins are left over", hw.a.nr_pinned);
	hw_destroy();
}

static void tell(void)
{
	print_script();
	tracing = true;
	run_once();
	tracing = false;
}

/* Run this schedule, and all that add one preemption to it. */
static bool explore(void)
{
	bool could[MAX_STEPS];
	unsigned int steps, i;

	run_once();
	if (hw.violations) {
		tell();
		return false;
	}
	if (nr_preemptions == max_preemptions)
		return true;

	steps = step;
	memcpy(could, preemptible, steps * sizeof(*could));
	i = nr_preemptions ? preemptions[nr_preemptions - 1] + 1 : 0;
	for (; i < steps; i++) {
		bool good;

		if (!could[i])
			continue;
		preemptions[nr_preemptions++] = i;
		good = explore();
		nr_preemptions--;
		if (!good)
			return false;
	}
	return true;
}

/* Get the next combination of steps. */
static bool next_script(void)
{
	unsigned int cpu, i;

	for (cpu = 0; cpu < CPUS; cpu++) {
		for (i = 0; i < nr_ops; i++) {
			if (++script[cpu][i] < OPS)
				return true;
			script[cpu][i] = 0;
		}
	}
	return false;
}

static bool makes_sense(void)
{
	unsigned int cpu, i;

	for (cpu = 0; cpu < CPUS; cpu++)
		for (i = 0; i < nr_ops; i++)
			if (script[cpu][i] == OUT && !hw.mode->out)
				return false;
	return true;
}

static bool explore_mode(const struct mode *mode)
{
	double began = clock();
	bool good = true;

	hw.mode = mode;
	hw.violations = 0;
	runs = 0;
	scenarios = 0;
	longest = 0;
	memset(steps, 0, sizeof(steps));
	memset(script, 0, sizeof(script));
	do {
		if (!makes_sense())
			continue;
		scenarios++;
		for (first = 0; good && first < CPUS; first++)
			good = explore();
	} while (good && next_script());

	printf("%9lu %9lu %7lu %7.1f  ", scenarios, runs, longest,
	       (clock() - began) / CLOCKS_PER_SEC);
	return hw_row(steps);
}

static int usage(void)
{
	fprintf(stderr, "explore [-l steps of a CPU, <= %u] [-k preemptions, <= %u] [-m mode]\n"
			"  -m  all that must hold (the default), bad (the others), or one of:",
		MAX_OPS, MAX_PREEMPTIONS);
	hw_print_modes();
	return 2;
}

int main(int argc, char **argv)
{
	const char *which = "all";
	unsigned int i;
	int opt;

	while ((opt = getopt(argc, argv, "l:k:m:h")) != -1) {
		switch (opt) {
		case 'l':
			nr_ops = hw_number(opt, 1, MAX_OPS);
			break;
		case 'k':
			max_preemptions = hw_number(opt, 0, MAX_PREEMPTIONS);
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

	for (i = FRESH + 1; i < 1 << IDGEN_MIN_BITS; i++)
		hw.excluded[i] = true;
	printf("%u CPUs, %u steps each, up to %u preemptions\n", CPUS, nr_ops, max_preemptions);
	printf("%9s %9s %7s %7s  ", "scenarios", "schedules", "longest", "seconds");
	return hw_run_modes(which, explore_mode, usage);
}
