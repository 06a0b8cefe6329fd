/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The parts of the kernel that lib/idgen_alloc.c and
 * include/linux/idgen_alloc.h need to run on the host. Both files are built
 * unchanged: for each header that they include, the Makefile makes one that
 * includes this file.
 *
 * The kernel's relaxed atomics are C's relaxed atomics and no stronger. So
 * ThreadSanitizer detects accesses that need the lock and do not hold it.
 *
 * The program defines shim_point(), which is called before each access to an
 * atomic and around each lock operation. torture uses it to widen race windows,
 * and explore to choose schedules.
 */
#ifndef _IDGEN_SHIM_H
#define _IDGEN_SHIM_H

#include <pthread.h>

#include "base.h"

/* The Makefile defines all options as 0 or 1. */
#define IS_ENABLED(option)	(option)
#define IS_MODULE(option)	0

#define noinline
#define EXPORT_SYMBOL_FOR_MODULES(s, mods)
#define MODULE_PARM_DESC(...)

/* The program checks the events. They are called with the lock held. */
#define trace_idgen_rollover_enabled()		true
#define trace_idgen_rollover(a, reserved)	shim_rollover(reserved)
#define trace_idgen_slow_path(a, old, value, flush) shim_slow_path(old, value, flush)
void shim_rollover(unsigned int reserved);
void shim_slow_path(u64 old, u64 value, bool flush);

#define pr_info(fmt, ...)		printf(pr_fmt(fmt), ##__VA_ARGS__)
#define pr_warn(fmt, ...)		fprintf(stderr, pr_fmt(fmt), ##__VA_ARGS__)

/* Called on a violation. */
void shim_bad(const char *what);

#define WARN(cond, fmt, ...) ({						\
	bool __bad = (cond);						\
									\
	if (unlikely(__bad)) {						\
		char __text[256];					\
									\
		snprintf(__text, sizeof(__text), fmt, ##__VA_ARGS__);	\
		shim_bad(__text);					\
	}								\
	__bad;								\
})
#define WARN_ONCE(cond, fmt, ...) ({					\
	static bool __once;						\
	bool __bad_once = (cond);					\
									\
	WARN(__bad_once && !__once, fmt, ##__VA_ARGS__);		\
	__once |= __bad_once;						\
	__bad_once;							\
})
#define WARN_ON_ONCE(cond)	WARN(cond, "%s\n", #cond)
#define panic(fmt, ...)		({ WARN(true, fmt, ##__VA_ARGS__); abort(); })

/* There are no parameters. */
struct kernel_param;
struct kernel_param_ops {
	int (*set)(const char *val, const struct kernel_param *kp);
	int (*get)(char *buffer, const struct kernel_param *kp);
};

#define param_set_charp(val, kp)	((void)(kp), (val) ? 0 : -EINVAL)
#define param_get_charp			NULL
#define module_param_cb(name, ops, arg, perm) \
	static const void *const param_##name __attribute__((unused)) = (ops)

/* Called before each access that others can see. @what is for traces. */
void shim_point(const char *what, const void *where);

/*
 * Atomics
 */

/* 64-bit atomics, and 32-bit ones for IDGEN_ALLOC_32. */
#define SHIM_ATOMIC(atomic, word)					\
typedef struct {							\
	word counter;							\
} atomic##_t;								\
									\
static inline word atomic##_read(const atomic##_t *v)			\
{									\
	shim_point("read", v);						\
	return __atomic_load_n(&v->counter, __ATOMIC_RELAXED);		\
}									\
									\
static inline void atomic##_set(atomic##_t *v, word i)			\
{									\
	shim_point("set", v);						\
	__atomic_store_n(&v->counter, i, __ATOMIC_RELAXED);		\
}									\
									\
static inline word atomic##_xchg_relaxed(atomic##_t *v, word i)		\
{									\
	shim_point("xchg", v);						\
	return __atomic_exchange_n(&v->counter, i, __ATOMIC_RELAXED);	\
}									\
									\
static inline word atomic##_cmpxchg_relaxed(atomic##_t *v, word old, word new) \
{									\
	shim_point("cmpxchg", v);					\
	__atomic_compare_exchange_n(&v->counter, &old, new, false,	\
				    __ATOMIC_RELAXED, __ATOMIC_RELAXED); \
	return old;							\
}									\
									\
static inline word atomic##_fetch_or_relaxed(word i, atomic##_t *v)	\
{									\
	shim_point("fetch_or", v);					\
	return __atomic_fetch_or(&v->counter, i, __ATOMIC_RELAXED);	\
}									\
									\
static inline void atomic##_andnot(word i, atomic##_t *v)		\
{									\
	shim_point("andnot", v);					\
	__atomic_fetch_and(&v->counter, ~i, __ATOMIC_RELAXED);		\
}

