/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The parts of the kernel that lib/idgen_alloc.c and its header need, for GenMC. They are those
 * of ../shim.h, except where a checker of weak memory needs something else.
 */
#ifndef _IDGEN_WEAK_SHIM_H
#define _IDGEN_WEAK_SHIM_H

#include <assert.h>
#include <genmc.h>

#include "../shim.h"

/* The kernel's full barrier, in each of the two memory models. */
#undef mb
#if LKMM
void __VERIFIER_lkmm_fence(const char *kind);
#define mb()		__VERIFIER_lkmm_fence("mb")
#define smp_rmb()	__VERIFIER_lkmm_fence("rmb")
#else
#define mb()		__atomic_thread_fence(__ATOMIC_SEQ_CST)
#define smp_rmb()	__atomic_thread_fence(__ATOMIC_ACQUIRE)
#endif

/* A warning is a violation. Nothing is printed. */
#undef WARN
#define WARN(cond, fmt, ...) ({						\
	bool __bad = (cond);						\
									\
	assert(!__bad);							\
	__bad;								\
})
#undef panic
#define panic(fmt, ...)			assert(0)
#undef pr_info
#define pr_info(fmt, ...)		((void)0)
#undef pr_warn
#define pr_warn(fmt, ...)		((void)0)
#undef trace_idgen_rollover_enabled
#define trace_idgen_rollover_enabled()	false
#undef trace_idgen_slow_path
#define trace_idgen_slow_path(a, old, value, flush) ((void)(flush))

/* Maps have one word. The heap is a table. Allocated memory is zero. */
extern unsigned long heap[4][4];
extern unsigned int heap_used;

#undef kcalloc
#define kcalloc(n, size, flags)		((void *)heap[heap_used++])
#undef kfree
#define kfree(p)			((void)(p))
#define bitmap_zalloc(nr, flags)	heap[heap_used++]
#define bitmap_free(map)		((void)(map))
#define bitmap_zero(map, nr)		(*(map) = 0)
#define bitmap_copy(to, from, nr)	(*(to) = *(from))
#define memset(p, c, n)			((void)(p))

/* Part of a slot; see weak.c. */
#undef WRITE_ONCE
#define WRITE_ONCE(x, i)		store_part(&(x), sizeof(x), i)
void store_part(void *where, unsigned int size, u64 i);

#endif /* _IDGEN_WEAK_SHIM_H */
