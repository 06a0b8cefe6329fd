/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Rollovers and slow paths of the allocators of generation-tagged IDs. See
 * "Trace events" in Documentation/core-api/idgen_alloc.rst.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM idgen

#if !defined(_TRACE_IDGEN_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_IDGEN_H

#include <linux/idgen_alloc.h>
#include <linux/tracepoint.h>

/*
 * A new generation started, and @reserved CPUs keep their ID. Called with the
 * lock held, after flush_all() if that callback is set.
 */
TRACE_EVENT(idgen_rollover,
	TP_PROTO(const struct idgen_alloc *a, unsigned int reserved),
	TP_ARGS(a, reserved),
	TP_STRUCT__entry(
		__string(name, a->ops->name)
		__field(u64, generation)
		__field(unsigned int, reserved)
		__field(bool, flush_all)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->generation = a->generation >> IDGEN_ID_BITS;
		__entry->reserved = reserved;
		__entry->flush_all = a->ops->flush_all;
	),
	TP_printk("name=%s generation=%llu reserved=%u flush_all=%d",
		  __get_str(name), __entry->generation, __entry->reserved,
		  __entry->flush_all)
);

/*
 * A switch took the slow path. The context's value was @old and is now @value.
 * @flush: this CPU also flushed its TLB.
 */
TRACE_EVENT(idgen_slow_path,
	TP_PROTO(const struct idgen_alloc *a, u64 old, u64 value, bool flush),
	TP_ARGS(a, old, value, flush),
	TP_STRUCT__entry(
		__string(name, a->ops->name)
		__field(u64, old)
		__field(u64, value)
		__field(bool, flush)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->old = old;
		__entry->value = value;
		__entry->flush = flush;
	),
	TP_printk("name=%s old=%llu:%llu new=%llu:%llu flush_cpu=%d",
		  __get_str(name),
		  __entry->old >> IDGEN_ID_BITS, __entry->old & IDGEN_ID_MASK,
		  __entry->value >> IDGEN_ID_BITS,
		  __entry->value & IDGEN_ID_MASK, __entry->flush)
);

#endif /* _TRACE_IDGEN_H */

#include <trace/define_trace.h>