SHIM_ATOMIC(atomic64, u64)
SHIM_ATOMIC(atomic, u32)

/* Has the size of @x, which may be a part of an atomic. */
#define WRITE_ONCE(x, i) do {						\
	shim_point("store", &(x));					\
	__atomic_store_n(&(x), (i), __ATOMIC_RELAXED);			\
} while (0)

#define REFCOUNT_SATURATED	(INT32_MIN / 2)

static inline u32 refcount_read(const refcount_t *r)
{
	shim_point("count", r);
	return __atomic_load_n(&r->refs, __ATOMIC_RELAXED);
}

static inline void refcount_set(refcount_t *r, u32 n)
{
	shim_point("count=", r);
	__atomic_store_n(&r->refs, n, __ATOMIC_RELAXED);
}

static inline bool refcount_inc_not_zero(refcount_t *r)
{
	u32 n = refcount_read(r);

	do {
		if (!n)
			return false;
	} while (!__atomic_compare_exchange_n(&r->refs, &n, n + 1, false,
					      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	if (n > INT32_MAX - 1)
		refcount_set(r, REFCOUNT_SATURATED);
	return true;
}

/* Decrement unless the count is 1. Warns about 0 and keeps it. */
static inline bool refcount_dec_not_one(refcount_t *r)
{
	u32 n = refcount_read(r);

	do {
		if (n == (u32)REFCOUNT_SATURATED || WARN_ON_ONCE(!n))
			return true;
		if (n == 1)
			return false;
	} while (!__atomic_compare_exchange_n(&r->refs, &n, n - 1, false,
					      __ATOMIC_RELEASE, __ATOMIC_RELAXED));
	return true;
}

/*
 * The lock. If one thread runs all CPUs, shim_lock() switches to another CPU
 * while the lock is taken.
 */

typedef struct {
	pthread_mutex_t mutex;
	int owner;
} raw_spinlock_t;

void shim_lock_init(raw_spinlock_t *lock);
void shim_lock(raw_spinlock_t *lock);
void shim_unlock(raw_spinlock_t *lock);
/* Whether the caller holds it. */
bool shim_locked(const raw_spinlock_t *lock);

#define raw_spin_lock_init(lock)	shim_lock_init(lock)
#define raw_spin_lock_irqsave(lock, flags) \
	((flags) = 0, shim_lock(lock))
#define raw_spin_unlock_irqrestore(lock, flags) \
	((void)(flags), shim_unlock(lock))
#define lockdep_assert_held(lock) \
	((void)WARN(!shim_locked(lock), "called without the lock\n"))

/*
 * CPUs: the slots are an array
 */

extern unsigned int nr_cpu_ids;

#define num_possible_cpus()		nr_cpu_ids
#define for_each_possible_cpu(cpu)	for ((cpu) = 0; (cpu) < nr_cpu_ids; (cpu)++)
#define per_cpu_ptr(slots, cpu)		(&(slots)[cpu])

/*
 * Bitmaps
 */

#define kcalloc(n, size, flags)		calloc(n, size)
#define kfree(p)			free(p)

/* Exactly as long as needed, for AddressSanitizer. */
static inline unsigned long *bitmap_zalloc(unsigned long nr, int flags)
{
	return calloc(BITS_TO_LONGS(nr), sizeof(long));
}

static inline void bitmap_free(unsigned long *map)
{
	free(map);
}

static inline void bitmap_zero(unsigned long *map, unsigned long nr)
{
	memset(map, 0, BITS_TO_LONGS(nr) * sizeof(long));
}

static inline void bitmap_copy(unsigned long *to, const unsigned long *from,
			       unsigned long nr)
{
	memcpy(to, from, BITS_TO_LONGS(nr) * sizeof(long));
}

static inline unsigned long bitmap_weight(const unsigned long *map, unsigned long nr)
{
	unsigned long i, weight = 0;

	for (i = 0; i < nr; i++)
		weight += test_bit(i, map);
	return weight;
}

static inline bool bitmap_subset(const unsigned long *part, const unsigned long *map,
				 unsigned long nr)
{
	unsigned long i;

	for (i = 0; i < nr; i++)
		if (test_bit(i, part) && !test_bit(i, map))
			return false;
	return true;
}

static inline unsigned long find_next_zero_bit(const unsigned long *map,
					       unsigned long nr, unsigned long from)
{
	while (from < nr && test_bit(from, map))
		from++;
	return min(from, nr);
}

static inline unsigned long find_first_zero_bit(const unsigned long *map,
						unsigned long nr)
{
	return find_next_zero_bit(map, nr, 0);
}

static inline unsigned long roundup_pow_of_two(unsigned long n)
{
	unsigned long power = 1;

	while (power < n)
		power *= 2;
	return power;
}

#endif /* _IDGEN_SHIM_H */
