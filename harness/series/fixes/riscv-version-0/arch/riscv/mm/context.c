// SPDX-License-Identifier: GPL-2.0-only
/* A fix for the kernel's file of this name. See the head of harness/overlay/splice.py for how to read it. */

static unsigned long __new_context(struct mm_struct *mm)
{
	/* tree: ... */

	/* tree comment: atomic_long_add_return_relaxed */
	/* gone: atomic_long_add_return_relaxed */
	ver += BIT(SATP_ASID_BITS);
	/* On 32 bits it wraps. Version 0 is that of an mm without an ASID. */
	if (unlikely(!ver))
		ver = BIT(SATP_ASID_BITS);
	atomic_long_set(&current_version, ver);
	/* tree: ... */
}
