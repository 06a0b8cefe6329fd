/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Model of the hardware around the allocator: CPUs with a translation register
 * and a TLB, and contexts with page tables. Checks the invariants by name.
 */
#ifndef _IDGEN_HW_H
#define _IDGEN_HW_H

#include <linux/idgen_alloc.h>

#define MAX_CPUS	16
#define MAX_CONTEXTS	256
/* The last generation, which has all bits of a generation set. */
#define LAST_GEN	(IDGEN_TAKEN - IDGEN_GEN_STEP)

/* When a CPU walks the tables in its register speculatively. */
enum walk {
	/*
	 * At any time, as for ASIDs: the kernel runs in the translation regime
	 * whose TTBR0 has the ASID.
	 */
	WALK_ALWAYS,
	/*
	 * Only while the context runs, as for VMIDs: a CPU at EL2 starts no walk
	 * of the EL1&0 regime, which is out of context (A3).
	 */
	WALK_RUNNING,
};

struct context {
	idgen_atomic_t value;
	refcount_t pins;
	/* Unique number of the context that uses this struct. */
	u32 serial;
	/* State of a page table entry, incremented by each unmap. */
	u32 version;
	/* Number of CPUs and callers that use it; -1 while it is replaced. */
	int users;
};

struct entry {
	u32 serial;
	u32 version;
};

struct hw_cpu {
	pthread_mutex_t lock;
	/* The register. NULL means that there are no tables to walk. */
	struct context *ctx;
	u64 id;
	/* From the write of the register until the next switch begins. */
	bool running;
	/* Has flushed its TLB, which the next trace event must report. */
	bool flushed;
	/* All CPUs point to one TLB if they share it. */
	struct entry *tlb;
	unsigned long fills;
	unsigned long flushes;
	/* Generation in which it was scheduled out, or 0. */
	idgen_value_t out_since;
} __aligned(128);

struct hw {
	struct idgen_alloc a;
	struct idgen_slot slot[MAX_CPUS];
	struct hw_cpu cpu[MAX_CPUS];
	unsigned int nr_cpus;
	const struct mode *mode;
	/* Those of the mode, without exclude_ids() if nothing is excluded. */
	struct idgen_ops ops;
	bool up;
	idgen_value_t began;
	/* The program calls idgen_alloc_update_excluded(). */
	bool updates;
	/* Excluded IDs. */
	bool excluded[1 << IDGEN_ID_BITS];
	unsigned long violations;
	/* Contexts that kept an ID that was reserved for another CPU. */
	unsigned long reserved;
	u32 last_serial;
};

/* How an architecture uses the allocator. */
struct mode {
	const char *name;
	const struct idgen_ops *ops;
	enum walk walk;
	/* Each switch comes after a sched out. */
	bool out;
	/* Must violate an invariant. */
	bool bad;
	/* Sched out clears the register before the slot. */
	bool first;
	/* All CPUs share one TLB (CnP). */
	bool cnp;
	/* CPUs hit entries in the TLBs of all other CPUs. */
	bool ftlb;
	/* A switch invalidates its ID everywhere while a flush is pending. */
	bool ginvt;
};

/* Whether a CPU walks its previous context after sched out. */
bool mode_walks_on(const struct mode *mode);

/* Counted steps. Each step that is possible in a mode must happen. */
enum { SWITCHES, ROLLOVERS, RESERVED, OUTS, PINS, BIRTHS, UNMAPS, UPDATES,
	FILLS, FLUSHES, NR_STEPS };

extern struct hw hw;
/*
 * The CPU of this thread, which flush_cpu() flushes. Negative before the start.
 * Threads that are no CPU have numbers above those of CPUs.
 */
extern __thread int self;

/* Initialise. The first generation is @before generations before the last. */
void hw_init(unsigned int cpus, unsigned int bits, const struct mode *mode,
	     unsigned int before);
void hw_destroy(void);

void hw_birth(struct context *ctx, idgen_value_t value);
void hw_leave(int cpu);
void hw_sched_out(int cpu);
void hw_enter(int cpu, struct context *ctx);
void hw_clear(int cpu);
void hw_fill(int cpu);
/* Returns whether @ctx had an ID. */
bool hw_unmap(struct context *ctx);

void hw_violation(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Exit with 1 in @seconds, unless called again before. */
void hw_watchdog(unsigned int seconds);

/* Number of rollovers since hw_init(). */
unsigned long hw_rollovers(void);
/* Print a row of the table. Returns whether it is as expected. */
bool hw_row(const unsigned long *steps);
/* Print the names of all modes, for a usage text. */
void hw_print_modes(void);
/*
 * Print the table and run mode @name, or "all" that must hold, or the "bad"
 * ones. Returns the exit status. If there is no such mode, it is that of usage().
 */
int hw_run_modes(const char *name, bool (*run)(const struct mode *mode), int (*usage)(void));
/* Parse the number of an option. Exits with 2 if it is out of range. */
u64 hw_number(int option, u64 min, u64 max);

/* Provided by the program: whether a CPU walks now, where it may. */
bool hw_walks_now(void);

#endif /* _IDGEN_HW_H */
