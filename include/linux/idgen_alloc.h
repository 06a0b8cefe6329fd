/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Allocator of generation-tagged IDs for TLB entries (ASIDs, VMIDs).
 *
 * The algorithm is that of arch/arm64/mm/context.c, which is
 *
 * Copyright (C) 2002-2003 Deep Blue Solutions Ltd, all rights reserved.
 * Copyright (C) 2012 ARM Ltd.
 *
 * This header holds the fast paths. The head of lib/idgen_alloc.c describes the
 * algorithm, and Documentation/core-api/idgen_alloc.rst how to use it.
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
 * A value is an ID in the low bits and a generation above it. The split is
 * constant, so that a switch need not load it. An allocator with fewer ID bits
 * leaves the upper ones zero. The top bit is IDGEN_TAKEN in a slot, and zero in
 * a context's value.
 *
 * Values have 64 bits, or 32 bits with CONFIG_IDGEN_ALLOC_32. With 32 bits,
 * generations wrap sooner: see "Generation wraparound" in
 * Documentation/core-api/idgen_alloc.rst.
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
/* A rollover has taken the slot. Its CPU must take the slow path next. */
#define IDGEN_TAKEN \
	((idgen_value_t)1 << (8 * sizeof(idgen_value_t) - 1))
/* The minimum number of ID bits. */
#define IDGEN_MIN_BITS		4

struct idgen_alloc;

/*
 * Sched out needs no atomic operation if it can store the 16-bit ID alone. That
 * is not possible where 64-bit atomics may take a lock (32-bit machines,
 * parisc), as the store would bypass the lock.
 */
#if defined(CONFIG_64BIT) && !defined(CONFIG_PARISC) && IDGEN_ID_BITS == 16
#define IDGEN_STORE_ID		1
#else
#define IDGEN_STORE_ID		0
#endif

/**
 * struct idgen_slot - per-CPU state scanned by rollovers
 * @active: The value that the CPU runs, with ID 0 while scheduled out.
 * @id: The ID bits of @active, if %IDGEN_STORE_ID is set. Sched out clears it.
 * @reserved: The value that the CPU keeps over rollovers, or one with ID 0.
 *
 * A rollover sets %IDGEN_TAKEN in @active and copies the value to @reserved. If
 * the slot is taken already and has an ID, @reserved stays: the CPU still runs
 * what an earlier rollover reserved. Only the slow path of the slot's own CPU
 * clears %IDGEN_TAKEN. While the slot is not taken, @active has the current
 * generation. The exception is a rollover that has not reached the slot yet.
 *
 * @reserved is protected by the allocator's lock. It is updated whenever its
 * context moves to a later generation.
 *
 * idgen_alloc_init() initialises slots.
 */
struct idgen_slot {
	union {
		idgen_atomic_t active;
		struct {
#if IDGEN_STORE_ID && defined(CONFIG_CPU_BIG_ENDIAN)
			/* private: upper bits of @active */
			u16 __generation[3];
			/* public: */
#endif
			u16 id;
		};
	};
	idgen_value_t reserved;
} __aligned(2 * sizeof(idgen_value_t));

/**
 * struct idgen_ops - architecture callbacks
 * @name: Short name for messages and the boot parameter idgen_alloc.bits=.
 * @pins: Allow idgen_alloc_pin(), at the cost of a second map.
 * @provisional: @exclude_ids may exclude too much at first.
 * @exclude_ids: Set the bits of IDs that must never be allocated.
 * @flush_all: Flush the TLB entries of all IDs on all CPUs.
 * @flush_cpu: Flush the TLB entries of all IDs on the calling CPU.
 * @new_id: Called before a context gets an ID that it did not have.
 *
 * At least one of @flush_all and @flush_cpu is required. If both are set, both
 * are called. They complete the flush before they return. @flush_all is called
 * once per rollover, after all slots are taken and before any ID of the new
 * generation is in use. @flush_cpu is called in a CPU's first switch after a
 * rollover, before its slot shows an ID of the new generation.
 *
 * @exclude_ids may be NULL. Its map is clear and has 2^bits bits. ID 0 is
 * always excluded. idgen_alloc_init() calls it once or more; the number of bits
 * never decreases between calls. idgen_alloc_update_excluded() calls it again
 * with the lock held. Until then a @provisional allocator refuses pins.
 *
 * @new_id may be NULL. It requires %CONFIG_IDGEN_ALLOC_NEW_ID. No CPU runs the
 * context. The value at @ctx is still the old one, 0 if it never had an ID.
 *
 * Context: @flush_all, @flush_cpu and @new_id are called with the allocator's
 * lock held and interrupts off, and so is @exclude_ids by
 * idgen_alloc_update_excluded(). They must not sleep, call the allocator, or
 * wait for another CPU that may be in it.
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
 * struct idgen_alloc - allocator of generation-tagged IDs
 * @lock: Serialises everything but the fast paths; taken with interrupts off.
 * @generation: The current generation, a multiple of %IDGEN_GEN_STEP, never 0.
 * @cursor: The ID at which a search of @map starts; all lower ones are set.
 * @nr_pinned: The number of pinned contexts.
 * @max_pinned: The limit of @nr_pinned; 0 while it is not known.
 * @usable: The number of IDs that a generation can allocate.
 * @bits: The number of ID bits in use.
 * @nr_slots: The number of slots, one for each possible CPU.
 * @map: IDs that are in use, reserved, pinned or excluded in this generation.
 * @base: IDs that are pinned or excluded; NULL if that can only be ID 0.
 * @hint: Bit (ID mod @hint_size) is set if a slot may have reserved that ID.
 * @hint_size: The number of bits in @hint, a power of two.
 * @slots: The addresses of all slots, for scans with the lock held.
 * @ops: The architecture callbacks.
 *
 * @lock protects @generation, @cursor, @nr_pinned and the contents of the maps.
 * The rest changes in idgen_alloc_init(), idgen_alloc_update_excluded() and
 * idgen_alloc_destroy() only. The fast paths read no member.
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
 * Only tests and a modular KVM initialise allocators after boot. The
 * definitions of the functions below have no __idgen_init, which kernel-doc
 * does not parse.
 */
