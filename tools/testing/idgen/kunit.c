// SPDX-License-Identifier: GPL-2.0-only
/* Runs the KUnit cases of a suite built with kunit.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <time.h>
#include <unistd.h>

#include "kunit.h"

void *kunit_stub_of, *kunit_stub;
struct kunit_param *kunit_params;
unsigned int nr_cpu_ids = 1;

extern struct kunit_suite *kunit_the_suite;

static jmp_buf aborted;
static struct kunit *running;
static bool locked, suppressing;
int kunit_warnings;

static char messages[65536];
static size_t messages_end;

static struct action {
	void (*action)(void *ctx);
	void *ctx;
} *actions;
static unsigned int nr_actions;

void kunit_failed(struct kunit *test, bool fatal, int line, const char *what,
		  const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "  line %d: %s", line, what);
	if (fmt) {
		fprintf(stderr, ": ");
		va_start(args, fmt);
		vfprintf(stderr, fmt, args);
		va_end(args);
	}
	fputc('\n', stderr);
	test->status = KUNIT_FAILURE;
	if (fatal)
		longjmp(aborted, 1);
}

void kunit_skipped(struct kunit *test, const char *why)
{
	test->status = KUNIT_SKIPPED;
	longjmp(aborted, 1);
}

void kunit_add_action(void (*action)(void *), void *ctx)
{
	actions = realloc(actions, (nr_actions + 1) * sizeof(*actions));
	actions[nr_actions++] = (struct action){ action, ctx };
}

void *kunit_alloc(size_t size)
{
	void *p = calloc(1, size);

	kunit_add_action(free, p);
	return p;
}

u64 get_random_u64(void)
{
	return (u64)time(NULL) << 16 ^ (u64)getpid();
}

bool irqs_disabled(void)
{
	return locked;
}

bool kunit_suppress(bool on)
{
	if (on)
		kunit_warnings = 0;
	suppressing = on;
	return on;
}

void kunit_log(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	messages_end += vsnprintf(messages + messages_end, sizeof(messages) - messages_end, fmt,
				  args);
	va_end(args);
	if (messages_end >= sizeof(messages)) {
		fprintf(stderr, "error: no room for messages\n");
		exit(2);
	}
}

bool kmsg_dump_get_line(struct kmsg_dump_iter *log, bool syslog, char *line, size_t size,
			size_t *len)
{
	const char *next = messages + log->at;

	if (log->at == messages_end)
		return false;
	*len = strcspn(next, "\n");
	log->at += *len + 1;
	snprintf(line, size, "%.*s", (int)*len, next);
	*len = strlen(line);
	return true;
}

int param_set_charp(const char *val, const struct kernel_param *kp)
{
	if (strlen(val) > 1024) {
		kunit_log("%s: string parameter too long\n", kp->name);
		return -ENOSPC;
	}
	free(*(char **)kp->arg);
	*(char **)kp->arg = strdup(val);
	return 0;
}

void panic(const char *fmt, ...)
{
	kunit_failed(running, true, 0, "panic", "%s", fmt);
	abort();
}

void shim_bad(const char *what)
{
	if (suppressing)
		kunit_warnings++;
	else if (running)
		kunit_failed(running, false, 0, "warning", "%.*s", (int)strcspn(what, "\n"), what);
}

void shim_point(const char *what, const void *where)
{
}

void shim_rollover(unsigned int reserved)
{
}

void shim_slow_path(u64 old, u64 value, bool flush)
{
}

void shim_lock_init(raw_spinlock_t *lock)
{
}

void shim_lock(raw_spinlock_t *lock)
{
	if (locked)
		kunit_failed(running, true, 0, "lock", "taken twice");
	locked = true;
}

void shim_unlock(raw_spinlock_t *lock)
{
	locked = false;
}

bool shim_locked(const raw_spinlock_t *lock)
{
	return locked;
}

/* Run a case, print its KTAP line and return its status. */
static int run(const struct kunit_case *c, const void *param, const char *desc, unsigned int number)
{
	struct kunit test = { .param_value = param };

	running = &test;
	locked = false;
	suppressing = false;
	messages_end = 0;
	if (!setjmp(aborted))
		c->run(&test);
	while (nr_actions) {
		nr_actions--;
		actions[nr_actions].action(actions[nr_actions].ctx);
	}
	kunit_stub_of = NULL;
	running = NULL;
	printf("%sok %u %s%s%s%s\n", test.status == KUNIT_FAILURE ? "not " : "", number, c->name,
	       *desc ? ": " : "", desc, test.status == KUNIT_SKIPPED ? " # SKIP" : "");
	return test.status;
}

static bool set_param(const char *arg)
{
	struct kunit_param *p;
	unsigned long value;
	size_t length;
	char *end;

	for (p = kunit_params; p; p = p->next) {
		length = strlen(p->name);
		if (strncmp(arg, p->name, length) || arg[length] != '=')
			continue;
		errno = 0;
		value = strtoul(arg + length + 1, &end, 0);
		if (errno || end == arg + length + 1 || *end ||
		    (p->size != sizeof(long) && value > INT_MAX))
			return false;
		if (p->size == sizeof(long))
			*p->value = value;
		else
			*(int *)p->value = value;
		return true;
	}
	return false;
}

int main(int argc, char **argv)
{
	unsigned int count[3] = {}, number;
	struct kunit_case *c;
	int i;

	for (i = 1; i < argc; i++)
		if (!set_param(argv[i])) {
			fprintf(stderr, "error: %s: no parameter of the suite, or not a number\n",
				argv[i]);
			return 2;
		}

	/* The plan comes first, so count before the run. */
	for (i = 0; i < 2; i++) {
		number = 0;
		for (c = kunit_the_suite->test_cases; c->run; c++) {
			const char *desc = "";
			const void *param = c->params ? c->params(NULL, &desc) : NULL;

			do {
				number++;
				if (i)
					count[run(c, param, desc, number)]++;
				param = c->params ? c->params(param, &desc) : NULL;
			} while (param);
		}
		if (!i)
			printf("KTAP version 1\n1..%u\n", number);
	}
	printf("# %u passed, %u failed, %u skipped\n", count[KUNIT_SUCCESS], count[KUNIT_FAILURE],
	       count[KUNIT_SKIPPED]);
	return count[KUNIT_FAILURE] || !count[KUNIT_SUCCESS];
}
