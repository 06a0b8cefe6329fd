// SPDX-License-Identifier: GPL-2.0-only
/*
 * Allocator of generation-tagged IDs for TLB entries (ASIDs, VMIDs).
 *
 * The algorithm is that of arch/arm64/mm/context.c, which is
 *
 * Copyright (C) 2002-2003 Deep Blue Solutions Ltd, all rights reserved.
 * Copyright (C) 2012 ARM Ltd.
 *
 * Hardware tags TLB entries with an ID, so that a switch to another context (an
 * mm or a guest) needs no TLB flush. There are fewer IDs than contexts, so a
 * context owns its ID for one generation only. The value of a context holds an
 * ID and the generation in which the context got it. The ID is valid while that
 * generation is the current one. When no ID is left, a rollover starts the next
 * generation: all IDs become free, and TLBs are flushed.
 *
 * CPUs keep running guests and processes during a rollover, so what they run
 * must keep its ID. Each CPU has a slot that holds the value it runs:
 *
 *   switch	cmpxchg replaces the value by one of the same generation.
 *   sched out	A store, or a relaxed andnot, clears the ID and no other bit.
 *   rollover	fetch_or sets IDGEN_TAKEN. The value becomes reserved: its ID
 *		is set in the new map, and its context gets the same ID again.
 *   slow path	The lock is held. The context gets a value of the current
 *		generation. If the slot is taken, the CPU flushes. Then a store
 *		sets the value and clears IDGEN_TAKEN.
 *
 * The algorithm relies on two invariants:
 *
 *  - A slot without IDGEN_TAKEN holds a value of the newest generation that its
 *    CPU knows. The CPU can switch to any other value of that generation
 *    without reading shared state: no two contexts have the same ID in one
 *    generation, and this CPU has no TLB entry of a previous owner.
 *
 *  - A rollover sets IDGEN_TAKEN in every slot, and only the slow path of the
 *    slot's own CPU clears it. So the bit means that the CPU does not know the
 *    new generation yet, and that its own flush is pending if CPUs flush
 *    themselves. Nothing else records that.
 *
 * Switch and rollover are read-modify-write operations on the slot, so they
 * have a total order. A rollover sees each switch before its fetch_or. A later
 * switch sees IDGEN_TAKEN and takes the lock, which makes all stores of the
 * rollover visible. Slots need no other ordering.
 *
 * Sched out does not change IDGEN_TAKEN, so it cannot hide a rollover. A
 * rollover that takes the slot just before sched out reserves an ID that this
 * CPU no longer uses. The next rollover finds ID 0 and reserves nothing.
 *
 * A CPU may run one context through several rollovers without a switch. All but
 * the first rollover find its slot taken. They keep the reserved value as long
 * as the slot has an ID. When another CPU moves the context to a later
 * generation, it updates all reserved copies of the value. Otherwise the copies
 * would no longer match the context, which could then get a second ID.
 *
 * A stale context first tries its old ID. If the ID is free in the map, no CPU
 * has reserved it, as the map includes all reserved IDs. If the ID is set, a
 * CPU may have reserved it for this context, and only a scan of all slots can
 * tell. The cost of the scan grows with the number of CPUs, and it mostly finds
 * nothing: another context has taken the ID. The hint avoids most of these
 * scans. It is a bitmap in which bit (ID mod size) is set for each reserved ID.
 *
 * A pinned context keeps its ID through all rollovers: the ID is set in every
 * new map.
 *
 * The generation wraps to the first one, never to 0, after 2^47 - 1
 * generations, or 2^22 - 1 with 32-bit values. A context that sleeps that long
 * may mistake its stale value for a current one. "Generation wraparound" in
 * Documentation/core-api/idgen_alloc.rst says how likely that is.
 */
#define pr_fmt(fmt) "idgen_alloc: " fmt

#include <linux/bitmap.h>
#include <linux/bug.h>
#include <linux/cpumask.h>
#include <linux/idgen_alloc.h>
#include <linux/kernel.h>
#include <linux/log2.h>
#include <linux/moduleparam.h>
#include <linux/panic.h>
#include <linux/percpu.h>
#include <linux/printk.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#define CREATE_TRACE_POINTS
#include <trace/events/idgen.h>

