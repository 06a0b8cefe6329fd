// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit case of the fix kvm-riscv-gstage-vmid, on our allocator. gstage-fence.sh makes vmid.c
 * include it after vmid_kunit.c.
 */
#include <asm/kvm_gstage.h>

/* A VM with one vCPU, with only the fields that fences need. */
static struct kvm *gstage_test_vm(struct kunit *test)
{
	struct kvm *kvm = kunit_kzalloc(test, sizeof(*kvm), GFP_KERNEL);
	struct kvm_vcpu *vcpu = kunit_kzalloc(test, sizeof(*vcpu), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, kvm);
	KUNIT_ASSERT_NOT_NULL(test, vcpu);
	spin_lock_init(&vcpu->arch.hfence_lock);
	vcpu->kvm = kvm;
	xa_init(&kvm->vcpu_array);
	KUNIT_ASSERT_EQ(test, xa_err(xa_store(&kvm->vcpu_array, 0, vcpu, GFP_KERNEL)), 0);
	atomic_set(&kvm->online_vcpus, 1);
	return kvm;
}

/*
 * A fault sleeps after kvm_riscv_gstage_init(). When it continues, the VM has another VMID. Another
 * vCPU may have loaded the old entry with that VMID.
 */
static void __init fence_after_sleep_is_for_new_vmid(struct kunit *test)
{
	struct kvm *kvm = gstage_test_vm(test);
	struct kvm_riscv_hfence *fence = kvm_get_vcpu(kvm, 0)->arch.hfence_queue;
	struct kvm_vmid *vm = &kvm->arch.vmid, other = {};
	struct kvm_gstage gstage;
	pte_t pte = __pte(0);
	unsigned long vmid;

	vmid_test_load(vm);
	vmid = vm->vmid;
	kvm_riscv_gstage_init(&gstage, kvm);
	vmid_test_load(&other);
	vmid_test_roll_over(test);
	vmid_test_take(vmid);
	vmid_test_load(vm);
	KUNIT_ASSERT_NE(test, vm->vmid, vmid);

	KUNIT_EXPECT_TRUE(test, kvm_riscv_gstage_try_update_pte(&gstage, 0, 0, &pte,
								__pte(0), __pte(1)));
	KUNIT_EXPECT_EQ(test, fence[0].type, KVM_RISCV_HFENCE_GVMA_VMID_GPA);
	KUNIT_EXPECT_EQ(test, fence[0].vmid, vm->vmid);
	xa_destroy(&kvm->vcpu_array);
}

static struct kunit_case __refdata riscv_kvm_gstage_cases[] = {
	KUNIT_CASE(fence_after_sleep_is_for_new_vmid),
	{}
};

static struct kunit_suite riscv_kvm_gstage_suite __refdata = {
	.name = "riscv_kvm_gstage",
	.init = vmid_test_init,
	.exit = vmid_test_exit,
	.test_cases = riscv_kvm_gstage_cases,
};

kunit_test_init_section_suite(riscv_kvm_gstage_suite);
