// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of what KVM adds to the VMID allocator. Included by vmid.c to
 * reach its static data.
 *
 * They work with and without EL2. Each case replaces KVM's allocator by its
 * own, and the hypervisor's flush by a counter. No guest runs meanwhile, as the
 * tests run before userspace.
 */
#include <kunit/idgen_alloc.h>

#include <linux/preempt.h>
#include <linux/sched.h>

static struct idgen_alloc vmid_test_saved;
static unsigned int vmid_test_saved_bits;

static unsigned int vmid_test_flushes;
static u64 vmid_test_generation;
static bool vmid_test_in_order;

/* Called after the slot is taken and the map is rebuilt. */
static void vmid_test_flush_all(struct idgen_alloc *a)
{
	struct idgen_slot *slot = this_cpu_ptr(&vmid_slots);

	vmid_test_in_order &=
		(atomic64_read(&slot->active) & IDGEN_TAKEN) &&
		test_bit(slot->reserved & IDGEN_ID_MASK, a->map) &&
		a->generation != vmid_test_generation && !a->cursor;
	vmid_test_generation = a->generation;
	vmid_test_flushes++;
}

static const struct idgen_ops vmid_test_ops = {
	.name		= "vmid",
	.flush_all	= vmid_test_flush_all,
};

static void __init vmid_test_exit(void *unused)
{
	unsigned int cpu;

	kvm_arm_vmid_alloc_free();
	vmids = vmid_test_saved;
	kvm_arm_vmid_bits = vmid_test_saved_bits;
	for_each_possible_cpu(cpu) {
		struct idgen_slot *slot = per_cpu_ptr(&vmid_slots, cpu);

		atomic64_set(&slot->active, IDGEN_FIRST_GEN);
		slot->reserved = IDGEN_FIRST_GEN;
	}
}

static int __init vmid_test_init(struct kunit *test)
{
	/* vmid_test_exit() resets the slots: KVM must not have used them. */
	if (vmids.map)
		KUNIT_ASSERT_EQ(test, vmids.generation, IDGEN_FIRST_GEN);
	vmid_test_saved = vmids;
	vmid_test_saved_bits = kvm_arm_vmid_bits;
	KUNIT_ASSERT_EQ(test, kunit_add_action(test, vmid_test_exit, NULL), 0);

	/* Each case has its own thread: no need to restore the affinity. */
	set_cpus_allowed_ptr(current, cpumask_of(raw_smp_processor_id()));
	vmid_test_flushes = 0;
	vmid_test_generation = 0;
	vmid_test_in_order = true;

	KUNIT_ASSERT_EQ(test, kvm_arm_vmid_alloc_init(), 0);
	KUNIT_EXPECT_PTR_EQ(test, vmids.ops, &vmid_ops);
	vmids.ops = &vmid_test_ops;
	return 0;
}

static u64 vmid_test_vmid(struct kvm_vmid *vm)
{
	return atomic64_read(&vm->id) & IDGEN_ID_MASK;
}

static u64 vmid_test_slot(void)
{
	/* The thread cannot migrate. */
	return atomic64_read(&raw_cpu_ptr(&vmid_slots)->active);
}

static void vmid_test_load(struct kvm_vmid *vm)
{
	preempt_disable();
	kvm_arm_vmid_update(vm);
	preempt_enable();
}

static void vmid_test_put(void)
{
	preempt_disable();
	kvm_arm_vmid_clear_active();
	preempt_enable();
}

static void __init vmid_test_roll_over(struct kunit *test)
{
	u64 generation = vmids.generation;
	unsigned long left = idgen_alloc_nr(&vmids);

	while (vmids.generation == generation && left--) {
		struct kvm_vmid vm = {};

		vmid_test_load(&vm);
		vmid_test_put();
	}
	KUNIT_ASSERT_EQ(test, vmids.generation, generation + IDGEN_GEN_STEP);
}

static void __init loaded_vcpu_has_vmid(struct kunit *test)
{
	struct kvm_vmid vm = {};

	vmid_test_load(&vm);
	KUNIT_EXPECT_NE(test, vmid_test_vmid(&vm), 0);
	KUNIT_EXPECT_EQ(test, vmid_test_slot(), atomic64_read(&vm.id));
	vmid_test_put();
}

static void __init vmid_bits_match_hardware(struct kunit *test)
{
	/* The value that all CPUs have. */
	u64 mmfr1 = read_sanitised_ftr_reg(SYS_ID_AA64MMFR1_EL1);

	KUNIT_EXPECT_EQ(test, kvm_arm_vmid_bits, get_vmid_bits(mmfr1));
	if (strstr(saved_command_line, "idgen_alloc.bits="))
		KUNIT_EXPECT_LE(test, vmids.bits, kvm_arm_vmid_bits);
	else
		KUNIT_EXPECT_EQ(test, vmids.bits, kvm_arm_vmid_bits);
	KUNIT_EXPECT_EQ(test, vmids.usable, idgen_alloc_nr(&vmids) - 1);
	KUNIT_EXPECT_NULL(test, vmids.base);
}

