// SPDX-License-Identifier: GPL-2.0
/* A fix for the kernel's file of this name. See the head of harness/overlay/splice.py for how to read it. */

static void dump_tlb(int first, int last)
{
	/* tree: ... */

	/* tree: write_c0_entryhi(s_entryhi) */
	if (cpu_has_mmid)
		write_c0_memorymapid(s_mmid);
	/* tree: ... */
}
