/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Conversion of the kernel's file of this name to idgen_alloc. The head of
 * harness/overlay/splice.py describes the format.
 */

/* gone: KVM_REQ_UPDATE_HGATP */