static void __init sched_out_leaves_invalid_vmid(struct kunit *test)
{
	struct kvm_vmid vm = {};
	u64 value;

	vmid_test_load(&vm);
	value = atomic64_read(&vm.id);
	vmid_test_put();
	KUNIT_EXPECT_EQ(test, vmid_test_slot(), value & ~IDGEN_ID_MASK);
	/* The VM keeps its VMID. */
	KUNIT_EXPECT_EQ(test, atomic64_read(&vm.id), value);
	vmid_test_load(&vm);
	KUNIT_EXPECT_EQ(test, atomic64_read(&vm.id), value);
	vmid_test_put();
	/* A rollover does not reserve it. */
	vmid_test_roll_over(test);
	KUNIT_EXPECT_EQ(test,
			raw_cpu_ptr(&vmid_slots)->reserved & IDGEN_ID_MASK, 0);
}

static void __init vmid_0_is_never_allocated(struct kunit *test)
{
	unsigned long i;

	for (i = 0; i < 2 * idgen_alloc_nr(&vmids); i++) {
		struct kvm_vmid vm = {};

		vmid_test_load(&vm);
		KUNIT_ASSERT_NE(test, vmid_test_vmid(&vm), 0);
		vmid_test_put();
		KUNIT_ASSERT_NE(test, atomic64_read(&vm.id), vmid_test_slot());
	}
	KUNIT_EXPECT_GE(test, vmid_test_flushes, 2);
}

static void __init one_flush_per_rollover_in_order(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < 3; i++) {
		KUNIT_EXPECT_EQ(test, vmid_test_flushes, i);
		vmid_test_roll_over(test);
	}
	KUNIT_EXPECT_EQ(test, vmid_test_flushes, 3);
	KUNIT_EXPECT_TRUE(test, vmid_test_in_order);
}

static void __init loaded_vcpu_keeps_vmid_over_rollover(struct kunit *test)
{
	struct kvm_vmid vm = {};
	u64 vmid;

	vmid_test_load(&vm);
	vmid = vmid_test_vmid(&vm);
	kunit_idgen_roll_over(test, &vmids, vmid);
	KUNIT_EXPECT_EQ(test, vmid_test_slot(),
			IDGEN_TAKEN | IDGEN_FIRST_GEN | vmid);
	vmid_test_load(&vm);
	KUNIT_EXPECT_EQ(test, vmid_test_vmid(&vm), vmid);
	KUNIT_EXPECT_EQ(test, atomic64_read(&vm.id) & ~IDGEN_ID_MASK,
			vmids.generation);
	vmid_test_put();
}

static void __init put_after_rollover_frees_vmid_later(struct kunit *test)
{
	struct kvm_vmid vm = {};

	vmid_test_load(&vm);
	kunit_idgen_roll_over(test, &vmids, vmid_test_vmid(&vm));
	/* The put does not hide the rollover, which has reserved the VMID. */
	vmid_test_put();
	KUNIT_EXPECT_EQ(test, vmid_test_slot(), IDGEN_TAKEN | IDGEN_FIRST_GEN);
	KUNIT_EXPECT_EQ(test, raw_cpu_ptr(&vmid_slots)->reserved,
			atomic64_read(&vm.id));
	kunit_idgen_roll_over(test, &vmids, 0);
	KUNIT_EXPECT_EQ(test,
			raw_cpu_ptr(&vmid_slots)->reserved & IDGEN_ID_MASK, 0);
}

static void __init put_without_load_is_harmless(struct kunit *test)
{
	struct kvm_vmid vm = {};

	/* Protected mode does this. */
	vmid_test_put();
	vmid_test_put();
	KUNIT_EXPECT_EQ(test, vmid_test_slot(), IDGEN_FIRST_GEN);
	vmid_test_load(&vm);
	KUNIT_EXPECT_NE(test, vmid_test_vmid(&vm), 0);
	vmid_test_put();
}

static void __init init_works_after_free(struct kunit *test)
{
	struct kvm_vmid vm = {};

	vmid_test_load(&vm);
	kvm_arm_vmid_alloc_free();
	KUNIT_EXPECT_NULL(test, vmids.map);
	KUNIT_ASSERT_EQ(test, kvm_arm_vmid_alloc_init(), 0);
	KUNIT_EXPECT_EQ(test, vmid_test_slot(), IDGEN_FIRST_GEN);
	atomic64_set(&vm.id, 0);
	vmid_test_load(&vm);
	KUNIT_EXPECT_EQ(test, atomic64_read(&vm.id), IDGEN_FIRST_GEN | 1);
	vmid_test_put();
}

static struct kunit_case __refdata kvm_arm_vmid_cases[] = {
	KUNIT_CASE(loaded_vcpu_has_vmid),
	KUNIT_CASE(vmid_bits_match_hardware),
	KUNIT_CASE(sched_out_leaves_invalid_vmid),
	KUNIT_CASE(vmid_0_is_never_allocated),
	KUNIT_CASE(one_flush_per_rollover_in_order),
	KUNIT_CASE(loaded_vcpu_keeps_vmid_over_rollover),
	KUNIT_CASE(put_after_rollover_frees_vmid_later),
	KUNIT_CASE(put_without_load_is_harmless),
	KUNIT_CASE(init_works_after_free),
	{}
};

static struct kunit_suite kvm_arm_vmid_suite __refdata = {
	.name = "kvm_arm_vmid",
	.init = vmid_test_init,
	.test_cases = kvm_arm_vmid_cases,
};

/* The cases call init functions of KVM. */
kunit_test_init_section_suite(kvm_arm_vmid_suite);
