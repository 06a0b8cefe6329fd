// SPDX-License-Identifier: GPL-2.0-only
/* The functions of machine.h that are not inline, and the simulated CPUs. */
#include "machine.h"

unsigned int nr_cpu_ids;
unsigned long __per_cpu_offset[NR_CPUS];
cpumask_t bench_possible;
PER_THREAD unsigned int bench_cpu;
PER_THREAD unsigned long bench_cpu_offset;
unsigned int bench_bits;
bool bench_count_locked;
size_t bench_allocated;

static PER_THREAD unsigned long irqs = 1;
static PER_THREAD u32 preempt_count;

bool refcount_dec_not_one(refcount_t *r)
{
	u32 n = refcount_read(r);

	do {
		if (n == 0xc0000000)
			return true;
		if (n == 1)
			return false;
		if (unlikely(!n))
			return true;
	} while (!__atomic_compare_exchange_n(&r->refs, &n, n - 1, false,
					      __ATOMIC_RELEASE, __ATOMIC_RELAXED));
	return true;
}

unsigned long bench_lock(raw_spinlock_t *lock)
{
	unsigned long flags = irqs;
	u32 free = 0;

	irqs = 0;
	preempt_count++;
	while (unlikely(!__atomic_compare_exchange_n(&lock->taken, &free, 1, false,
						     __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))) {
#ifndef BENCH_THREADS
		abort();
#endif
		free = 0;
	}
	if (unlikely(bench_count_locked))
		CALLGRIND_TOGGLE_COLLECT;
	return flags;
}

void bench_unlock(raw_spinlock_t *lock, unsigned long flags)
{
	if (unlikely(bench_count_locked))
		CALLGRIND_TOGGLE_COLLECT;
	__atomic_store_n(&lock->taken, 0, __ATOMIC_RELEASE);
	irqs = flags;
	preempt_count--;
}

void *bench_alloc(size_t size)
{
	size_t *block = calloc(1, 2 * sizeof(size_t) + size);

	if (!block)
		exit(1);
	*block = size;
	bench_allocated += size;
	return block + 2;
}

void bench_free(void *ptr)
{
	size_t *block = ptr;

	if (!ptr)
		return;
	bench_allocated -= block[-2];
	free(block - 2);
}

/* The first bit of @map, inverted or not, that is set and not before @from. Otherwise @nr. */
#define SEARCH(map, nr, from, invert)						\
({										\
	unsigned long __i = (from) / BITS_PER_LONG, __word, __bit = (nr);	\
										\
	if ((from) < (nr)) {							\
		__word = ((map)[__i] ^ (invert)) & ~0UL << (from) % BITS_PER_LONG;	\
		while (!__word && ++__i * BITS_PER_LONG < (nr))			\
			__word = (map)[__i] ^ (invert);				\
		if (__word)							\
			__bit = min(__i * BITS_PER_LONG + __builtin_ctzl(__word), (nr)); \
	}									\
	__bit;									\
})

unsigned long find_next_bit(const unsigned long *map, unsigned long nr, unsigned long from)
{
	return SEARCH(map, nr, from, 0UL);
}

unsigned long find_next_zero_bit(const unsigned long *map, unsigned long nr,
				 unsigned long from)
{
	return SEARCH(map, nr, from, ~0UL);
}

unsigned long find_first_zero_bit(const unsigned long *map, unsigned long nr)
{
	return SEARCH(map, nr, 0UL, ~0UL);
}

/*
 * All maps here have whole words, and bits beyond the last are not read. 64 bytes in each
 * iteration, as in arm64's memcpy() and memset().
 */
#define WORDS(map, nr, value) do {					\
	unsigned long i, end = BITS_TO_LONGS(nr);			\
									\
	for (i = 0; i + 8 <= end; i += 8) {				\
		unsigned long *at = (map) + i;				\
									\
		at[0] = value(i);					\
		at[1] = value(i + 1);					\
		at[2] = value(i + 2);					\
		at[3] = value(i + 3);					\
		at[4] = value(i + 4);					\
		at[5] = value(i + 5);					\
		at[6] = value(i + 6);					\
		at[7] = value(i + 7);					\
	}								\
	for (; i < end; i++)						\
		(map)[i] = value(i);					\
} while (0)

#define ZEROS(i)	0UL
#define ONES(i)		~0UL
#define COPIES(i)	from[i]

void bitmap_fill(unsigned long *map, unsigned long nr)
{
	WORDS(map, nr, ONES);
}

void bitmap_zero(unsigned long *map, unsigned long nr)
{
	WORDS(map, nr, ZEROS);
}

void bitmap_copy(unsigned long *to, const unsigned long *from, unsigned long nr)
{
	WORDS(to, nr, COPIES);
}

void bitmap_clear(unsigned long *map, unsigned long from, unsigned long nr)
{
	for (; nr; from++, nr--)
		__clear_bit(from, map);
}

unsigned long bitmap_weight(const unsigned long *map, unsigned long nr)
{
	unsigned long i, weight = 0;

	for (i = 0; i < BITS_TO_LONGS(nr); i++)
		weight += __builtin_popcountl(map[i]);
	return weight;
}

bool bitmap_subset(const unsigned long *part, const unsigned long *map, unsigned long nr)
{
	unsigned long i;

	for (i = 0; i < BITS_TO_LONGS(nr); i++)
		if (part[i] & ~map[i])
			return false;
	return true;
}

unsigned long *bitmap_zalloc(unsigned long nr, int flags)
{
	return bench_alloc(BITS_TO_LONGS(nr) * sizeof(long));
}

void bitmap_free(unsigned long *map)
{
	bench_free(map);
}