#include "idgen_alloc_internal.h"

/*
 * Bits of the hint per possible CPU, before rounding up to a power of two. A
 * CPU reserves at most one ID, so at most 1 in 128 bits is set, and few useless
 * scans remain. If there are fewer IDs than bits, each ID has a bit of its own.
 */
#define HINT_BITS_PER_CPU	128

/* Of the users, only KVM and the KUnit suite can be modules. */
#if IS_MODULE(CONFIG_KVM)
#define EXPORT_SYMBOL_IF_MODULAR(s) \
	EXPORT_SYMBOL_FOR_MODULES(s, "kvm,idgen_alloc_kunit")
#else
#define EXPORT_SYMBOL_IF_MODULAR(s)	EXPORT_SYMBOL_IF_KUNIT(s)
#endif

/* The warning at boot, and the panic when no ID is left. */
#define TOO_FEW_IDS							\
	"idgen_alloc: %s: too few IDs: %lu usable, %u CPUs, %lu pinned\n"

static unsigned long id_of(idgen_value_t value)
{
	return value & IDGEN_ID_MASK;
}

static bool is_current(const struct idgen_alloc *a, idgen_value_t value)
{
	return (value & ~IDGEN_ID_MASK) == a->generation;
}

/* Warn once per invariant: it may stay violated. */
#define check(a, invariant, cond, fmt, ...)				\
	WARN_ONCE(IS_ENABLED(CONFIG_DEBUG_IDGEN_ALLOC) && !(cond),	\
		  "idgen_alloc: %s: " invariant " violated: " fmt,	\
		  (a)->ops->name, ##__VA_ARGS__)

/* Check all slots. Called with the lock held at the end of each slow path. */
static void check_slots(struct idgen_alloc *a)
{
	unsigned long nr = idgen_alloc_nr(a);
	unsigned int i;

	if (!IS_ENABLED(CONFIG_DEBUG_IDGEN_ALLOC))
		return;

	for (i = 0; i < a->nr_slots; i++) {
		struct idgen_slot *slot = a->slots[i];
		idgen_value_t active;

		/* The slot's CPU may replace it by another valid value. */
		active = idgen_atomic(read)(&slot->active);

		check(a, "ReservedInMap",
		      id_of(slot->reserved) < nr &&
		      test_bit(id_of(slot->reserved), a->map),
		      "slot %u reserved %#llx\n", i, (u64)slot->reserved);
		check(a, "ActiveInMap",
		      (active & IDGEN_TAKEN) ||
		      (is_current(a, active) && id_of(active) < nr &&
		       test_bit(id_of(active), a->map)),
		      "slot %u has %#llx in generation %#llx\n", i,
		      (u64)active, (u64)a->generation);
	}
}

/* Check the maps. Called with the lock held after a rollover, pin or unpin. */
static void check_maps(struct idgen_alloc *a)
{
	unsigned long nr = idgen_alloc_nr(a);

	if (!IS_ENABLED(CONFIG_DEBUG_IDGEN_ALLOC))
		return;

	check(a, "ExcludedInMap",
	      a->generation && !id_of(a->generation) && test_bit(0, a->map) &&
	      (!a->base || bitmap_subset(a->base, a->map, nr)),
	      "ID 0, a pinned or excluded ID is free, or bad generation %#llx\n",
	      (u64)a->generation);
	check(a, "PinsCounted",
	      a->nr_pinned <= a->max_pinned &&
	      (!a->base || bitmap_weight(a->base, nr) ==
			   nr - a->usable + a->nr_pinned),
	      "%lu pinned, the limit is %lu\n", a->nr_pinned, a->max_pinned);
}

/*
 * Take one slot for a rollover. Pairs with __idgen_alloc_replace(), which may
 * run on the slot's CPU. Returns the ID now reserved for that CPU, or 0.
 */
static unsigned long take_slot(struct idgen_slot *slot)
{
	idgen_value_t had = idgen_atomic(fetch_or_relaxed)(IDGEN_TAKEN,
							   &slot->active);

	/*
	 * If the slot was already taken and has an ID, its CPU has not switched
	 * since an earlier rollover and still runs what that one reserved. Keep
	 * @reserved: it is updated with the context's value, @active is not.
	 */
	if (!(had & IDGEN_TAKEN) || !id_of(had))
		slot->reserved = had & ~IDGEN_TAKEN;

	return id_of(slot->reserved);
}

/* Number of CPUs that keep their ID over the rollover in progress. */
static unsigned int nr_reserved(const struct idgen_alloc *a)
{
	unsigned int i, nr = 0;

	for (i = 0; i < a->nr_slots; i++)
		nr += !!id_of(a->slots[i]->reserved);
	return nr;
}

/*
 * Rollover: start the next generation. Called with the lock held. noinline, so
 * that the slow path saves fewer registers.
 */
static noinline void flush_context(struct idgen_alloc *a)
{
	/* Copies, as the compiler must assume that __set_bit() writes to @a. */
	struct idgen_slot **slot = a->slots, **end = slot + a->nr_slots;
	unsigned long *map = a->map, *hint = a->hint;
	unsigned long hint_mask = a->hint_size - 1;

	a->generation += IDGEN_GEN_STEP;
	if (unlikely(a->generation == IDGEN_TAKEN))
		a->generation = IDGEN_FIRST_GEN;

	if (a->base) {
		bitmap_copy(a->map, a->base, idgen_alloc_nr(a));
	} else {
		bitmap_zero(a->map, idgen_alloc_nr(a));
		__set_bit(0, a->map);
	}
	bitmap_zero(a->hint, a->hint_size);
	a->cursor = 0;

	for (; slot < end; slot++) {
		unsigned long id;

		idgen_before_take(*slot);
		id = take_slot(*slot);
		__set_bit(id, map);
		__set_bit(id & hint_mask, hint);
	}

	/*
	 * Not before all slots are taken. Until its slot is taken, a CPU can
	 * switch and load TLB entries for an ID that this rollover frees. From
	 * then on it only uses its reserved ID.
	 */
	if (a->ops->flush_all)
		a->ops->flush_all(a);
	if (trace_idgen_rollover_enabled())
		trace_idgen_rollover(a, nr_reserved(a));
	check_maps(a);
}

/* Whether a CPU may have reserved @id. False positives are rare. */
static bool may_be_reserved(const struct idgen_alloc *a, unsigned long id)
{
	return test_bit(id & (a->hint_size - 1), a->hint);
}

/*
 * Replace all reserved copies of @old by @value, and return whether there were
 * any. A copy that stays behind would not match the context's new value, and
 * the context would get a second ID later (see commit 0ebea8088095). noinline,
 * as above.
 */
static noinline bool check_update_reserved(struct idgen_alloc *a,
					   idgen_value_t old,
					   idgen_value_t value)
{
	struct idgen_slot **slot = a->slots, **end = slot + a->nr_slots;
	bool found = false;

	for (; slot < end; slot++) {
		if (unlikely((*slot)->reserved == old)) {
			(*slot)->reserved = value;
			found = true;
		}
	}
	return found;
}

/* Return a value of the current generation for @ctx, whose value is @old. */
static idgen_value_t new_context(struct idgen_alloc *a, idgen_atomic_t *ctx,
				 idgen_value_t old, refcount_t *pins)
{
	unsigned long nr = idgen_alloc_nr(a);
	unsigned long id = id_of(old);

	/*
	 * Keep an ID that is free, reserved for this context, or pinned. Check
	 * the pin last: the reserved copies of a pinned context need the update
	 * too.
	 */
	if (old && (!__test_and_set_bit(id, a->map) ||
		    (may_be_reserved(a, id) &&
		     check_update_reserved(a, old, a->generation | id)) ||
		    (pins && refcount_read(pins))))
		return a->generation | id;

	id = find_next_zero_bit(a->map, nr, a->cursor);
	if (id >= nr) {
		flush_context(a);
		id = find_next_zero_bit(a->map, nr, a->cursor);
		if (unlikely(id >= nr)) {
			/* Two contexts must not share an ID. */
			idgen_panic(TOO_FEW_IDS, a->ops->name, a->usable,
				    a->nr_slots, a->nr_pinned);
			/* Reached in KUnit tests only. */
			return a->generation;
		}
	}
	__set_bit(id, a->map);
	a->cursor = id + 1;

	if (IS_ENABLED(CONFIG_IDGEN_ALLOC_NEW_ID) && a->ops->new_id)
		a->ops->new_id(a, ctx);
	return a->generation | id;
}

/* Return the value of @ctx, moved to the current generation if it is stale. */
static idgen_value_t update_context(struct idgen_alloc *a, idgen_atomic_t *ctx,
				    idgen_value_t value, refcount_t *pins)
{
	lockdep_assert_held(&a->lock);

	if (!is_current(a, value)) {
		value = new_context(a, ctx, value, pins);
		idgen_atomic(set)(ctx, value);
	}
	return value;
}

/*
 * Store @value in this CPU's @slot, after the pending flush if there is one.
 * @old is the context's previous value, for the trace event.
 */
static void set_slot(struct idgen_alloc *a, struct idgen_slot *slot,
		     idgen_value_t old, idgen_value_t value)
{
	bool flush = (idgen_atomic(read)(&slot->active) & IDGEN_TAKEN) &&
		     a->ops->flush_cpu;

	lockdep_assert_held(&a->lock);

	if (flush)
		a->ops->flush_cpu(a);
	idgen_atomic(set)(&slot->active, value);
	trace_idgen_slow_path(a, old, value, flush);
	check_slots(a);
}

/* Slow path of idgen_alloc_switch(). */
void __idgen_alloc_switch(struct idgen_alloc *a, struct idgen_slot *slot,
			  idgen_atomic_t *ctx, refcount_t *pins)
{
	unsigned long flags;
	idgen_value_t old, value;

	raw_spin_lock_irqsave(&a->lock, flags);
	old = idgen_atomic(read)(ctx);
	/* Before set_slot(): this may roll over and make a flush pending. */
	value = update_context(a, ctx, old, pins);
	set_slot(a, slot, old, value);
	raw_spin_unlock_irqrestore(&a->lock, flags);

	/*
	 * Order the store of a new ID before page table walks with it. Pairs
	 * with the barrier of an unmap on another CPU, between its change of an
	 * entry and its read of the ID for the TLB invalidation. If that CPU
	 * reads the old ID, a walk here finds the changed entry. smp_mb() would
	 * not do: on arm64 and RISC-V it orders neither the write of a
	 * translation register nor the walks after it.
	 */
	mb();
}
EXPORT_SYMBOL_IF_MODULAR(__idgen_alloc_switch);

/**
 * idgen_alloc_pin() - make a context keep its ID until it is unpinned
 * @a: the allocator
 * @ctx: the context's value, 0 if it never had an ID
 * @pins: the context's pin count, initially 0; the same one that is passed to
 *	each switch to this context
 *
 * For contexts whose ID is given to hardware other than CPUs. Pins nest. Only
 * the first pin of a context counts towards the limit. The limit leaves one
 * usable ID for each possible CPU and one more, so that allocation succeeds.
 *
 * Ordering: A full barrier (mb()) follows the store of the ID to @ctx, as in
 * idgen_alloc_switch(). The lock orders the rest.
 *
 * Context: Any but NMI. Takes the lock with interrupts off. May roll over.
 * Return: The ID, 1 to 2^bits - 1. 0 if the limit is reached, if
 * &idgen_ops.pins is not set, or if &idgen_ops.provisional is set and
 * idgen_alloc_update_excluded() has not been called yet.
 */
unsigned long idgen_alloc_pin(struct idgen_alloc *a, idgen_atomic_t *ctx,
			      refcount_t *pins)
{
	unsigned long flags;
	idgen_value_t value = 0;

	raw_spin_lock_irqsave(&a->lock, flags);
	if (refcount_inc_not_zero(pins)) {
		value = idgen_atomic(read)(ctx);
	} else if (a->nr_pinned < a->max_pinned) {
		value = update_context(a, ctx, idgen_atomic(read)(ctx), pins);
		__set_bit(id_of(value), a->base);
		a->nr_pinned++;
		refcount_set(pins, 1);
		check_maps(a);
	}
	raw_spin_unlock_irqrestore(&a->lock, flags);
	/*
	 * A later switch to @ctx on this CPU may take the fast path, which has
	 * no barrier.
	 */
	mb();

	return id_of(value);
}
EXPORT_SYMBOL_IF_KUNIT(idgen_alloc_pin);

/**
 * idgen_alloc_unpin() - undo one idgen_alloc_pin() that returned an ID
 * @a: the allocator
 * @ctx: the context's value
 * @pins: the context's pin count
 *
 * After the last unpin, the context keeps its ID at least until the next
 * rollover if its value is of the current generation. Otherwise the next switch
 * to it may give it another ID. Warns and changes nothing if the context is not
 * pinned.
 *
 * Ordering: That of the lock.
 *
 * Context: Any but NMI. Takes the lock with interrupts off.
 */
void idgen_alloc_unpin(struct idgen_alloc *a, idgen_atomic_t *ctx,
		       refcount_t *pins)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&a->lock, flags);
	/*
	 * A single pin is common, and needs no call. refcount_dec_not_one()
	 * decrements any other count, but warns about 0 and keeps it.
	 */
	if (likely(refcount_read(pins) == 1) || !refcount_dec_not_one(pins)) {
		refcount_set(pins, 0);
		__clear_bit(id_of(idgen_atomic(read)(ctx)), a->base);
		a->nr_pinned--;
		check_maps(a);
	}
	raw_spin_unlock_irqrestore(&a->lock, flags);
}
EXPORT_SYMBOL_IF_KUNIT(idgen_alloc_unpin);

