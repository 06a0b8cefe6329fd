/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the conversion to idgen_alloc changes in the kernel's file of this name.
 * See the head of harness/overlay/splice.py for how to read it.
 */

/* gone: KVM_REQ_UPDATE_HGATP */
