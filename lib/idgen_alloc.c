// SPDX-License-Identifier: GPL-2.0-only
/*
 * Generation-tagged IDs for TLB entries (ASIDs, VMIDs).
 *
 * The algorithm is that of arch/arm64/mm/context.c, which is
 *
 * Copyright (C) 2002-2003 Deep Blue Solutions Ltd, all rights reserved.
 * Copyright (C) 2012 ARM Ltd.
 *
 * Hardware tags TLB entries with an ID, so that a switch to another context (an
 * mm, a guest) needs no flush. There are fewer IDs than contexts, so IDs have an
 * owner for one generation only. A context's value is the generation in which it
 * got its ID, above that ID; if the generation is the current one, the ID is
 * good. When a context needs an ID and none is left, there is a rollover: the
 * next generation starts, all IDs are free again, TLBs are flushed.
 *
 * CPUs run guests and processes meanwhile, and they do not stop for a rollover.
 * So what they run keeps its ID. Each CPU has a slot, which shows the value that
 * the CPU runs:
 *
 *   switch	slot: value -> next value, both of one generation, by cmpxchg
 *   sched out	slot: ID -> 0, by a store of the ID's bits alone
 *   rollover	slot: adds the mark "taken", by fetch_or; the value is now
 *		reserved: its ID is taken in the new generation's map, and its
 *		context gets the same ID again when it asks
 *   slow path	slot: value of the current generation, without the mark, under
 *		the lock, after a flush of this CPU where the architecture wants one
 *
 * All else rests on two facts about slots:
 *
 *  - A slot without the mark has a value of the generation that its CPU has come
 *    to know, through the slow path. It may be followed on this CPU by any other
 *    value of this generation without looking at anything shared: the IDs in
 *    it are distinct, and the CPU's TLB was clean when the generation began.
 *
 *  - A rollover marks every slot, and only the slow path of the slot's own CPU
 *    clears the mark. So the mark means: this CPU has yet to learn about the new
 *    generation, and a flush is pending there. Nothing else tells either.
 *
 * Switch and rollover are read-modify-writes of the slot, and those have one
 * order. A switch that comes before the rollover's fetch_or is seen by it; one
 * that comes after sees the mark, takes the lock, and with it sees all that
 * the rollover did. That is all the ordering that the slots need.
 *
 * Sched out cannot hide a mark, as it does not write those bits. A rollover that
 * comes before it reserves the ID for a CPU that no longer runs it. That lasts
 * until the next rollover, which finds ID 0 in the slot. Until then the context
 * gets the ID again when it asks.
 *
 * A CPU may run one context through several rollovers, never switching. Its slot
 * is then marked each time but the first, and what it reserved is kept, while the
 * slot has an ID. If the context moves to a later generation, through another CPU
 * that runs it, then so do all its reserved values: the next rollover must find it
 * under its new one.
 *
 * A context that comes back with an ID of an earlier generation takes the same
 * ID if it is free in the map: then no CPU has reserved it, as all that is
 * reserved is in the map. If it is taken, then it may be because some CPU has
 * reserved it for this very context, and finding out means to visit all slots.
 * The hint, a small map of the reserved IDs modulo its size, spares most such
 * visits: their cost grows with the machine, and in steady state the ID of
 * nearly every context that comes back has been taken by another.
 *
 * A pinned context keeps its ID through all rollovers, since every fresh map has
 * it set.
 *
 * After 2^47 generations the count starts again at the first; it is never 0. A
 * context that sleeps for so long can be mistaken about its value, in two ways:
 *
 *  - It wakes in the very generation that its value names, by the new count. It
 *    then runs with an ID that may be another's.
 *
 *  - Some CPU has kept running one context since that generation, and has its ID
 *    reserved under a value of that generation. If the sleeper has the same
 *    value, it takes the reserved ID for its own, at any time until that CPU
 *    switches.
 *
 * At a million rollovers a second, 2^47 take four years. Where values have 32 bits
 * (IDGEN_ALLOC_32) there are 2^22 generations. With 9 bits of IDs, no more than
 * half of them reserved, these take some 2^30 switches to contexts that need an
 * ID: hours on a machine that does nothing else. For a context that has slept
 * longer, the first is one chance in 2^22 at each wakeup. The second is one in
 * 2^31, times the CPUs that have not switched since a rollover: no more than half
 * as likely, as so many CPUs have no more than half of the IDs.
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
 * Bits of the hint for each CPU. With 128, no more than one in 128 of the visits that
 * it is to spare is made on average, for 16 bytes a CPU; it need not have more bits
 * than there are IDs, and then none is.
 */
