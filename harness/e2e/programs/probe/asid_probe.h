/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ioctls of /proc/asid_probe. They return 0 or more, or an error.
 *
 * PIN and UNPIN call arm64_mm_context_get() and _put() for the mm of the caller. PIN returns the
 * ASID, with KPTI the kernel's of the pair, or ENOSPC if the allocator refuses. Closing the last
 * file descriptor unpins. READ returns the ASID in the register of this CPU. AUDIT stops all CPUs
 * and checks the ASID and the mm of each. It returns the number of CPUs with an ASID, or EILSEQ,
 * and then the log has a line "asid_probe: wrong: ..." for each fault.
 */
#ifndef ASID_PROBE_H
#define ASID_PROBE_H

#include <linux/ioctl.h>

#define ASID_PROBE_PIN		_IO('a', 0)
#define ASID_PROBE_UNPIN	_IO('a', 1)
#define ASID_PROBE_READ		_IO('a', 2)
#define ASID_PROBE_AUDIT	_IO('a', 3)

#endif
