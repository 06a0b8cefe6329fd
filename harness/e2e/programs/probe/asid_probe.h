/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What /proc/asid_probe can be asked, by ioctl; an answer is 0 or more, an error is not.
 *
 * PIN and UNPIN do what an SVA driver does: arm64_mm_context_get() and _put() of the mm of who
 * asks. PIN answers the ASID as the kernel has it, or ENOSPC if the allocator refuses. A pin goes
 * with its last file descriptor. READ answers what ASID this CPU has in its register now, for who
 * asks. AUDIT stops all CPUs, looks at what ASID each has in its registers and for which mm, and
 * answers how many it found with one, or EILSEQ, and the log has a line "asid_probe: wrong: ..."
 * for each fault.
 */
#ifndef ASID_PROBE_H
#define ASID_PROBE_H

#include <linux/ioctl.h>

#define ASID_PROBE_PIN		_IO('a', 0)
#define ASID_PROBE_UNPIN	_IO('a', 1)
#define ASID_PROBE_READ		_IO('a', 2)
#define ASID_PROBE_AUDIT	_IO('a', 3)

#endif
