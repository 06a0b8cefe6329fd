// SPDX-License-Identifier: GPL-2.0-only
/*
 * What emitted.py compiles: the paths of lib/idgen_alloc.c and its header that meet in a slot,
 * sched out's store of half of it among them. run.sh has the same by hand.
 */
#include "../shim.h"

/* No traces here, and no calls. */
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
