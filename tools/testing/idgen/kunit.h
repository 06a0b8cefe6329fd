/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The parts of KUnit and of the kernel that lib/tests/idgen_alloc_kunit.c needs
 * to run on the host, in addition to shim.h. It runs on one CPU, in seconds. A
 * warning that a case does not expect is a failure.
 */
#ifndef _IDGEN_KUNIT_H
#define _IDGEN_KUNIT_H

#define __printf(a, b)		__attribute__((format(printf, a, b)))
#define VISIBLE_IF_KUNIT
#define EXPORT_SYMBOL_IF_KUNIT(s)

/* There is one stub. */
#define KUNIT_STATIC_STUB_REDIRECT(func, args...) do {			\
	if (kunit_stub_of == (void *)(func))				\
		return ((typeof(&(func)))kunit_stub)(args);		\
} while (0)

#include <limits.h>
#include <stdarg.h>

#include "shim.h"

extern void *kunit_stub_of, *kunit_stub;

#define kunit_activate_static_stub(test, func, with) \
	(kunit_stub = (void *)(with), kunit_stub_of = (void *)(func))
#define kunit_deactivate_static_stub(test, func)	(kunit_stub_of = NULL)

/*
 * KUnit
 */

enum { KUNIT_SUCCESS, KUNIT_FAILURE, KUNIT_SKIPPED };

struct kunit {
	const void *param_value;
	int status;
};

struct kunit_case {
	void (*run)(struct kunit *test);
	const char *name;
	const void *(*params)(const void *had, const char **desc);
};

struct kunit_suite {
	const char *name;
	struct kunit_case *test_cases;
};

#define KUNIT_CASE(func)		{ func, #func }
#define KUNIT_CASE_PARAM(func, gen)	{ func, #func, gen }
#define kunit_test_suite(suite)		struct kunit_suite *kunit_the_suite = &(suite)

#define KUNIT_ARRAY_PARAM_DESC(param, array, member)			\
static const void *param##_gen_params(const void *had, const char **desc) \
{									\
	typeof(&(array)[0]) next = had ? (typeof(next))had + 1 : (array); \
									\
	if (next == (array) + sizeof(array) / sizeof((array)[0]))	\
		return NULL;						\
	*desc = next->member;						\
	return next;							\
}

void kunit_failed(struct kunit *test, bool fatal, int line, const char *what,
		  const char *fmt, ...);
void kunit_skipped(struct kunit *test, const char *why);
void kunit_add_action(void (*action)(void *), void *ctx);
void *kunit_alloc(size_t size);

/* Count expected warnings. All others fail the case. */
extern int kunit_warnings;
bool kunit_suppress(bool on);
#define kunit_warning_suppress(test)					\
	for (bool __on = kunit_suppress(true); __on; __on = kunit_suppress(false))
#define KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, n)			\
	KUNIT_EXPECT_EQ(test, kunit_warnings, n)

#define kunit_skip(test, why)				kunit_skipped(test, why)
#define kunit_info(test, fmt, ...)			((void)(test))
#define kunit_kzalloc(test, size, flags)		kunit_alloc(size)
#define kunit_kcalloc(test, n, size, flags)		kunit_alloc((n) * (size))
#define kunit_add_action_or_reset(test, action, ctx)	(kunit_add_action(action, ctx), 0)

