// SPDX-License-Identifier: GPL-2.0-only
/*
 * Compiled by emitted.py: the functions of lib/idgen_alloc.c and its header that race on a slot.
 * The tests arm64-sched-out* have the same instructions, written by hand.
 */
#include "../shim.h"

/* No trace events and no calls. */
void shim_point(const char *what, const void *where)
{
}

#include <linux/idgen_alloc.h>
#include SRC

void P0(struct idgen_slot *slot, idgen_atomic_t *ctx, idgen_value_t *slow)
{
	idgen_alloc_sched_out(slot);
	*slow = !__idgen_alloc_replace(slot, idgen_atomic(read)(&slot->active),
				       idgen_atomic(read)(ctx));
}

__attribute__((flatten)) void P1(struct idgen_slot *slot)
{
	TAKE(slot);
}