/*
 * A rollover may reserve an ID for each possible CPU, and one more must be
 * free. Too few IDs are no error: firmware may count CPUs that never come up.
 */
static bool __idgen_init enough_ids(const struct idgen_alloc *a)
{
	return a->usable > a->nr_slots;
}

/*
 * Set the bits of ID 0 and of excluded IDs in @map. Clear all others, and count
 * them in @usable.
 */
static void __idgen_init exclude_ids(struct idgen_alloc *a, unsigned long *map)
{
	unsigned long nr = idgen_alloc_nr(a);

	bitmap_zero(map, nr);
	if (a->ops->exclude_ids)
		a->ops->exclude_ids(a, map);
	__set_bit(0, map);
	a->usable = nr - bitmap_weight(map, nr);
}

/*
 * Called once @usable is known. Limit the pins to leave an ID for each CPU and
 * a free one. Warn if there are too few IDs for that.
 */
static void __idgen_init limit_pins(struct idgen_alloc *a)
{
	unsigned long others = a->nr_slots + 1;

	if (a->ops->pins)
		a->max_pinned = max(a->usable, others) - others;
	WARN(!enough_ids(a), TOO_FEW_IDS, a->ops->name, a->usable, a->nr_slots,
	     a->nr_pinned);
}

VISIBLE_IF_KUNIT unsigned long * __idgen_init
idgen_bitmap_zalloc(unsigned long nbits)
{
	KUNIT_STATIC_STUB_REDIRECT(idgen_bitmap_zalloc, nbits);
	return bitmap_zalloc(nbits, GFP_KERNEL);
}
EXPORT_SYMBOL_IF_KUNIT(idgen_bitmap_zalloc);

