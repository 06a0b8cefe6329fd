// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of what KVM adds to the VMID allocator. Included by vmid.c to
 * reach its static data.
 *
 * They work with and without the H extension. Each case replaces KVM's
 * allocator by its own, and the flush by a counter. No guest runs meanwhile, as
 * the tests run before userspace.
 */
#include <kunit/idgen_alloc.h>

#include <linux/preempt.h>
#include <linux/sched.h>

#include "../../../lib/idgen_alloc_internal.h"

/* The maximum on RV32. */
#define VMID_TEST_BITS	7

static struct idgen_alloc vmid_test_saved;
static unsigned long vmid_test_saved_bits;

static unsigned int vmid_test_flushes;
static bool vmid_test_in_order;

/* Called while this slot is taken. */
static void vmid_test_flush_cpu(struct idgen_alloc *a)
{
	struct idgen_slot *slot = this_cpu_ptr(&vmid_slots);

	vmid_test_in_order &=
		(idgen_atomic(read)(&slot->active) & IDGEN_TAKEN) &&
		test_bit(slot->reserved & IDGEN_ID_MASK, a->map);
	vmid_test_flushes++;
}

static const struct idgen_ops vmid_test_ops = {
	.name		= "vmid",
	.flush_cpu	= vmid_test_flush_cpu,
};

static void __init vmid_test_exit(void *unused)
{
	unsigned int cpu;

	kvm_riscv_gstage_vmid_exit();
	vmids = vmid_test_saved;
	vmid_bits = vmid_test_saved_bits;
	for_each_possible_cpu(cpu) {
		struct idgen_slot *slot = per_cpu_ptr(&vmid_slots, cpu);

		idgen_atomic(set)(&slot->active, IDGEN_FIRST_GEN | IDGEN_TAKEN);
		slot->reserved = IDGEN_FIRST_GEN;
	}
}

static int __init vmid_test_init(struct kunit *test)
{
	if (num_possible_cpus() >= BIT(VMID_TEST_BITS) - 1)
		kunit_skip(test, "more CPUs than the test has VMIDs");

	/* vmid_test_exit() resets the slots: KVM must not have used them. */
	if (vmids.map)
		KUNIT_ASSERT_EQ(test, vmids.generation, IDGEN_FIRST_GEN);
	vmid_test_saved = vmids;
	vmid_test_saved_bits = vmid_bits;
	KUNIT_ASSERT_EQ(test, kunit_add_action(test, vmid_test_exit, NULL), 0);

	/* Each case has its own thread: no need to restore the affinity. */
	set_cpus_allowed_ptr(current, cpumask_of(raw_smp_processor_id()));
	vmid_test_flushes = 0;
	vmid_test_in_order = true;

	vmid_bits = VMID_TEST_BITS;
	KUNIT_ASSERT_EQ(test, idgen_alloc_init(&vmids, &vmid_test_ops,
					       VMID_TEST_BITS, &vmid_slots), 0);
	return 0;
}

static idgen_value_t vmid_test_value(struct kvm_vmid *vm)
{
	return idgen_atomic(read)(&vm->id);
}

static idgen_value_t vmid_test_slot(void)
{
	/* The thread cannot migrate. */
	return idgen_atomic(read)(&raw_cpu_ptr(&vmid_slots)->active);
}

static void vmid_test_load(struct kvm_vmid *vm)
{
	preempt_disable();
	kvm_riscv_gstage_vmid_update(vm);
	preempt_enable();
}

/* Load new VMs, which take the lowest free VMIDs, until one has @vmid. */
static void __init vmid_test_take(unsigned long vmid)
{
	while (!test_bit(vmid, vmids.map)) {
		struct kvm_vmid other = {};

		vmid_test_load(&other);
	}
}