#define HINT_BITS_PER_CPU	128

/* The one user that can be a module, and the suite, are named. */
#if IS_ENABLED(CONFIG_IDGEN_ALLOC_MODULAR)
#define EXPORT_SYMBOL_IF_MODULAR(s) \
	EXPORT_SYMBOL_FOR_MODULES(s, "kvm,idgen_alloc_kunit")
#else
#define EXPORT_SYMBOL_IF_MODULAR(s)	EXPORT_SYMBOL_IF_KUNIT(s)
#endif

static unsigned long id_of(idgen_value_t value)
{
	return value & IDGEN_ID_MASK;
}

static bool is_current(const struct idgen_alloc *a, idgen_value_t value)
{
	return (value & ~IDGEN_ID_MASK) == a->generation;
}

/* Warns once for each invariant: one that is broken may stay so. */
#define check(a, invariant, cond, fmt, ...)				\
	WARN_ONCE(IS_ENABLED(CONFIG_DEBUG_IDGEN_ALLOC) && !(cond),	\
		  "idgen_alloc: %s: " invariant " is broken: " fmt,	\
		  (a)->ops->name, ##__VA_ARGS__)

/* Look at all slots; with the lock held, at the end of each slow path. */
static void check_slots(struct idgen_alloc *a)
{
	unsigned long nr = idgen_alloc_nr(a);
	unsigned int i;

	if (!IS_ENABLED(CONFIG_DEBUG_IDGEN_ALLOC))
		return;

	for (i = 0; i < a->nr_slots; i++) {
		struct idgen_slot *slot = a->slots[i];
		idgen_value_t active;

		/* Its CPU may replace it now, by another that must do as well. */
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

/* Look at all of the maps; with the lock held, whenever one was written anew. */
static void check_maps(struct idgen_alloc *a)
{
	unsigned long nr = idgen_alloc_nr(a);

	if (!IS_ENABLED(CONFIG_DEBUG_IDGEN_ALLOC))
		return;

	check(a, "ExcludedInMap",
	      a->generation && !id_of(a->generation) && test_bit(0, a->map) &&
	      (!a->base || bitmap_subset(a->base, a->map, nr)),
	      "ID 0, or one never handed out or pinned, is free in %#llx\n",
	      (u64)a->generation);
	check(a, "PinsCounted",
	      a->nr_pinned <= a->max_pinned &&
	      (!a->base || bitmap_weight(a->base, nr) ==
			   nr - a->usable + a->nr_pinned),
	      "%lu pinned, at most %lu\n", a->nr_pinned, a->max_pinned);
}

/*
 * First half of a rollover, for one slot; see __idgen_alloc_replace(). Returns the
 * ID that is now reserved for its CPU, 0 if there is none.
 */
VISIBLE_IF_KUNIT unsigned long idgen_take_slot(struct idgen_slot *slot)
{
	idgen_value_t had = idgen_atomic(fetch_or_relaxed)(IDGEN_TAKEN,
							   &slot->active);

	/*
	 * Taken already, with an ID: the CPU has not switched since an earlier
	 * rollover, and runs what it reserved then. Keep that.
	 */
	if (!(had & IDGEN_TAKEN) || !id_of(had))
		slot->reserved = had & ~IDGEN_TAKEN;

	return id_of(slot->reserved);
}
EXPORT_SYMBOL_IF_KUNIT(idgen_take_slot);

/* How many CPUs keep an ID over the rollover that has just taken their slots. */
static unsigned int nr_reserved(const struct idgen_alloc *a)
{
	unsigned int i, nr = 0;

	for (i = 0; i < a->nr_slots; i++)
		nr += !!id_of(a->slots[i]->reserved);
	return nr;
}

static noinline void flush_context(struct idgen_alloc *a)
{
	/* The bits that the loop sets could be anywhere, for all the compiler knows. */
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
		unsigned long id = idgen_take_slot(*slot);

		__set_bit(id, map);
		__set_bit(id & hint_mask, hint);
	}

	/*
	 * Only now: what a CPU ran until its slot was taken may have left entries
	 * in its TLB. What it runs from then on is reserved.
	 */
	if (a->ops->flush_all)
		a->ops->flush_all(a);
	if (trace_idgen_rollover_enabled())
		trace_idgen_rollover(a, nr_reserved(a));
	check_maps(a);
}

/* Whether some CPU may have reserved @id. In most cases none has. */
static bool may_be_reserved(const struct idgen_alloc *a, unsigned long id)
{
	return test_bit(id & (a->hint_size - 1), a->hint);
}

/*
 * Some CPU may have reserved @old. If so, its context goes on with @value: all
 * the reserved copies are replaced, or the next rollover would find one of
 * a generation that the context has left (Linux commit 0ebea8088095).
 */
static noinline bool check_update_reserved(struct idgen_alloc *a, idgen_value_t old,
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

/* Two contexts must not share an ID. Returns only in tests. */
static noinline void no_free_id(const struct idgen_alloc *a)
{
	idgen_panic("idgen_alloc: %s: no free ID: %u CPUs and %lu pins hold all %lu\n",
		    a->ops->name, nr_reserved(a), a->nr_pinned, a->usable);
}

/* A value of the current generation for @ctx, which has @old, or 0. */
static idgen_value_t new_context(struct idgen_alloc *a, idgen_atomic_t *ctx,
				 idgen_value_t old, refcount_t *pins)
{
	unsigned long nr = idgen_alloc_nr(a);
	unsigned long id = id_of(old);

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
			no_free_id(a);
			return a->generation;
		}
	}
	__set_bit(id, a->map);
	a->cursor = id + 1;

	if (IS_ENABLED(CONFIG_IDGEN_ALLOC_NEW_ID) && a->ops->new_id)
		a->ops->new_id(a, ctx);
	return a->generation | id;
}

/* Give @ctx, which has @value, one of the current generation if that is not. */
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

/* Have this CPU's @slot show @value, of the current generation, in place of @old. */
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
	/* First the value: that may roll over, and then the flush is due. */
	value = update_context(a, ctx, old, pins);
	set_slot(a, slot, old, value);
	raw_spin_unlock_irqrestore(&a->lock, flags);

	/*
	 * Others see the ID before this CPU walks @ctx's tables with it. So if
	 * one changes an entry, and finds the old ID when it flushes, then the
	 * walk finds the new entry. Pairs with its barrier between the two.
	 * smp_mb() does not order the write of a translation register, or the
	 * walks after it, on arm64 nor on RISC-V.
	 */
	mb();
}
EXPORT_SYMBOL_IF_MODULAR(__idgen_alloc_switch);