/*
 * The boot parameter of test kernels: with fewer bits, every few contexts cause
 * a rollover.
 */
#if IS_ENABLED(CONFIG_DEBUG_IDGEN_ALLOC) || \
	IS_ENABLED(CONFIG_IDGEN_ALLOC_KUNIT_TEST)

VISIBLE_IF_KUNIT char *idgen_bits_param;
EXPORT_SYMBOL_IF_KUNIT(idgen_bits_param);

VISIBLE_IF_KUNIT int idgen_set_bits(const char *val,
				    const struct kernel_param *kp)
{
	if (idgen_bits_param)
		pr_warn("bits=%s replaces bits=%s\n", val, idgen_bits_param);
	return param_set_charp(val, kp);
}
EXPORT_SYMBOL_IF_KUNIT(idgen_set_bits);

static const struct kernel_param_ops bits_ops = {
	.set = idgen_set_bits,
	.get = param_get_charp,
};
module_param_cb(bits, &bits_ops, &idgen_bits_param, 0444);
MODULE_PARM_DESC(bits, "Lower the ID bits: <allocator>:<bits>[,...]");

/* The number of bits that the parameter asks for, or that of the hardware. */
static unsigned int __idgen_init wanted_bits(const struct idgen_alloc *a)
{
	size_t len = strlen(a->ops->name);
	const char *s = idgen_bits_param;
	unsigned int bits;
	char end;

	for (; s; s = strchr(s, ',')) {
		s += *s == ',';
		if (strncmp(s, a->ops->name, len) || s[len] != ':')
			continue;
		/* Parse two digits at most, so that no number can wrap. */
		end = ',';
		if (sscanf(s + len, ":%2u%c", &bits, &end) >= 1 && end == ',' &&
		    bits >= IDGEN_MIN_BITS && bits <= a->bits)
			return bits;
		pr_warn("bits=%.*s ignored: %s has %u to %u\n",
			(int)strcspn(s, ","), s, a->ops->name, IDGEN_MIN_BITS,
			a->bits);
	}
	return a->bits;
}