static void __init loaded_vcpu_has_vmid(struct kunit *test)
{
	struct kvm_vmid vm = {};

	vmid_test_load(&vm);
	KUNIT_EXPECT_NE(test, vm.vmid, 0);
	KUNIT_EXPECT_LT(test, vm.vmid, idgen_alloc_nr(&vmids));
	KUNIT_EXPECT_EQ(test, vm.vmid, vmid_test_value(&vm) & IDGEN_ID_MASK);
	KUNIT_EXPECT_EQ(test, vmid_test_slot(), vmid_test_value(&vm));
}

/* hgatp keeps this VMID, loaded or not. */
static void __init last_loaded_vm_keeps_vmid(struct kunit *test)
{
	struct kvm_vmid vm = {};
	unsigned long vmid;
	unsigned int i;

	vmid_test_load(&vm);
	vmid = vm.vmid;
	for (i = 0; i < 3; i++) {
		kunit_idgen_roll_over(test, &vmids, 0);
		KUNIT_EXPECT_EQ(test, vmid_test_slot(),
				IDGEN_TAKEN | IDGEN_FIRST_GEN | vmid);
		KUNIT_EXPECT_TRUE(test, test_bit(vmid, vmids.map));
	}
	vmid_test_load(&vm);
	KUNIT_EXPECT_EQ(test, vm.vmid, vmid);
	KUNIT_EXPECT_EQ(test, vmid_test_value(&vm), vmids.generation | vmid);
}

static void __init vm_gets_new_vmid_if_taken(struct kunit *test)
{
	struct kvm_vmid vm = {}, next = {};
	unsigned long vmid;

	vmid_test_load(&vm);
	vmid = vm.vmid;
	vmid_test_load(&next);
	kunit_idgen_roll_over(test, &vmids, 0);
	vmid_test_take(vmid);
	KUNIT_EXPECT_EQ(test, vm.vmid, vmid);
	vmid_test_load(&vm);
	KUNIT_EXPECT_NE(test, vm.vmid, vmid);
	KUNIT_EXPECT_EQ(test, vmid_test_value(&vm), vmids.generation | vm.vmid);
}

/* Another CPU loads a vCPU of the VM first. */
static void __init vcpus_share_vmid_after_rollover(struct kunit *test)
{
	struct idgen_slot elsewhere = {};
	struct kvm_vmid vm = {};
	unsigned long vmid;

	vmid_test_load(&vm);
	vmid = vm.vmid;
	kunit_idgen_roll_over(test, &vmids, 0);
	idgen_atomic(set)(&elsewhere.active, vmids.generation);
	preempt_disable();
	idgen_alloc_switch(&vmids, &elsewhere, &vm.id, NULL);
	preempt_enable();
	KUNIT_EXPECT_EQ(test, vmid_test_value(&vm), vmids.generation | vmid);
	/* The slot of this CPU has the reserved value for the next rollover. */
	kunit_idgen_roll_over(test, &vmids, vmid);
	vmid_test_load(&vm);
	KUNIT_EXPECT_EQ(test, vm.vmid, vmid);
}

/*
 * Another CPU has allocated the VMID, but not yet stored the copy for fences.
 * This CPU must store it too before its guest runs, even on the fast path.
 */
static void __init each_load_stores_vmid_for_fences(struct kunit *test)
{
	struct idgen_slot elsewhere = {};
	struct kvm_vmid vm = {};
	idgen_value_t value;

	idgen_atomic(set)(&elsewhere.active, vmids.generation);
	preempt_disable();
	idgen_alloc_switch(&vmids, &elsewhere, &vm.id, NULL);
	preempt_enable();
	value = vmid_test_value(&vm);
	KUNIT_EXPECT_EQ(test, vm.vmid, 0);
	vmid_test_load(&vm);
	KUNIT_EXPECT_EQ(test, vmid_test_value(&vm), value);
	KUNIT_EXPECT_EQ(test, vm.vmid, value & IDGEN_ID_MASK);
}