/**
 * idgen_alloc_pin() - have a context keep its ID until it is unpinned
 * @a: the allocator
 * @ctx: the context's value, 0 if it never had an ID
 * @pins: the context's pin count, 0 to begin with; also given to each switch to
 *	this context
 *
 * For contexts whose ID is given to hardware other than CPUs. Pins nest. The first
 * one counts towards the limit: the usable IDs less one for each possible CPU,
 * less one, so that allocation succeeds.
 *
 * Ordering: the lock's; the ID is set in @ctx before the return, with a full barrier
 * in between, as in idgen_alloc_switch().
 *
 * Context: Any; takes the lock, with interrupts off. May roll over.
 * Return: The ID, 1 to 2^bits - 1, or 0 if the limit is reached, &idgen_ops.pins
 * is not set, or &idgen_ops.provisional is and idgen_alloc_update_excluded() has not
 * been called.
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
	/* This CPU may switch to @ctx next, on the fast path. */
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
 * After the last one the context is as any other. If there was no rollover since
 * it was last pinned or switched to, it keeps its ID at least until the next one.
 * Otherwise its value is of an earlier generation, and it may get another ID when
 * it is switched to. Unpinning a context that is not pinned is warned about and
 * does nothing.
 *
 * Ordering: the lock's.
 *
 * Context: Any; takes the lock, with interrupts off.
 */