/* Use the requested number of bits, or more if the possible CPUs need more. */
static void __idgen_init lower_bits(struct idgen_alloc *a)
{
	unsigned int bits = a->bits;

	for (a->bits = wanted_bits(a); a->bits < bits; a->bits++) {
		exclude_ids(a, a->map);
		if (enough_ids(a))
			break;
	}
	if (idgen_bits_param)
		pr_info("%s: using %u bits of %u\n", a->ops->name, a->bits,
			bits);
}

#else

static void __idgen_init lower_bits(struct idgen_alloc *a)
{
}

#endif

/* idgen_alloc_init() without the slots. */
static int __idgen_init set_up(struct idgen_alloc *a,
			       const struct idgen_ops *ops, unsigned int bits,
			       unsigned int nr_slots)
{
	bool base = ops->pins || ops->exclude_ids;

	memset(a, 0, sizeof(*a));
	if (bits < IDGEN_MIN_BITS || bits > IDGEN_ID_BITS ||
	    (!ops->flush_all && !ops->flush_cpu))
		return -EINVAL;

	raw_spin_lock_init(&a->lock);
	a->generation = IDGEN_FIRST_GEN;
	a->bits = bits;
	a->nr_slots = nr_slots;
	a->ops = ops;
	a->hint_size = min(idgen_alloc_nr(a),
			   roundup_pow_of_two(nr_slots) * HINT_BITS_PER_CPU);

	a->slots = kcalloc(nr_slots, sizeof(*a->slots), GFP_KERNEL);
	a->map = idgen_bitmap_zalloc(idgen_alloc_nr(a));
	a->hint = idgen_bitmap_zalloc(a->hint_size);
	if (base)
		a->base = idgen_bitmap_zalloc(idgen_alloc_nr(a));
	if (!a->slots || !a->map || !a->hint || (base && !a->base)) {
		idgen_alloc_destroy(a);
		return -ENOMEM;
	}

	lower_bits(a);
	exclude_ids(a, a->map);
	if (base)
		bitmap_copy(a->base, a->map, idgen_alloc_nr(a));
	if (!ops->provisional)
		limit_pins(a);
	return 0;
}

