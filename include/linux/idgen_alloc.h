/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Generation-tagged IDs for TLB entries (ASIDs, VMIDs).
 *
 * The algorithm is that of arch/arm64/mm/context.c, which is
 *
 * Copyright (C) 2002-2003 Deep Blue Solutions Ltd, all rights reserved.
 * Copyright (C) 2012 ARM Ltd.
 *
 * This header holds the part that runs at every switch. lib/idgen_alloc.c tells
 * how the whole works; Documentation/core-api/idgen_alloc.rst how to use it.
 */
#ifndef _LINUX_IDGEN_ALLOC_H
#define _LINUX_IDGEN_ALLOC_H

#include <linux/atomic.h>
#include <linux/compiler.h>
#include <linux/init.h>
#include <linux/percpu-defs.h>
#include <linux/refcount.h>
#include <linux/spinlock_types.h>
#include <linux/types.h>

/*
 * A value is a generation above an ID. The split is a constant, so that the
 * switch need not load it, and allocators with fewer bits leave the upper ID
 * bits zero. The top bit of a value is always zero: in a slot it is the mark
 * IDGEN_TAKEN.
 *
 * A value has 64 bits, or 32 where atomics of 64 bits would take a lock. With 32,
 * there are 2^22 - 1 generations before the first comes again: the head of
 * lib/idgen_alloc.c tells what that means.
 */
#if IS_ENABLED(CONFIG_IDGEN_ALLOC_32)
#define IDGEN_ID_BITS		9
#define idgen_atomic(op)	atomic_##op
typedef u32 idgen_value_t;
typedef atomic_t idgen_atomic_t;
#else
#define IDGEN_ID_BITS		16
#define idgen_atomic(op)	atomic64_##op
typedef u64 idgen_value_t;
typedef atomic64_t idgen_atomic_t;
#endif
#define IDGEN_GEN_STEP		((idgen_value_t)1 << IDGEN_ID_BITS)
#define IDGEN_ID_MASK		(IDGEN_GEN_STEP - 1)
#define IDGEN_FIRST_GEN		IDGEN_GEN_STEP
/* In a slot: a rollover has taken it. Its CPU must use the slow path next. */
#define IDGEN_TAKEN		((idgen_value_t)1 << (8 * sizeof(idgen_value_t) - 1))
/* Minimum number of ID bits. */
#define IDGEN_MIN_BITS		4

struct idgen_alloc;

/*
 * An ID of 16 bits can be stored without the rest of the value, so that sched out
 * needs no atomic operation. Not where 64-bit atomics may take a lock (32-bit
 * machines, parisc): such a store would bypass it.
 */
#if defined(CONFIG_64BIT) && !defined(CONFIG_PARISC) && IDGEN_ID_BITS == 16
#define IDGEN_STORE_ID		1
#else
#define IDGEN_STORE_ID		0
#endif

/**
 * struct idgen_slot - what one CPU tells rollovers about itself
 * @active: Value that the CPU runs, with ID 0 once it is scheduled out. A
 *	rollover adds %IDGEN_TAKEN. Without that mark the generation is the
 *	current one, or the one before it if the rollover has yet to come to
 *	this slot. With it the ID only tells whether the CPU still runs what is
 *	in @reserved. Only the slow path of the slot's own CPU clears the mark.
 * @id: The ID in @active, for sched out to clear.
 * @reserved: Value that the last rollover found in @active, kept over further
 *	rollovers for as long as the CPU runs it, and brought up to date
 *	whenever its context moves on to a later generation. Protected by the
 *	allocator's lock.
 *
 * Zero-filled memory will do: idgen_alloc_init() sets it.
 */
struct idgen_slot {
	union {
		idgen_atomic_t active;
		struct {
#if IDGEN_STORE_ID && defined(CONFIG_CPU_BIG_ENDIAN)
			/* private: the rest of @active */
			u16 __generation[3];
			/* public: */
#endif
			u16 id;
		};
	};
	idgen_value_t reserved;
} __aligned(2 * sizeof(idgen_value_t));