#define KUNIT_FAIL(test, fmt...)	kunit_failed(test, false, __LINE__, "", fmt)
#define KUNIT_IS(test, fatal, cond, fmt...) do {			\
	if (!(cond))							\
		kunit_failed(test, fatal, __LINE__, #cond, fmt);	\
} while (0)
#define KUNIT_COMPARE(test, fatal, a, op, b, fmt...) do {		\
	__auto_type __a = (a);						\
	__auto_type __b = (b);						\
									\
	if (!(__a op __b)) {						\
		fprintf(stderr, "  %s %llx, %s %llx\n", #a, (u64)__a, #b, (u64)__b); \
		kunit_failed(test, fatal, __LINE__, #a " " #op " " #b, fmt); \
	}								\
} while (0)

#define KUNIT_EXPECT_TRUE(test, c)		KUNIT_IS(test, false, c, NULL)
#define KUNIT_ASSERT_TRUE(test, c)		KUNIT_IS(test, true, c, NULL)
#define KUNIT_EXPECT_FALSE(test, c)		KUNIT_IS(test, false, !(c), NULL)
#define KUNIT_ASSERT_FALSE(test, c)		KUNIT_IS(test, true, !(c), NULL)
#define KUNIT_EXPECT_FALSE_MSG(test, c, fmt...)	KUNIT_IS(test, false, !(c), fmt)
#define KUNIT_EXPECT_NULL(test, p)		KUNIT_IS(test, false, !(p), NULL)
#define KUNIT_ASSERT_NULL(test, p)		KUNIT_IS(test, true, !(p), NULL)
#define KUNIT_ASSERT_NOT_NULL(test, p)		KUNIT_IS(test, true, p, NULL)
#define KUNIT_EXPECT_EQ(test, a, b)		KUNIT_COMPARE(test, false, a, ==, b, NULL)
#define KUNIT_ASSERT_EQ(test, a, b)		KUNIT_COMPARE(test, true, a, ==, b, NULL)
#define KUNIT_EXPECT_EQ_MSG(test, a, b, fmt...)	KUNIT_COMPARE(test, false, a, ==, b, fmt)
#define KUNIT_EXPECT_NE(test, a, b)		KUNIT_COMPARE(test, false, a, !=, b, NULL)
#define KUNIT_ASSERT_NE(test, a, b)		KUNIT_COMPARE(test, true, a, !=, b, NULL)
#define KUNIT_EXPECT_NE_MSG(test, a, b, fmt...)	KUNIT_COMPARE(test, false, a, !=, b, fmt)
#define KUNIT_ASSERT_LT(test, a, b)		KUNIT_COMPARE(test, true, a, <, b, NULL)
#define KUNIT_EXPECT_LT_MSG(test, a, b, fmt...)	KUNIT_COMPARE(test, false, a, <, b, fmt)
#define KUNIT_EXPECT_GT(test, a, b)		KUNIT_COMPARE(test, false, a, >, b, NULL)
#define KUNIT_EXPECT_GT_MSG(test, a, b, fmt...)	KUNIT_COMPARE(test, false, a, >, b, fmt)
#define KUNIT_EXPECT_GE_MSG(test, a, b, fmt...)	KUNIT_COMPARE(test, false, a, >=, b, fmt)
#define KUNIT_EXPECT_STREQ(test, a, b)		KUNIT_IS(test, false, !strcmp(a, b), "%s", a)
#define KUNIT_EXPECT_GE(test, a, b)		KUNIT_COMPARE(test, false, a, >=, b, NULL)

/* Module parameters, as NAME=VALUE on the command line. */
struct kunit_param {
	const char *name;
	long *value;
	size_t size;
	struct kunit_param *next;
};

extern struct kunit_param *kunit_params;

#define module_param(param, type, mode)					\
__attribute__((constructor)) static void kunit_param_##param(void)	\
{									\
	static struct kunit_param p = { #param, (long *)&param, sizeof(param) }; \
									\
	p.next = kunit_params;						\
	kunit_params = &p;						\
}

#define MODULE_DESCRIPTION(...)
#define MODULE_LICENSE(...)
#define MODULE_IMPORT_NS(...)

/*
 * The rest of the kernel
 */

#define CONFIG_PRINTK		1
#define CONFIG_X86		0
#define BIT(n)			(1UL << (n))
#define GENMASK(h, l)		((unsigned long)GENMASK_ULL(h, l))
#define REFCOUNT_MAX		INT_MAX
#define READ_ONCE(x)		(*(volatile typeof(x) *)&(x))
#define container_of(p, type, member) ((type *)((char *)(p) - offsetof(type, member)))
#define hweight64(x)		__builtin_popcountll(x)
#define vscnprintf		vsnprintf

static inline void bitmap_set(unsigned long *map, unsigned long from, unsigned long nr)
{
	while (nr--)
		__set_bit(from++, map);
}

#define bitmap_fill(map, nr)	bitmap_set(map, 0, nr)

struct rnd_state {
	u64 s;
};

static inline void prandom_seed_state(struct rnd_state *rnd, u64 seed)
{
	rnd->s = seed * 0x9e3779b97f4a7c15ULL | 1;
}

static inline u32 prandom_u32_state(struct rnd_state *rnd)
{
	rnd->s ^= rnd->s >> 12;
	rnd->s ^= rnd->s << 25;
	rnd->s ^= rnd->s >> 27;
	return rnd->s * 2685821657736338717ULL >> 32;
}

u64 get_random_u64(void);

/* The kernel log. Each reader has its own position. */
struct kmsg_dump_iter {
	size_t at;
};

#undef pr_info
#undef pr_warn
#define pr_info(fmt, ...)	kunit_log(pr_fmt(fmt), ##__VA_ARGS__)
#define pr_warn			pr_info
void __printf(1, 2) kunit_log(const char *fmt, ...);
bool kmsg_dump_get_line(struct kmsg_dump_iter *log, bool syslog, char *line,
			size_t size, size_t *len);
#define kmsg_dump_rewind(log)	((log)->at = 0)

#undef panic
void __printf(1, 2) panic(const char *fmt, ...);

struct kernel_param {
	const char *name;
	void *arg;
};

#undef param_set_charp
int param_set_charp(const char *val, const struct kernel_param *kp);
#define param_free_charp(arg)	free(*(arg))

/* There is one CPU, so a percpu pointer is a plain pointer. */
#define num_online_cpus()		1U
#define for_each_online_cpu(cpu)	for_each_possible_cpu(cpu)
#define cpus_read_lock()
#define cpus_read_unlock()
#define DEFINE_PER_CPU(type, name)	__typeof__(type) name
#define this_cpu_ptr(p)			(p)
#define get_cpu_ptr(p)			(p)
#define put_cpu_ptr(p)
#define __this_cpu_read(var)		(var)
#define __this_cpu_write(var, value)	((var) = (value))
#define preempt_disable()
#define preempt_enable()
#define local_irq_save(flags)		((void)((flags) = 0))
#define local_irq_restore(flags)	((void)(flags))
/* Whether the lock is held. */
bool irqs_disabled(void);

/* Cases that need two CPUs are skipped, but must compile. */
struct task_struct;
struct completion { };
#define atomic_inc(v)			((void)(v)->counter++)
#define atomic_inc_return(v)		(++(v)->counter)
#define atomic_xchg(v, i)		atomic_xchg_relaxed(v, i)
#define kthread_create_on_cpu(fn, data, cpu, name) ((void)(fn), (struct task_struct *)NULL)
#define IS_ERR(p)			(!(p))
#define wake_up_process(task)
#define init_completion(done)		((void)(done))
#define wait_for_completion(done)
#define kthread_complete_and_exit(done, code)	return 0
#define cond_resched()

#endif /* _IDGEN_KUNIT_H */