static void __idgen_init add_slot(struct idgen_alloc *a, unsigned int i,
				  struct idgen_slot *slot)
{
	/* As after sched out: nothing to reserve, and no flush pending. */
	idgen_atomic(set)(&slot->active, IDGEN_FIRST_GEN);
	slot->reserved = IDGEN_FIRST_GEN;
	a->slots[i] = slot;
}

/**
 * idgen_alloc_init() - initialise an allocator
 * @a: the allocator
 * @ops: the architecture's callbacks; must outlive the allocator
 * @bits: ID bits of the hardware, %IDGEN_MIN_BITS to %IDGEN_ID_BITS
 * @slots: one slot for each possible CPU
 *
 * The boot parameter idgen_alloc.bits= of test kernels can lower the number of
 * bits, but not below what the possible CPUs need.
 *
 * Warns if there are no more usable IDs than possible CPUs. No context can be
 * pinned in that case. The allocator works nevertheless, as some of these CPUs
 * may never come up. A rollover that finds no free ID panics. With
 * &idgen_ops.provisional, the warning waits for idgen_alloc_update_excluded().
 *
 * Ordering: None. The caller has to publish @a to its users.
 *
 * Context: Process context. At boot (__init) unless the user is modular. May
 * sleep. cpu_possible_mask is final. @a and @slots are not in use.
 * Return: 0 on success. -EINVAL if @bits is out of range or if @ops has no
 * flush callback. -ENOMEM if memory is short. After an error, there is nothing
 * to destroy.
 */
