/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The parts of the kernel that the compared allocators need on the host: ours with its two
 * users, arm64's two originals, and csky's library. All are built unchanged. Every header
 * that they include is this one, so they have the same CPUs, bitmaps and atomics.
 *
 * Frequent operations cost about as much as in a kernel: bitmaps are searched by words, out
 * of line; CPUs are found in a mask, and per-CPU variables by a table of offsets. As
 * instructions are counted, nothing here uses a library of the host, whose code depends on
 * the host's CPU. Hardware (TLBs, registers) costs nothing.
 */
#ifndef _IDGEN_BENCH_MACHINE_H
#define _IDGEN_BENCH_MACHINE_H

#include <valgrind/callgrind.h>

#include "../../../tools/testing/idgen/base.h"

#ifdef BENCH_THREADS
#define PER_THREAD		__thread
#else
#define PER_THREAD
#endif

/* Compiler and build */

#define CONFIG_64BIT		1
#define IS_ENABLED(option)	0
#define IS_MODULE(option)	0
#define WRITE_ONCE(x, i)	(*(volatile __typeof__(x) *)&(x) = (i))
#define noinline		__attribute__((noinline))
#define fallthrough		__attribute__((fallthrough))
#define __ro_after_init
#define asmlinkage
#define EXPORT_SYMBOL_GPL(s)
/* A program has only one of each. */
#define early_initcall(fn)	int bench_early_init(void) { return fn(); }
#define arch_initcall(fn)	int bench_arch_init(void) { return fn(); }

#define GENMASK(h, l)		((~0UL >> (63 - (h))) & (~0UL << (l)))
#define ilog2(n)		(63 - __builtin_clzl(n))

#define kcalloc(n, size, flags)	bench_alloc((n) * (size))
#define kfree(ptr)		bench_free(ptr)

#define pr_info(...)		((void)0)
#define pr_warn(...)		((void)0)
#define pr_err(...)		fprintf(stderr, __VA_ARGS__)
#define pr_crit(...)		fprintf(stderr, __VA_ARGS__)
#define panic(...)		(fprintf(stderr, __VA_ARGS__), exit(1))
#define WARN(cond, ...)		({ bool __bad = (cond); unlikely(__bad); })
#define WARN_ONCE(cond, ...)	WARN(cond)
#define WARN_ON(cond)		WARN(cond)
#define WARN_ON_ONCE(cond)	WARN(cond)
#define lockdep_assert_held(l)	((void)0)
#define trace_idgen_rollover(a, reserved)	((void)(reserved))
#define trace_idgen_slow_path(...)	((void)0)
#define trace_idgen_rollover_enabled()	false
#define trace_idgen_slow_path_enabled()	false

/* Zero-filled. */
void *bench_alloc(size_t size);
void bench_free(void *ptr);

/* Atomics */

typedef struct {
	u64 counter;
} atomic64_t;

#define atomic64_read(v)	__atomic_load_n(&(v)->counter, __ATOMIC_RELAXED)
#define atomic64_set(v, i)	__atomic_store_n(&(v)->counter, (i), __ATOMIC_RELAXED)
#define atomic64_xchg_relaxed(v, i) \
	__atomic_exchange_n(&(v)->counter, (i), __ATOMIC_RELAXED)
#define atomic64_add_return_relaxed(i, v) \
	__atomic_add_fetch(&(v)->counter, (i), __ATOMIC_RELAXED)
#define atomic64_fetch_or_relaxed(i, v) \
	__atomic_fetch_or(&(v)->counter, (i), __ATOMIC_RELAXED)
#define atomic64_andnot(i, v) \
	((void)__atomic_fetch_and(&(v)->counter, ~(i), __ATOMIC_RELAXED))

static inline u64 atomic64_cmpxchg_relaxed(atomic64_t *v, u64 old, u64 new)
{
	__atomic_compare_exchange_n(&v->counter, &old, new, false,
				    __ATOMIC_RELAXED, __ATOMIC_RELAXED);
	return old;
}

#define refcount_read(r)	__atomic_load_n(&(r)->refs, __ATOMIC_RELAXED)
#define refcount_set(r, n)	__atomic_store_n(&(r)->refs, (n), __ATOMIC_RELAXED)

/* With the kernel's checks for overflow and underflow. */

static inline void bench_saturate(refcount_t *r)
{
	r->refs = 0xc0000000;
}