void idgen_alloc_unpin(struct idgen_alloc *a, idgen_atomic_t *ctx, refcount_t *pins)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&a->lock, flags);
	/* A count of 0 would saturate: the context would seem pinned for ever. */
	if (!WARN_ON_ONCE(!refcount_read(pins)) && refcount_dec_and_test(pins)) {
		__clear_bit(id_of(idgen_atomic(read)(ctx)), a->base);
		a->nr_pinned--;
		check_maps(a);
	}
	raw_spin_unlock_irqrestore(&a->lock, flags);
}
EXPORT_SYMBOL_IF_KUNIT(idgen_alloc_unpin);

/*
 * After a rollover each CPU may have reserved an ID, and one must be free. Not
 * all possible CPUs exist: some firmware counts more than there ever will be.
 */
static bool __idgen_init enough_ids(const struct idgen_alloc *a)
{
	return a->usable > a->nr_slots;
}

/* Fill @map with what is never handed out. */
static void __idgen_init exclude_ids(struct idgen_alloc *a, unsigned long *map)
{
	unsigned long nr = idgen_alloc_nr(a);

	bitmap_zero(map, nr);
	if (a->ops->exclude_ids)
		a->ops->exclude_ids(a, map);
	__set_bit(0, map);
	a->usable = nr - bitmap_weight(map, nr);
}

/* @usable is final. Pinned contexts have IDs beside those of the CPUs. */
static void __idgen_init limit_pins(struct idgen_alloc *a)
{
	unsigned long others = a->nr_slots + 1;

	if (a->ops->pins)
		a->max_pinned = max(a->usable, others) - others;
}

static void __idgen_init warn_if_few(const struct idgen_alloc *a)
{
	WARN(!enough_ids(a),
	     "idgen_alloc: %s: %lu usable IDs for %u possible CPUs: a rollover may find no free ID\n",
	     a->ops->name, a->usable, a->nr_slots);
}

VISIBLE_IF_KUNIT unsigned long * __idgen_init idgen_bitmap_zalloc(unsigned long nbits)
{
	KUNIT_STATIC_STUB_REDIRECT(idgen_bitmap_zalloc, nbits);
	return bitmap_zalloc(nbits, GFP_KERNEL);
}
EXPORT_SYMBOL_IF_KUNIT(idgen_bitmap_zalloc);

/*
 * The boot parameter, for kernels that are to be tested: fewer bits, and with them
 * a rollover every few contexts.
 */
#if IS_ENABLED(CONFIG_DEBUG_IDGEN_ALLOC) || \
	IS_ENABLED(CONFIG_IDGEN_ALLOC_KUNIT_TEST)

VISIBLE_IF_KUNIT char *idgen_bits_param;
EXPORT_SYMBOL_IF_KUNIT(idgen_bits_param);

VISIBLE_IF_KUNIT int idgen_set_bits(const char *val, const struct kernel_param *kp)
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
MODULE_PARM_DESC(bits, "Use fewer ID bits than there are: <allocator>:<bits>[,...]");