/**
 * struct idgen_ops - what an architecture does its own way
 * @name: Short name, for messages and the boot parameter idgen_alloc.bits=.
 * @pins: Whether idgen_alloc_pin() may be used. It costs a second map, which each
 *	rollover copies, also if nobody pins.
 * @exclude_ids: Set in @map, which is clear, the bit of every ID, from 1 to
 *	2^bits - 1, that must never be handed out. ID 0 never is. May be NULL. Called by
 *	idgen_alloc_init(), possibly more than once, each time for one bit more;
 *	and by idgen_alloc_update_excluded(), under the lock with interrupts off.
 * @provisional: Whether @exclude_ids may rule out too much to begin with, until
 *	idgen_alloc_update_excluded() is called. Until then no context can be pinned.
 * @flush_all: Drop the TLB entries of all IDs on all CPUs, and complete before
 *	returning. Called once in each rollover: after every slot was taken,
 *	before any ID of the new generation is out. NULL if @flush_cpu does.
 * @flush_cpu: Drop the TLB entries of all IDs on the CPU that calls, and complete
 *	before returning. Called at most once on each CPU in each generation except
 *	the first: by its first switch, before its slot shows an ID of that
 *	generation. NULL if @flush_all does.
 * @new_id: A context, whose value is at @ctx, gets another ID than it had, or its
 *	first; no CPU runs it. Called before the value says so. May be NULL. Users
 *	that have it select %CONFIG_IDGEN_ALLOC_NEW_ID, so that others need not ask.
 *
 * One of the two flushes is needed; with both, both are called. They, and @new_id,
 * run under the allocator's lock with interrupts off: they must not sleep, nor call
 * the allocator, nor wait for another CPU to make progress in it.
 */
struct idgen_ops {
	const char *name;
	bool pins;
	bool provisional;
	void (*exclude_ids)(struct idgen_alloc *a, unsigned long *map);
	void (*flush_all)(struct idgen_alloc *a);
	void (*flush_cpu)(struct idgen_alloc *a);
	void (*new_id)(struct idgen_alloc *a, idgen_atomic_t *ctx);
};

/**
 * struct idgen_alloc - an allocator of generation-tagged IDs
 * @lock: Serialises all but sched out and the fast path of switch. Taken with
 *	interrupts off.
 * @generation: Current generation, a multiple of %IDGEN_GEN_STEP, never 0.
 * @cursor: Every ID below it is set in @map; a search starts here.
 * @nr_pinned: Number of pinned contexts.
 * @max_pinned: Most contexts that can be pinned such that allocation succeeds; 0
 *	while it is not known.
 * @usable: Number of IDs that can be handed out in a generation.
 * @bits: ID bits in use: the hardware's, or fewer by idgen_alloc.bits=.
 * @nr_slots: Number of slots, one for each possible CPU.
 * @map: IDs not to be handed out in this generation: taken, reserved, pinned,
 *	or never handed out.
 * @base: What a fresh map starts from: IDs pinned or never handed out. NULL if
 *	that is ID 0 alone.
 * @hint: Bit (ID mod @hint_size) is set if a slot may have reserved that ID.
 * @hint_size: Number of bits in @hint, a power of two.
 * @slots: Where they are. A table, as rollovers and those who look for a reserved
 *	value go through all of them with the lock held.
 * @ops: What the architecture does its own way.
 *
 * @lock protects @generation, @cursor, @nr_pinned and the contents of the maps;
 * the rest changes in idgen_alloc_init(), idgen_alloc_update_excluded() and
 * idgen_alloc_destroy() only. The fast paths read none of it.
 */
struct idgen_alloc {
	raw_spinlock_t lock;
	idgen_value_t generation;
	unsigned long cursor;
	unsigned long nr_pinned;
	unsigned long max_pinned;
	unsigned long usable;
	unsigned int bits;
	unsigned int nr_slots;
	unsigned long *map;
	unsigned long *base;
	unsigned long *hint;
	unsigned long hint_size;
	struct idgen_slot **slots;
	const struct idgen_ops *ops;
};

/*
 * Allocators are set up at boot and stay; only tests, and modules, come later.
 * Not at definitions, where kernel-doc only knows __init.
 */
#if IS_ENABLED(CONFIG_IDGEN_ALLOC_KUNIT_TEST) || \
	IS_ENABLED(CONFIG_IDGEN_ALLOC_MODULAR)
#define __idgen_init
#else
#define __idgen_init __init
#endif

int __idgen_init idgen_alloc_init(struct idgen_alloc *a, const struct idgen_ops *ops,
				  unsigned int bits, struct idgen_slot __percpu *slots);
void __idgen_init idgen_alloc_destroy(struct idgen_alloc *a);
int __idgen_init idgen_alloc_update_excluded(struct idgen_alloc *a);
unsigned long idgen_alloc_pin(struct idgen_alloc *a, idgen_atomic_t *ctx,
			      refcount_t *pins);
void idgen_alloc_unpin(struct idgen_alloc *a, idgen_atomic_t *ctx, refcount_t *pins);

void __idgen_alloc_switch(struct idgen_alloc *a, struct idgen_slot *slot,
			  idgen_atomic_t *ctx, refcount_t *pins);

/**
 * idgen_alloc_nr() - number of IDs that the bits in use can express
 * @a: the allocator
 *
 * Context: Any.
 * Return: 2^bits; IDs are below it.
 */
