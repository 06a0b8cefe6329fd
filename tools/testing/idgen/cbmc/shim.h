/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The parts of the kernel that lib/idgen_alloc.c and its header need, for CBMC: those of
 * ../shim.h, except accesses that other CPUs can see, which go to model.h.
 *
 * The fast paths, which are inline functions of the header, use fast_*() for their
 * atomics. They run piece by piece. The C file uses slow_*(), with the lock held and other
 * CPUs running in between. See the head of model.h.
 */
#ifndef _IDGEN_CBMC_SHIM_H
#define _IDGEN_CBMC_SHIM_H

#include <stdio.h>

/* Nobody reads what refcount_t warns of; CBMC's own has a loop. */
#define snprintf(...)	((void)0)

#include "../shim.h"

typedef uint8_t u8;

/* @cond is a query. Nothing is printed. */
#undef WARN
#define WARN(cond, fmt, ...) ({						\
	bool __bad = (cond);						\
									\
	__CPROVER_assert(!__bad, "WARN: " #cond);			\
	__bad;								\
})

/* All accesses are in program order. */
#undef mb
#define mb()	((void)0)

#undef panic
#define panic(fmt, ...) ({						\
	__CPROVER_assert(0, "panic: " fmt);				\
	__CPROVER_assume(0);						\
})

/* There are no trace events. */
#undef trace_idgen_rollover_enabled
#undef trace_idgen_rollover
#undef trace_idgen_slow_path
#define trace_idgen_rollover_enabled()			false
#define trace_idgen_rollover(a, reserved)		((void)(reserved))
#define trace_idgen_slow_path(a, old, value, flush)	((void)(flush))

/*
 * Maps have one word, with few bits in use. The functions are the same as in ../shim.h,
 * without addresses and wide shifts, which are expensive for the solver.
 */
#define MAP_BITS			(2 << BITS)

/* A bit or a value was too large; see narrow(). */
extern bool lost;

static inline unsigned long bit_of(unsigned long nr)
{
	lost |= nr >= MAP_BITS;
	return 1UL << (nr & (MAP_BITS - 1));
}

static inline unsigned long next_zero_bit(unsigned long map, unsigned long nr,
					  unsigned long from)
{
	unsigned long found = nr, i;

	for (i = 1UL << BITS; i--;)
		if (i < nr && i >= from && !(map >> i & 1))
			found = i;
	return found;
}

#define test_bit(nr, map)		(!!(*(map) & bit_of(nr)))
#define __set_bit(nr, map)		(*(map) |= bit_of(nr))
#define __clear_bit(nr, map)		(*(map) &= ~bit_of(nr))
#define __test_and_set_bit(nr, map) ({					\
	bool __was = test_bit(nr, map);					\
									\
	__set_bit(nr, map);						\
	__was;								\
})
#define find_next_zero_bit(map, nr, from) next_zero_bit(*(map), nr, from)
#define bitmap_zero(map, nr)		(*(map) = 0)
#define bitmap_copy(to, from, nr)	(*(to) = *(from))

#if CONFIG_IDGEN_ALLOC_32
#define value_atomic_t			atomic_t
#else
#define value_atomic_t			atomic64_t
#endif

u64 fast_read(const value_atomic_t *v);
void fast_set(value_atomic_t *v, u64 i);
u64 fast_xchg(value_atomic_t *v, u64 i);
u64 fast_cmpxchg(value_atomic_t *v, u64 old, u64 new);
void fast_andnot(u64 i, value_atomic_t *v);
bool fast_stores(const void *where);
u64 slow_read(const value_atomic_t *v);
void slow_set(value_atomic_t *v, u64 i);
u64 slow_fetch_or(u64 i, value_atomic_t *v);

/* If the store is made now, write the bytes of @x and no others. */
#undef WRITE_ONCE
#define WRITE_ONCE(x, i) do {						\
	if (fast_stores(&(x)))						\
		(x) = (i);						\
} while (0)

/* The fast paths end where they would wait for the lock. */
struct idgen_alloc;
struct idgen_slot;
void await_lock(struct idgen_alloc *a, struct idgen_slot *slot);

#define atomic64_read                   fast_read
#define atomic64_set                    fast_set
#define atomic64_xchg_relaxed           fast_xchg
#define atomic64_cmpxchg_relaxed        fast_cmpxchg
#define atomic64_andnot                 fast_andnot
#define atomic_read                     fast_read
#define atomic_set                      fast_set
#define atomic_xchg_relaxed             fast_xchg
#define atomic_cmpxchg_relaxed          fast_cmpxchg
#define atomic_andnot                   fast_andnot
#define __idgen_alloc_switch(a, slot, ctx, pins) \
	await_lock(a, slot)

#endif /* _IDGEN_CBMC_SHIM_H */