/* How many bits it asks for; all that there are if it does not. */
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
		/* Two digits: a longer number cannot wrap around. */
		end = ',';
		if (sscanf(s + len, ":%2u%c", &bits, &end) >= 1 && end == ',' &&
		    bits >= IDGEN_MIN_BITS && bits <= a->bits)
			return bits;
		pr_warn("bits=%s ignored: %s has %u to %u\n", s, a->ops->name,
			IDGEN_MIN_BITS, a->bits);
	}
	return a->bits;
}

/* Use so many bits, or the least number that leaves enough IDs for the CPUs. */
static void __idgen_init lower_bits(struct idgen_alloc *a)
{
	unsigned int bits = a->bits;

	for (a->bits = wanted_bits(a); a->bits < bits; a->bits++) {
		exclude_ids(a, a->map);
		if (enough_ids(a))
			break;
	}
	if (idgen_bits_param)
		pr_info("%s: using %u bits of %u\n", a->ops->name, a->bits, bits);
}

#else

static void __idgen_init lower_bits(struct idgen_alloc *a)
{
}

#endif

/* All of idgen_alloc_init() but for the slots. */
static int __idgen_init set_up(struct idgen_alloc *a, const struct idgen_ops *ops,
			       unsigned int bits, unsigned int nr_slots)
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
	if (!ops->provisional) {
		limit_pins(a);
		warn_if_few(a);
	}
	return 0;
}

static void __idgen_init add_slot(struct idgen_alloc *a, unsigned int i,
				  struct idgen_slot *slot)
{
	/* As if scheduled out: nothing to reserve, and no flush pending. */
	idgen_atomic(set)(&slot->active, IDGEN_FIRST_GEN);
	slot->reserved = IDGEN_FIRST_GEN;
	a->slots[i] = slot;
}

/**
 * idgen_alloc_init() - set up an allocator
 * @a: the allocator, of which nothing is in use
 * @ops: what the architecture does its own way; must outlive the allocator
 * @bits: ID bits that the hardware has, %IDGEN_MIN_BITS to %IDGEN_ID_BITS
 * @slots: one for each possible CPU; zero-filled memory will do
 *
 * The boot parameter idgen_alloc.bits= of kernels to be tested can have it use fewer
 * bits, but not so few that there are no more usable IDs than possible CPUs.
 *
 * If the hardware has no more usable IDs than there are possible CPUs, it warns.
 * Nothing can be pinned then. IDs are handed out all the same, as some of those
 * CPUs may never come up. A rollover that finds no free ID, since CPUs hold them
 * all, ends in panic().
 *
 * Ordering: none; publish @a to those who use it.
 *
 * Context: At boot (__init); may sleep. The possible CPUs are known. Nobody uses
 * @a or the slots.
 * Return: 0; -EINVAL if @bits is out of range or @ops has no flush; -ENOMEM.
 * If not 0, @a needs no idgen_alloc_destroy().
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

/* The same for simulated CPUs 0 to @nr - 1, with their slots in an array. */
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
 * idgen_alloc_update_excluded() - the architecture rules out fewer IDs than it did
 * @a: the allocator
 *
 * Asks &idgen_ops.exclude_ids again, for an architecture that had to assume the
 * worst at first (&idgen_ops.provisional). The IDs that are no longer ruled out are
 * handed out from the next rollover on. An ID must not be ruled out that was not
 * before: a context may have it. Warns if there are too few, as idgen_alloc_init()
 * does, and allows pins.
 *
 * Ordering: the lock's.
 *
 * Context: At boot (__init). Takes the lock, with interrupts off. Switches may go
 * on.
 * Return: 0; -EBUSY if a context is pinned, and then nothing has changed. None is
 * if @provisional is set and this is the first call.
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

	warn_if_few(a);
	return ret;
}
EXPORT_SYMBOL_IF_KUNIT(idgen_alloc_update_excluded);

/**
 * idgen_alloc_destroy() - undo idgen_alloc_init()
 * @a: the allocator; one on which init failed, or zero-filled, will do
 *
 * Context: At boot (__init); may sleep. Nobody uses @a any more. It can be set up
 * again, but then contexts must start from 0, and TLBs without entries of theirs.
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
