// SPDX-License-Identifier: GPL-2.0
/* A fix for the kernel's file of this name. See the head of harness/overlay/splice.py for how to read it. */

static int mmid_init(void)
{
	/* tree: ... */

	/*
	 * After a rollover each CPU can have an MMID reserved. Wired entries
	 * have one as well, and one must be free.
	 */
	/* tree code: num_mmids = */
	/* gone: WARN_ON */
	WARN_ON(num_mmids - 1 <= num_possible_cpus());
	/* tree: ... */
}