static inline unsigned long idgen_alloc_nr(const struct idgen_alloc *a)
{
	return 1UL << a->bits;
}

/*
 * The second half of a switch's fast path: @slot held @old, the context @value,
 * when they were read; make the slot show @value, unless a rollover has come in
 * between or the two are of different generations. Returns whether it does.
 *
 * A part of its own so that tests can let a rollover happen between the halves.
 */
static __always_inline bool
__idgen_alloc_replace(struct idgen_slot *slot, idgen_value_t old,
		      idgen_value_t value)
{
	/*
	 * A slot that is not taken tells the generation of its CPU, so the
	 * current one need not be looked up. Nothing matches a slot that is
	 * taken, and a context that never had an ID (0) matches no slot.
	 *
	 * Pairs with the fetch_or_relaxed in idgen_take_slot(). Read-modify-
	 * writes of one location have one order: either the rollover comes
	 * first, then its mark is seen here, or it comes second, then it finds
	 * @value and reserves it. A plain store could hide its mark.
	 * (Linux commit a8ffaaa060b8 tells of that bug.)
	 */
	return likely(!((old ^ value) >> IDGEN_ID_BITS)) &&
	       !(idgen_atomic(cmpxchg_relaxed)(&slot->active, old, value) &
		 IDGEN_TAKEN);
}

/**
 * idgen_alloc_switch() - this CPU is about to run a context
 * @a: the allocator
 * @slot: this CPU's slot
 * @ctx: the context's value, 0 if it never had an ID
 * @pins: the context's pin count, or NULL if contexts here have none
 *
 * When it returns, @ctx has an ID, which this CPU's slot shows, so that rollovers
 * reserve it: it stays @ctx's own on all CPUs until this CPU switches again or is
 * sched out, and at least until the rollover after that. Call it before the
 * hardware is given the ID; read the ID from @ctx thereafter. Rollovers may raise
 * its generation at any time, but not change its number.
 *
 * From before this call until the hardware is given the ID, it must not walk the
 * tables that it had, unless every CPU flushes for itself (&idgen_ops.flush_cpu)
 * and none shares a TLB with another (CnP). For once the slot shows the new ID, a
 * rollover gives the old one away, and an entry made after its flush would stay.
 *
 * Ordering: none in the fast path. If a rollover was noticed, all that happened
 * before it on the CPU which ran it (lock, acquire) and the pending flush come
 * before the return. If the ID is new, its store and a full barrier (mb()) come
 * before the return, and so before walks of the context's tables with it.
 *
 * Context: Preemption disabled; must not be interrupted by another call with the
 * same slot. May take the lock, with interrupts off. Does not fail.
 */
static __always_inline void
idgen_alloc_switch(struct idgen_alloc *a, struct idgen_slot *slot,
		   idgen_atomic_t *ctx, refcount_t *pins)
{
	idgen_value_t old = idgen_atomic(read)(&slot->active);
	idgen_value_t value = idgen_atomic(read)(ctx);

	if (unlikely(!__idgen_alloc_replace(slot, old, value)))
		__idgen_alloc_switch(a, slot, ctx, pins);
}

/**
 * idgen_alloc_sched_out() - this CPU no longer runs its context
 * @slot: this CPU's slot
 *
 * From now on a rollover need not keep the context's ID for this CPU. Use it
 * only if the hardware makes no new TLB entries with that ID after the call:
 * otherwise leave the slot alone, which keeps the ID (lazy TLB). The slot is
 * left with ID 0 (KVM's INVALID_VMID), which no context ever has. The next
 * switch on this CPU takes the fast path, unless there was a rollover.
 *
 * If a rollover takes the slot before the store is visible to it, it keeps the
 * context's ID for one more generation.
 *
 * Ordering: none.
 *
 * Context: As idgen_alloc_switch(), but takes no lock. Harmless on a CPU that
 * never ran a context or is scheduled out already.
 */
static __always_inline void idgen_alloc_sched_out(struct idgen_slot *slot)
{
	/*
	 * Keeps the generation, which the next switch compares, and the mark of
	 * a rollover. Both are in other bytes than the ID, so the store cannot
	 * undo a rollover's fetch_or_relaxed. See "Memory ordering" in
	 * Documentation/core-api/idgen_alloc.rst for why the two sizes do not
	 * matter. Spinlocks clear their pending byte in the same way.
	 */
	if (IDGEN_STORE_ID)
		WRITE_ONCE(slot->id, 0);
	else
		idgen_atomic(andnot)(IDGEN_ID_MASK, &slot->active);
}

#endif /* _LINUX_IDGEN_ALLOC_H */
