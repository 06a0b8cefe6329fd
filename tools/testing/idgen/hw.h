/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The hardware around the allocator: CPUs with a translation register and a TLB,
 * contexts with page tables, and what must always hold, by name.
 */
#ifndef _IDGEN_HW_H
#define _IDGEN_HW_H

#include <linux/idgen_alloc.h>

#define MAX_CPUS	16
#define MAX_CONTEXTS	256
/* After it comes the first again. It has all the bits that generations have. */
#define LAST_GEN	(IDGEN_TAKEN - IDGEN_GEN_STEP)

/* Whether and when a CPU walks tables on its own for what its register holds. */
enum walk {
	/*
	 * At any time. So do ASIDs: the kernel runs in the very translation regime
	 * whose TTBR0 holds the ASID.
	 */
	WALK_ALWAYS,
	/*
	 * Only while the context runs. So do VMIDs by what the Arm architecture
	 * says of translation regimes that are out of context: a CPU at EL2 makes
	 * no new walks of the EL1&0 regime of its own accord, and entering EL2 is
	 * a context synchronisation event. An assumption, not checked here.
	 */
	WALK_RUNNING,
};

struct context {
	idgen_atomic_t value;
	refcount_t pins;
	/* Tells contexts apart that use this struct one after the other. */
	u32 serial;
	/* State of a page-table entry: raised when it is unmapped. */
	u32 version;
	/* CPUs and callers that hold on to it; -1 while it is being reborn. */
	int users;
};

struct entry {
	u32 serial;
	u32 version;
};

struct hw_cpu {
	pthread_mutex_t lock;
	/* The register. NULL: cleared, there are no tables to walk. */
	struct context *ctx;
	u64 id;
	/* From the register's write to the call that asks for another context. */
	bool running;
	/* It flushed for itself, and the trace has yet to say so. */
	bool flushed;
	/* One for all CPUs where they share it. */
	struct entry *tlb;
	unsigned long fills;
	unsigned long flushes;
	/* Scheduled out in this generation; 0 if it is not, or if nobody tells. */
	idgen_value_t out_since;
} __aligned(128);

struct hw {
	struct idgen_alloc a;
	struct idgen_slot slot[MAX_CPUS];
	struct hw_cpu cpu[MAX_CPUS];
	unsigned int nr_cpus;
	const struct mode *mode;
	/* The mode's, without exclude_ids() if it would rule out nothing. */
	struct idgen_ops ops;
	bool up;
	idgen_value_t began;
	/* Whether the program calls idgen_alloc_update_excluded(), if that would. */
	bool updates;
	/* IDs that exclude_ids() rules out. */
	bool never[1 << IDGEN_ID_BITS];
	unsigned long violations;
	u32 last_serial;
};

/* How an architecture uses the allocator, and whether that is expected to hold. */
struct mode {
	const char *name;
	const struct idgen_ops *ops;
	enum walk walk;
	/* Sched out; each switch comes after one. */
	bool out;
	bool bad;
	/* The register is cleared before the slot gives up what it had. */
	bool first;
	/* All CPUs are one TLB (CnP). */
	bool cnp;
	/* CPUs hit entries in the TLBs of all others. */
	bool ftlb;
	/* A switch drops them for its ID while another CPU has a flush pending. */
	bool ginvt;
};

#define NR_MODES	17
extern const struct mode modes[NR_MODES];
/* What @name is: a mode, "all" that are expected to hold, or "bad" for the rest. */
bool mode_is(const struct mode *mode, const char *name);
/* Whether a CPU that is sched out still walks what it ran. */
bool mode_walks_on(const struct mode *mode);

/* What a program counts. Each step that a mode can do must happen. */
enum { SWITCHES, ROLLOVERS, RESERVED, OUTS, PINS, BIRTHS, UNMAPS, UPDATES, FILLS, FLUSHES,
	NR_STEPS };

extern struct hw hw;
/* The CPU that the caller plays, which is also whom the local flush is for. */
extern __thread int self;

/* The allocator starts @before generations before the last. */
void hw_init(unsigned int cpus, unsigned int bits, const struct mode *mode,
	     unsigned int before);
void hw_destroy(void);

void hw_birth(struct context *ctx, idgen_value_t value);
void hw_leave(int cpu);
void hw_sched_out(int cpu);
void hw_enter(int cpu, struct context *ctx);
void hw_clear(int cpu);
void hw_fill(int cpu);
/* Returns whether there was an ID to drop entries of. */
bool hw_unmap(struct context *ctx);

void hw_violation(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Since hw_init(). */
unsigned long hw_rollovers(void);
/* A table of the modes: its heading, and a row; whether that is as expected. */
void hw_heading(void);
bool hw_row(const unsigned long *steps);
/* The last line of a program, and what it exits with. */
int hw_verdict(unsigned int modes, unsigned int failed);
/* An option's number; exits with 2 if it is none, or out of range. */
unsigned int hw_number(int option, unsigned int min, unsigned int max);

/* The program's: whether a CPU walks right now, where the hardware may choose. */
bool hw_walks_now(void);

#endif /* _IDGEN_HW_H */