static void __init first_load_after_rollover_flushes_once(struct kunit *test)
{
	struct kvm_vmid vm = {}, other = {};
	unsigned int i;

	vmid_test_load(&vm);
	KUNIT_EXPECT_EQ(test, vmid_test_flushes, 0);
	for (i = 1; i <= 3; i++) {
		kunit_idgen_roll_over(test, &vmids, 0);
		KUNIT_EXPECT_EQ(test, vmid_test_flushes, i - 1);
		vmid_test_load(&vm);
		vmid_test_load(&other);
		vmid_test_load(&vm);
		KUNIT_EXPECT_EQ(test, vmid_test_flushes, i);
	}
	KUNIT_EXPECT_TRUE(test, vmid_test_in_order);
}

static void __init vms_without_vmids_use_vmid_0(struct kunit *test)
{
	struct kvm_vmid vm = {};
	idgen_value_t slot = vmid_test_slot();

	vmid_bits = 0;
	vmid_test_load(&vm);
	KUNIT_EXPECT_EQ(test, kvm_riscv_gstage_vmid_bits(), 0);
	KUNIT_EXPECT_EQ(test, vm.vmid, 0);
	KUNIT_EXPECT_EQ(test, vmid_test_value(&vm), 0);
	KUNIT_EXPECT_EQ(test, vmid_test_slot(), slot);
}

/* KVM may have been unloaded: any CPU may have old entries. */
static void __init detect_makes_all_cpus_flush(struct kunit *test)
{
	unsigned int cpu;

	if (!riscv_isa_extension_available(NULL, H))
		kunit_skip(test, "needs the H extension");
	if (!vmid_test_saved_bits)
		kunit_skip(test, "too few VMIDs");
	kvm_riscv_gstage_vmid_exit();
	kvm_riscv_gstage_vmid_detect();
	KUNIT_ASSERT_GT(test, vmid_bits, 0);
	for_each_possible_cpu(cpu) {
		struct idgen_slot *slot = per_cpu_ptr(&vmid_slots, cpu);

		KUNIT_EXPECT_EQ(test, idgen_atomic(read)(&slot->active),
				IDGEN_FIRST_GEN | IDGEN_TAKEN);
	}
}

static unsigned long *vmid_test_no_memory(unsigned long nbits)
{
	return NULL;
}

/* Not an allocator without a map: all VMs share VMID 0. */
static void __init detect_without_memory_disables_vmids(struct kunit *test)
{
	struct kvm_vmid vm = {};

	if (!riscv_isa_extension_available(NULL, H))
		kunit_skip(test, "needs the H extension");
	kvm_riscv_gstage_vmid_exit();
	kunit_activate_static_stub(test, idgen_bitmap_zalloc,
				   vmid_test_no_memory);
	kvm_riscv_gstage_vmid_detect();
	kunit_deactivate_static_stub(test, idgen_bitmap_zalloc);
	KUNIT_EXPECT_NULL(test, vmids.map);
	KUNIT_ASSERT_EQ(test, kvm_riscv_gstage_vmid_bits(), 0);
	vmid_test_load(&vm);
	KUNIT_EXPECT_EQ(test, vm.vmid, 0);
}

static struct kunit_case __refdata riscv_kvm_vmid_cases[] = {
	KUNIT_CASE(loaded_vcpu_has_vmid),
	KUNIT_CASE(last_loaded_vm_keeps_vmid),
	KUNIT_CASE(vm_gets_new_vmid_if_taken),
	KUNIT_CASE(vcpus_share_vmid_after_rollover),
	KUNIT_CASE(each_load_stores_vmid_for_fences),
	KUNIT_CASE(first_load_after_rollover_flushes_once),
	KUNIT_CASE(vms_without_vmids_use_vmid_0),
	KUNIT_CASE(detect_makes_all_cpus_flush),
	KUNIT_CASE(detect_without_memory_disables_vmids),
	{}
};

static struct kunit_suite riscv_kvm_vmid_suite __refdata = {
	.name = "riscv_kvm_vmid",
	.init = vmid_test_init,
	.test_cases = riscv_kvm_vmid_cases,
};

/* vmid_bits is read-only after boot. */
kunit_test_init_section_suite(riscv_kvm_vmid_suite);
