// SPDX-License-Identifier: GPL-2.0
/* A fix for the kernel's file of this name. See the head of harness/overlay/splice.py for how to read it. */

static void mips_cpu_restore(void)
{
	/* tree: ... */

	/* Restore MMID or ASID */
	/* gone: current->mm */
	if (current->mm) {
		if (cpu_has_mmid)
			write_c0_memorymapid(cpu_asid(cpu, current->mm));
		else
			write_c0_entryhi(cpu_asid(cpu, current->mm));
	}
	/* tree: ... */
}
