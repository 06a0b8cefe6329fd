/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Internals of lib/idgen_alloc.c that KUnit suites use. Without its own suite,
 * they are static, macros, or absent, even in a kernel with KUnit.
 */
#ifndef _LIB_IDGEN_ALLOC_INTERNAL_H
#define _LIB_IDGEN_ALLOC_INTERNAL_H

#if IS_ENABLED(CONFIG_IDGEN_ALLOC_KUNIT_TEST)

#include <kunit/static_stub.h>
#include <kunit/visibility.h>

struct idgen_alloc;
struct idgen_ops;
struct idgen_slot;
struct kernel_param;

int idgen_alloc_init_array(struct idgen_alloc *a, const struct idgen_ops *ops,
			   unsigned int bits, struct idgen_slot *array,
			   unsigned int nr);
unsigned long *idgen_bitmap_zalloc(unsigned long nbits);

/* The boot parameter idgen_alloc.bits=, or NULL. */
extern char *idgen_bits_param;
int idgen_set_bits(const char *val, const struct kernel_param *kp);

/* panic(), which tests replace. */
extern __printf(1, 2) void (*idgen_panic)(const char *fmt, ...);

/* Called before a rollover takes a slot, so that tests can interrupt it. */
extern void (*idgen_before_take)(struct idgen_slot *slot);

#else
#define EXPORT_SYMBOL_IF_KUNIT(symbol)
#define KUNIT_STATIC_STUB_REDIRECT(...)	do { } while (0)
#define VISIBLE_IF_KUNIT		static
#define idgen_panic			panic
#define idgen_before_take(slot)		((void)(slot))
#endif

#endif /* _LIB_IDGEN_ALLOC_INTERNAL_H */