#if IS_ENABLED(CONFIG_IDGEN_ALLOC_KUNIT_TEST) || IS_MODULE(CONFIG_KVM)
#define __idgen_init
#else
#define __idgen_init __init
#endif

int __idgen_init idgen_alloc_init(struct idgen_alloc *a,
				  const struct idgen_ops *ops,
				  unsigned int bits,
				  struct idgen_slot __percpu *slots);
void __idgen_init idgen_alloc_destroy(struct idgen_alloc *a);
int __idgen_init idgen_alloc_update_excluded(struct idgen_alloc *a);
unsigned long idgen_alloc_pin(struct idgen_alloc *a, idgen_atomic_t *ctx,
			      refcount_t *pins);
void idgen_alloc_unpin(struct idgen_alloc *a, idgen_atomic_t *ctx,
		       refcount_t *pins);

void __idgen_alloc_switch(struct idgen_alloc *a, struct idgen_slot *slot,
			  idgen_atomic_t *ctx, refcount_t *pins);

/**
 * idgen_alloc_nr() - number of IDs, including ID 0 and excluded ones
 * @a: the allocator
 *
 * Context: Any.
 * Return: 2^bits for the bits in use. All IDs are less than that.
 */
static inline unsigned long idgen_alloc_nr(const struct idgen_alloc *a)
{
	return 1UL << a->bits;
}

/*
 * Second half of the fast path: replace @old in @slot by @value. Fails if a
 * rollover has taken the slot, or if the generations of @old and @value differ.
 *
 * Tests call it directly, to let a rollover happen between the two halves.
 */
static __always_inline bool
__idgen_alloc_replace(struct idgen_slot *slot, idgen_value_t old,
		      idgen_value_t value)
{
	/*
	 * The slot has the generation that its CPU uses, so there is no need to
	 * read the current one. A taken slot matches no context, and a context
	 * that never had an ID (0) matches no slot.
	 *
	 * Pairs with fetch_or_relaxed in take_slot(). The two are ordered, as
	 * they are read-modify-write operations on one location. If the
	 * rollover is first, IDGEN_TAKEN is seen here. If it is second, it
	 * finds @value and reserves it. A store or an xchg could overwrite
	 * IDGEN_TAKEN: commit a8ffaaa060b8 fixed that bug in arm64.
	 */
	return likely(!((old ^ value) >> IDGEN_ID_BITS)) &&
	       !(idgen_atomic(cmpxchg_relaxed)(&slot->active, old, value) &
		 IDGEN_TAKEN);
}

/**
 * idgen_alloc_switch() - give a context an ID before this CPU runs it
 * @a: the allocator
 * @slot: this CPU's slot
 * @ctx: the context's value, 0 if it never had an ID
 * @pins: the context's pin count, or NULL if contexts of @a have none
 *
 * After the return, @ctx has an ID, which is the same on all CPUs. The ID stays
 * until this CPU switches again or calls idgen_alloc_sched_out(). From then on,
 * a rollover may take it away. The generation of @ctx may change at any time.
 * Read the ID from @ctx after the return, and only then write it to the
 * hardware.
 *
 * From before the call until that write, the CPU must not walk the previous
 * tables. A rollover may reuse the previous ID as soon as the slot has the new
 * one. An entry that is loaded after the flush of that rollover stays. This
 * does not apply if each CPU flushes its own TLB (&idgen_ops.flush_cpu) and
 * shares it with no other CPU. With CnP, CPUs of arm64 share TLBs.
 *
 * Ordering: None on the fast path. The slow path takes the lock, so it sees all
 * stores of the last rollover, and it completes the pending flush. If it stores
 * a new ID, a full barrier (mb()) orders that store before walks of the
 * context's tables with the ID.
 *
 * Context: Preemption disabled. An interrupt must not use the same slot. May
 * take the lock with interrupts off. Panics if a rollover finds no free ID.
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
 * idgen_alloc_sched_out() - mark this CPU's context scheduled out
 * @slot: this CPU's slot
 *
 * From now on, rollovers do not reserve the context's ID for this CPU. A
 * rollover that does not see the store yet still reserves it.
 *
 * Call this only if the hardware loads no TLB entries with that ID afterwards.
 * Without the call, the slot keeps the ID (lazy TLB).
 *
 * After the call, the slot has ID 0, which no context has. It keeps its
 * generation, so the next switch can still take the fast path.
 *
 * Ordering: None.
 *
 * Context: As idgen_alloc_switch(), but takes no lock. Harmless if no context
 * runs on this CPU.
 */
static __always_inline void idgen_alloc_sched_out(struct idgen_slot *slot)
{
	/*
	 * Keep the generation, which the next switch compares, and IDGEN_TAKEN.
	 * Neither shares a byte with the ID, so the store cannot overwrite the
	 * fetch_or_relaxed of a rollover. "Memory ordering" in
	 * Documentation/core-api/idgen_alloc.rst says why mixing access sizes
	 * is safe. Queued spinlocks clear their pending byte in the same way.
	 */
	if (IDGEN_STORE_ID)
		WRITE_ONCE(slot->id, 0);
	else
		idgen_atomic(andnot)(IDGEN_ID_MASK, &slot->active);
}

#endif /* _LINUX_IDGEN_ALLOC_H */