int idgen_alloc_init(struct idgen_alloc *a, const struct idgen_ops *ops,
		     unsigned int bits, struct idgen_slot __percpu *slots)
{
	unsigned int cpu, i = 0;
	int ret;

	ret = set_up(a, ops, bits, num_possible_cpus());
	if (ret)
		return ret;

	for_each_possible_cpu(cpu)
		add_slot(a, i++, per_cpu_ptr(slots, cpu));
	return 0;
}
EXPORT_SYMBOL_IF_MODULAR(idgen_alloc_init);

#if IS_ENABLED(CONFIG_IDGEN_ALLOC_KUNIT_TEST)

typeof(idgen_panic) idgen_panic = panic;
EXPORT_SYMBOL_IF_KUNIT(idgen_panic);

static void do_nothing(struct idgen_slot *slot)
{
}

typeof(idgen_before_take) idgen_before_take = do_nothing;
EXPORT_SYMBOL_IF_KUNIT(idgen_before_take);

/* idgen_alloc_init() for simulated CPUs 0 to @nr - 1 with slots in an array. */
int idgen_alloc_init_array(struct idgen_alloc *a, const struct idgen_ops *ops,
			   unsigned int bits, struct idgen_slot *array,
			   unsigned int nr)
{
	unsigned int i;
	int ret;

	ret = set_up(a, ops, bits, nr);
	for (i = 0; !ret && i < nr; i++)
		add_slot(a, i, &array[i]);
	return ret;
}
EXPORT_SYMBOL_IF_KUNIT(idgen_alloc_init_array);
#endif

/**
 * idgen_alloc_update_excluded() - release IDs that need not be excluded
 * @a: the allocator
 *
 * Calls &idgen_ops.exclude_ids again. For architectures that initially have to
 * assume the worst case (&idgen_ops.provisional). IDs that are no longer
 * excluded are used from the next rollover on. The callback must not exclude
 * more IDs than before: a context may have one of them. Warns about too few IDs
 * as idgen_alloc_init() does, and allows pins.
 *
 * Ordering: That of the lock.
 *
 * Context: Any but NMI, at boot (__init). Takes the lock with interrupts off.
 * CPUs may switch meanwhile.
 * Return: 0 on success. -EBUSY if a context is pinned; nothing changes then.
 * The first call for a provisional allocator always succeeds.
 */
int idgen_alloc_update_excluded(struct idgen_alloc *a)
{
	unsigned long flags;
	int ret = -EBUSY;

	if (!a->base)
		return 0;

	raw_spin_lock_irqsave(&a->lock, flags);
	if (!a->nr_pinned) {
		exclude_ids(a, a->base);
		limit_pins(a);
		ret = 0;
	}
	raw_spin_unlock_irqrestore(&a->lock, flags);

	return ret;
}
EXPORT_SYMBOL_IF_KUNIT(idgen_alloc_update_excluded);

/**
 * idgen_alloc_destroy() - free the memory of an allocator
 * @a: the allocator; zero-filled memory is fine, and so is a failed init
 *
 * To initialise @a again, reset all contexts to 0 and call idgen_alloc_init().
 * It marks no flush pending, although TLBs may still have old entries. So with
 * &idgen_ops.flush_cpu, set %IDGEN_TAKEN in all slots afterwards. Without it,
 * flush all TLBs.
 *
 * Context: At boot (__init) unless the user is modular. @a is not in use.
 */
noinline void idgen_alloc_destroy(struct idgen_alloc *a)
{
	bitmap_free(a->map);
	bitmap_free(a->base);
	bitmap_free(a->hint);
	kfree(a->slots);
	a->slots = NULL;
	a->map = NULL;
	a->base = NULL;
	a->hint = NULL;
}
EXPORT_SYMBOL_IF_MODULAR(idgen_alloc_destroy);