static inline bool refcount_inc_not_zero(refcount_t *r)
{
	u32 n = refcount_read(r);

	do {
		if (!n)
			return false;
	} while (!__atomic_compare_exchange_n(&r->refs, &n, n + 1, false,
					      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	if (unlikely((int)n < 0 || (int)(n + 1) < 0))
		bench_saturate(r);
	return true;
}

static inline void refcount_inc(refcount_t *r)
{
	int n = __atomic_fetch_add(&r->refs, 1, __ATOMIC_RELAXED);

	if (unlikely(n <= 0 || n + 1U > INT32_MAX))
		bench_saturate(r);
}

static inline bool refcount_dec_and_test(refcount_t *r)
{
	int n = __atomic_fetch_sub(&r->refs, 1, __ATOMIC_RELEASE);

	if (n == 1)
		return true;
	if (unlikely(n <= 0))
		bench_saturate(r);
	return false;
}

static inline void refcount_dec(refcount_t *r)
{
	if (unlikely((int)__atomic_fetch_sub(&r->refs, 1, __ATOMIC_RELEASE) <= 1))
		bench_saturate(r);
}

/* Not inline, as in the kernel. */
bool refcount_dec_not_one(refcount_t *r);

/*
 * The lock. It is uncontended if one thread simulates all CPUs. Interrupts and preemption
 * are variables. bench_count_locked counts only code under the lock.
 */

extern bool bench_count_locked;

typedef struct {
	u32 taken;
} raw_spinlock_t;

unsigned long bench_lock(raw_spinlock_t *lock);
void bench_unlock(raw_spinlock_t *lock, unsigned long flags);

#define DEFINE_RAW_SPINLOCK(name)		raw_spinlock_t name
#define raw_spin_lock_init(lock)		((lock)->taken = 0)
#define raw_spin_lock_irqsave(lock, flags)	((flags) = bench_lock(lock))
#define raw_spin_unlock_irqrestore(lock, flags)	bench_unlock(lock, flags)

/* Bitmaps */

#define BITS_PER_BYTE		8

unsigned long find_next_bit(const unsigned long *map, unsigned long nr, unsigned long from);
unsigned long find_next_zero_bit(const unsigned long *map, unsigned long nr,
				 unsigned long from);
unsigned long find_first_zero_bit(const unsigned long *map, unsigned long nr);
unsigned long bitmap_weight(const unsigned long *map, unsigned long nr);
bool bitmap_subset(const unsigned long *part, const unsigned long *map, unsigned long nr);
void bitmap_copy(unsigned long *to, const unsigned long *from, unsigned long nr);
void bitmap_fill(unsigned long *map, unsigned long nr);
void bitmap_zero(unsigned long *map, unsigned long nr);
void bitmap_clear(unsigned long *map, unsigned long from, unsigned long nr);
unsigned long *bitmap_zalloc(unsigned long nr, int flags);
void bitmap_free(unsigned long *map);

static inline unsigned long roundup_pow_of_two(unsigned long n)
{
	return n <= 1 ? 1 : 2UL << ilog2(n - 1);
}

/* Per-CPU variables: copies of one section, at the offsets in a table */

#define NR_CPUS			4096

typedef struct {
	unsigned long bits[BITS_TO_LONGS(NR_CPUS)];
} cpumask_t;

extern unsigned int nr_cpu_ids;
extern cpumask_t bench_possible;
extern unsigned long __per_cpu_offset[NR_CPUS];
/* The CPU that is simulated. With BENCH_THREADS, each thread has one. */
extern PER_THREAD unsigned int bench_cpu;
extern PER_THREAD unsigned long bench_cpu_offset;

#define cpu_possible_mask	(&bench_possible)
#define num_possible_cpus()	nr_cpu_ids
#define smp_processor_id()	bench_cpu
#define cpumask_bits(mask)	((mask)->bits)
#define cpumask_next(cpu, mask)	find_next_bit((mask)->bits, nr_cpu_ids, (cpu) + 1)
#define for_each_possible_cpu(cpu) \
	for ((cpu) = 0; (cpu) = find_next_bit(bench_possible.bits, nr_cpu_ids, (cpu)), \
	     (cpu) < nr_cpu_ids; (cpu)++)
#define cpumask_setall(mask)	bitmap_fill((mask)->bits, nr_cpu_ids)
#define cpumask_clear(mask)	bitmap_zero((mask)->bits, nr_cpu_ids)

static inline void cpumask_set_cpu(unsigned int cpu, cpumask_t *mask)
{
	__atomic_fetch_or(&mask->bits[cpu / BITS_PER_LONG], 1UL << cpu % BITS_PER_LONG,
			  __ATOMIC_RELAXED);
}

static inline bool cpumask_test_and_clear_cpu(unsigned int cpu, cpumask_t *mask)
{
	unsigned long bit = 1UL << cpu % BITS_PER_LONG;

	return __atomic_fetch_and(&mask->bits[cpu / BITS_PER_LONG], ~bit,
				  __ATOMIC_SEQ_CST) & bit;
}

#define DEFINE_PER_CPU(type, name) \
	__attribute__((section("percpu"))) __typeof__(type) name
#define shift_ptr(ptr, by)	((__typeof__(ptr))((unsigned long)(ptr) + (by)))
#define per_cpu_ptr(ptr, cpu)	shift_ptr(ptr, __per_cpu_offset[cpu])
#define per_cpu(var, cpu)	(*per_cpu_ptr(&(var), cpu))
#define this_cpu_ptr(ptr)	shift_ptr(ptr, bench_cpu_offset)

/* arm64: the benchmark sets the ID bits; no KPTI, no CnP, no errata */

extern unsigned int bench_bits;

#define ID_AA64MMFR0_EL1_ASIDBITS_SHIFT		4
#define ID_AA64MMFR0_EL1_ASIDBITS_8		0
#define ID_AA64MMFR0_EL1_ASIDBITS_16		2
#define read_cpuid(reg)				0
#define cpuid_feature_extract_unsigned_field(reg, shift) \
	((void)(reg), bench_bits == 16 ? ID_AA64MMFR0_EL1_ASIDBITS_16 : ID_AA64MMFR0_EL1_ASIDBITS_8)
#define cpu_panic_kernel()			abort()
#define arm64_kernel_unmapped_at_el0()		false
#define system_capabilities_finalized()		true
#define system_supports_cnp()			false
#define system_uses_ttbr0_pan()			false
#define arm64_apply_bp_hardening()		((void)0)
#define cpu_set_reserved_ttbr0()		((void)0)
#define cpu_set_reserved_ttbr0_nosync()		((void)0)
#define cpu_switch_mm(pgd, mm)			cpu_do_switch_mm(__lm_to_phys(pgd), mm)
#define __lm_to_phys(addr)			((phys_addr_t)(addr))
#define local_flush_tlb_all()			((void)0)
#define kvm_call_hyp(fn)			((void)0)
#define kvm_get_vmid_bits()			bench_bits

/* Registers cost nothing. */
#define TTBRx_EL1_ASID_MASK			(0xffffUL << 48)
#define TTBR_ASID_MASK				TTBRx_EL1_ASID_MASK
#define TTBRx_EL1_CnP				1UL
#define TTBR_CNP_BIT				1UL
#define FIELD_PREP(mask, value)			((value) << __builtin_ctzl(mask) & (mask))
#define ASID(mm)				((mm)->context.id.counter & 0xffff)
#define phys_to_ttbr(phys)			(phys)
#define read_sysreg(reg)			0UL
#define write_sysreg(value, reg)		((void)(value))
#define isb()					((void)0)
#define ALTERNATIVE(old, new, cap)		old

typedef unsigned long phys_addr_t;

struct mm_struct {
	struct {
		union {
			atomic64_t id;
			atomic64_t asid;
		};
		refcount_t pinned;
	} context;
	void *pgd;
	/* Only csky's library uses it. It is last, so that the others can omit it. */
	cpumask_t cpus;
};

#define mm_cpumask(mm)		(&(mm)->cpus)

struct kvm_vmid {
	atomic64_t id;
};

extern unsigned int kvm_arm_vmid_bits;

void check_and_switch_context(struct mm_struct *mm);
unsigned long arm64_mm_context_get(struct mm_struct *mm);
void arm64_mm_context_put(struct mm_struct *mm);
void verify_cpu_asid_bits(void);
void post_ttbr_update_workaround(void);
void cpu_do_switch_mm(phys_addr_t pgd_phys, struct mm_struct *mm);
void kvm_arm_vmid_update(struct kvm_vmid *kvm_vmid);
void kvm_arm_vmid_clear_active(void);
int kvm_arm_vmid_alloc_init(void);
void kvm_arm_vmid_alloc_free(void);
int bench_early_init(void);
int bench_arch_init(void);

#endif /* _IDGEN_BENCH_MACHINE_H */
