// SPDX-License-Identifier: GPL-2.0-only
/*
 * asid_rollover: run more processes than there are ASIDs.
 *
 * All processes use the same virtual addresses. Each word of a process's memory
 * names the process, when it was written, and its place. A translation that
 * belongs to another process, or to an earlier mapping, reads a wrong word.
 *
 *   residents	read all their words, write new ones, yield, sleep, change CPUs
 *   families	threads of one process on all CPUs; one thread remaps, protects,
 *		forks and copies what the others read and write
 *   storms	fork, vfork and exec of processes that live long enough to check
 *   spenders	fork processes that do nothing, to use up ASIDs
 *
 * How many processes it takes for a rollover: 255 with 8-bit ASIDs, 65,535 with
 * 16-bit ones, and half of them where the kernel keeps one ASID of each pair
 * (KPTI on arm64). They need not exist at the same time. The time per process
 * depends on the machine. The program prints it. A kernel that has the boot
 * parameter idgen_alloc.bits= can use fewer ASIDs: "idgen_alloc.bits=asid:4"
 * leaves 15.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "../kselftest.h"
#include "idgen_rollovers.h"

#define CHUNK		4096
#define WORDS		(CHUNK / sizeof(uint64_t))
#define MAX_PAGE	65536
#define OWN_WORDS	(4 * WORDS)
#define WINDOW_SIZE	(2 * MAX_PAGE)
#define WINDOW_WORDS	(WINDOW_SIZE / CHUNK * 2)
#define WINDOW_STEP	(WINDOW_SIZE / sizeof(uint64_t) / WINDOW_WORDS)
#define MAX_THREADS	16
#define MAX_SHOWN	20

/* The maximum of the architecture, to compute rollovers without the event. */
#if defined(__aarch64__) || (defined(__riscv) && __riscv_xlen == 64)
#define MAX_ASIDS	65536UL
#elif defined(__riscv)
#define MAX_ASIDS	512UL
#elif defined(__arm__)
#define MAX_ASIDS	256UL
#else
#define MAX_ASIDS	65536UL
#endif

/* Shared by all processes. */
static struct shared {
	atomic_int stop;
	atomic_uint names;
	atomic_ulong checks, wrong, died;
	atomic_ulong forks, execs, remaps;
} *shared;

/* Private to each process, at the same address. */
static uint64_t own[OWN_WORDS] __attribute__((aligned(MAX_PAGE)));
/* Private to each family. */
static uint64_t counter[MAX_THREADS][WORDS] __attribute__((aligned(MAX_PAGE)));
static uint64_t *window;
static atomic_uint sequence;

static unsigned int name;
static unsigned int cpus;
static _Thread_local uint64_t seed;

/* One write for each line, so that those of several processes stay apart. */
static __printf(2, 3)
void complain(atomic_ulong *count, const char *fmt, ...)
{
	char line[256];
	va_list args;
	int len;

	if (atomic_fetch_add(count, 1) >= MAX_SHOWN)
		return;
	len = snprintf(line, sizeof(line),
		       "# asid_rollover: wrong: process %u on CPU%d: ",
		       name, sched_getcpu());
	va_start(args, fmt);
	len += vsnprintf(line + len, sizeof(line) - len - 1, fmt, args);
	va_end(args);
	if (len > (int)sizeof(line) - 2)
		len = sizeof(line) - 2;
	line[len++] = '\n';
	if (write(STDOUT_FILENO, line, len) != len)
		_exit(KSFT_FAIL);
}

#define wrong(...)	complain(&shared->wrong, __VA_ARGS__)

static __noreturn void die(const char *what)
{
	complain(&shared->died, "%s: %s", what, strerror(errno));
	_exit(KSFT_FAIL);
}

static uint64_t random_below(uint64_t n)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return (seed * 0x2545f4914f6cdd1dULL >> 16) % n;
}

static void take_name(void)
{
	name = atomic_fetch_add(&shared->names, 1);
	seed += 0x9e3779b97f4a7c15ULL * name;
	seed = seed ?: 1;
}

/* Allow one CPU or all. The CPU may be offline, which is no error. */
static void migrate(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(random_below(cpus), &set);
	if (!random_below(4) || sched_setaffinity(0, sizeof(set), &set)) {
		memset(&set, 0xff, sizeof(set));
		sched_setaffinity(0, sizeof(set), &set);
	}
}

static void pass_time(void)
{
	if (!random_below(16))
		migrate();
	if (!random_below(4))
		usleep(random_below(5000));
	else
		sched_yield();
}

static uint64_t word(unsigned int epoch, unsigned int index)
{
	return (uint64_t)name << 32 | (uint64_t)(epoch & 0xffff) << 16 | index;
}

static void fill(volatile uint64_t *words, unsigned int n, unsigned int step,
		 unsigned int epoch)
{
	for (unsigned int i = 0; i < n; i++)
		words[i * step] = word(epoch, i);
}

/* Returns the index of the first wrong word, or -1. */
static int compare(const volatile uint64_t *words, unsigned int n,
		   unsigned int step, unsigned int epoch, uint64_t *found)
{
	for (unsigned int i = 0; i < n; i++) {
		*found = words[i * step];
		if (*found != word(epoch, i))
			return i;
	}
	return -1;
}

static void count(unsigned long n)
{
	atomic_fetch_add_explicit(&shared->checks, n, memory_order_relaxed);
}

static void check_own(unsigned int epoch, const char *who)
{
	uint64_t found;
	int i = compare(own, OWN_WORDS, 1, epoch, &found);

	count(OWN_WORDS);
	if (i >= 0)
		wrong("%s: word %d is %#" PRIx64 ", not %#" PRIx64, who, i,
		      found, word(epoch, i));
}

static bool stopping(void)
{
	return atomic_load_explicit(&shared->stop, memory_order_relaxed);
}

static void resident(void)
{
	unsigned int epoch = 0;

	fill(own, OWN_WORDS, 1, epoch);
	while (!stopping()) {
		check_own(epoch, "resident");
		if (!random_below(8))
			fill(own, OWN_WORDS, 1, ++epoch);
		pass_time();
	}
}

/*
 * A family's window goes through these phases. "sequence" gives the phase, and
 * is odd while the window changes. The phase determines the expected words, and
 * whether a write must fault. Each phase has new contents, except READ_ONLY,
 * which keeps those of SHARED.
 */
enum phase { SHARED, READ_ONLY, ANONYMOUS, COPIED, DROPPED, MOVED, PHASES };

static enum phase phase_of(unsigned int seq)
{
	return seq / 2 % PHASES;
}

static unsigned int epoch_of(unsigned int seq)
{
	return seq / 2 - (phase_of(seq) == READ_ONLY);
}

static _Thread_local sigjmp_buf *volatile landing;

static void on_fault(int sig, siginfo_t *info, void *context)
{
	sigjmp_buf *to = landing;

	if (to) {
		landing = NULL;
		siglongjmp(*to, 1);
	}
	wrong("signal %d for address %p", sig, info->si_addr);
	_exit(KSFT_FAIL);
}

static bool window_reads(unsigned int epoch, int *index, uint64_t *found)
{
	sigjmp_buf to;

	if (sigsetjmp(to, 0))
		return false;
	landing = &to;
	*index = compare(window, WINDOW_WORDS, WINDOW_STEP, epoch, found);
	landing = NULL;
	return true;
}

/* Write the same value again, which is harmless if it comes late. */
static bool window_writes(unsigned int index)
{
	sigjmp_buf to;

	if (sigsetjmp(to, 0))
		return false;
	landing = &to;
	atomic_fetch_add((_Atomic uint64_t *)&window[index * WINDOW_STEP], 0);
	landing = NULL;
	return true;
}

static bool unchanged(unsigned int seq)
{
	atomic_thread_fence(memory_order_seq_cst);
	return atomic_load(&sequence) == seq;
}

static void check_window(void)
{
	unsigned int seq = atomic_load(&sequence);
	bool done, may_write = phase_of(seq) != READ_ONLY;
	uint64_t found = 0;
	int index = -1;

	if (seq & 1)
		return;

	done = window_reads(epoch_of(seq), &index, &found);
	if ((!done || index >= 0) && unchanged(seq))
		wrong("family: %s in phase %d: word %d is %#" PRIx64
		      ", not %#" PRIx64,
		      done ? "read" : "fault", phase_of(seq), index, found,
		      word(epoch_of(seq), index));

	done = window_writes(random_below(WINDOW_WORDS));
	if (done != may_write && unchanged(seq))
		wrong("family: a write %s in phase %d",
		      done ? "succeeded" : "faulted", phase_of(seq));
	count(WINDOW_WORDS + 1);
}

/* A thread of a family, with a counter that only it writes. */
static void *relative(void *arg)
{
	volatile uint64_t *mine = counter[(uintptr_t)arg];
	uint64_t counted = 0;

	seed = (uintptr_t)arg + name * 0x9e3779b97f4a7c15ULL + 1;
	while (!stopping()) {
		for (int i = 0; i < 100; i++) {
			if (*mine != counted) {
				wrong("family: thread %lu counted to %" PRIu64
				      ", not %" PRIu64, (unsigned long)arg,
				      *mine, counted);
				counted = *mine;
			}
			*mine = ++counted;
		}
		count(100);
		check_window();
		pass_time();
	}
	return NULL;
}

/* In a child: the parent's threads must not change this copy. */
static __noreturn void check_copy(unsigned int epoch, unsigned int threads)
{
	uint64_t had[MAX_THREADS], found;
	unsigned int t;
	int i, index;

	for (t = 0; t < threads; t++)
		had[t] = *(volatile uint64_t *)counter[t];
	for (i = 0; i < 8; i++) {
		pass_time();
		for (t = 0; t < threads; t++)
			if (*(volatile uint64_t *)counter[t] != had[t])
				wrong("copy: the parent's thread %u writes to it", t);
		index = compare(window, WINDOW_WORDS, WINDOW_STEP, epoch,
				&found);
		if (index >= 0)
			wrong("copy: word %d is %#" PRIx64 ", not %#" PRIx64,
			      index, found, word(epoch, index));
		count(threads + WINDOW_WORDS);
	}
	_exit(0);
}

static void reap(pid_t pid, const char *who)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || status)
		complain(&shared->died, "%s: child %d ended with status %#x",
			 who, pid, status);
}

static void map_window(int flags, int fd, off_t offset)
{
	if (mmap(window, WINDOW_SIZE, PROT_READ | PROT_WRITE,
		 MAP_FIXED | flags, fd, offset) != window)
		die("mmap");
}

static void change_window(unsigned int seq, int memory, unsigned int threads)
{
	static uint64_t contents[WINDOW_SIZE / sizeof(uint64_t)], *spare;
	unsigned int epoch = epoch_of(seq);
	off_t offset = epoch % 2 * WINDOW_SIZE;
	pid_t child = 0;

	if (phase_of(seq) == SHARED) {
		fill(contents, WINDOW_WORDS, WINDOW_STEP, epoch);
		if (pwrite(memory, contents, WINDOW_SIZE, offset) !=
		    WINDOW_SIZE)
			die("memfd");
	} else if (phase_of(seq) == MOVED) {
		spare = mmap(NULL, WINDOW_SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (spare == MAP_FAILED)
			die("mmap");
		fill(spare, WINDOW_WORDS, WINDOW_STEP, epoch);
	} else if (phase_of(seq) == COPIED) {
		child = fork();
		if (child < 0)
			die("fork");
		if (!child)
			check_copy(epoch - 1, threads);
		atomic_fetch_add(&shared->forks, 1);
	}

	atomic_store(&sequence, seq - 1);
	atomic_thread_fence(memory_order_seq_cst);
	switch (phase_of(seq)) {
	case SHARED:
		map_window(MAP_SHARED, memory, offset);
		break;
	case READ_ONLY:
		if (mprotect(window, WINDOW_SIZE, PROT_READ))
			die("mprotect");
		break;
	case ANONYMOUS:
		munmap(window, WINDOW_SIZE);
		map_window(MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		fill(window, WINDOW_WORDS, WINDOW_STEP, epoch);
		break;
	case COPIED:
		fill(window, WINDOW_WORDS, WINDOW_STEP, epoch);
		break;
	case DROPPED:
		if (madvise(window, WINDOW_SIZE, MADV_DONTNEED))
			die("madvise");
		fill(window, WINDOW_WORDS, WINDOW_STEP, epoch);
		break;
	case MOVED:
		if (mremap(spare, WINDOW_SIZE, WINDOW_SIZE,
			   MREMAP_MAYMOVE | MREMAP_FIXED, window) != window)
			die("mremap");
		break;
	case PHASES:
		break;
	}
	atomic_store(&sequence, seq);
	if (child)
		reap(child, "family");
	atomic_fetch_add(&shared->remaps, 1);
}

static void family(void)
{
	unsigned int threads = cpus < MAX_THREADS ? cpus : MAX_THREADS;
	int memory = memfd_create("window", MFD_CLOEXEC);
	unsigned int seq = 2 * PHASES, t;
	pthread_t thread[MAX_THREADS];

	if (threads < 2)
		threads = 2;
	if (memory < 0)
		die("memfd");
	window = mmap(NULL, WINDOW_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1, 0);
	if (window == MAP_FAILED)
		die("mmap");
	fill(own, OWN_WORDS, 1, 0);
	change_window(seq, memory, 0);
	for (t = 0; t < threads; t++)
		if (pthread_create(&thread[t], NULL, relative,
				   (void *)(uintptr_t)t))
			die("pthread_create");
	while (!stopping()) {
		change_window(seq += 2, memory, threads);
		check_own(0, "family");
		for (int i = random_below(8); i >= 0; i--)
			pass_time();
	}
	for (t = 0; t < threads; t++)
		pthread_join(thread[t], NULL);
}

static void short_life(const char *who)
{
	fill(own, OWN_WORDS, 1, 1);
	for (int i = random_below(3); i > 0; i--)
		pass_time();
	check_own(1, who);
}

static void storm(void)
{
	char text[16], *args[] = { "asid_rollover", "-C", text, NULL };
	pid_t child, grandchild;

	fill(own, OWN_WORDS, 1, 0);
	while (!stopping()) {
		if (!random_below(3)) {
			snprintf(text, sizeof(text), "%u",
				 atomic_fetch_add(&shared->names, 1));
			child = vfork();
			if (!child) {
				execv("/proc/self/exe", args);
				_exit(KSFT_FAIL);
			}
			atomic_fetch_add(&shared->execs, child > 0);
		} else {
			child = fork();
			if (!child) {
				check_own(0, "child");
				take_name();
				/* Some children outlive their parent. */
				grandchild = random_below(8) ? 1 : fork();
				short_life(grandchild ? "child" : "orphan");
				_exit(0);
			}
			atomic_fetch_add(&shared->forks, child > 0);
		}
		if (child < 0)
			die("fork");
		reap(child, "storm");
		check_own(0, "storm");
	}
}

static void spender(void)
{
	while (!stopping()) {
		pid_t child = fork();

		if (!child)
			_exit(0);
		if (child < 0)
			die("fork");
		reap(child, "spender");
		atomic_fetch_add(&shared->forks, 1);
	}
}

/* Kinds with many processes get a lower priority, except spenders. */
static void start(void (*kind)(void), unsigned long n)
{
	for (unsigned long i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid < 0) {
			complain(&shared->died, "fork: %s", strerror(errno));
			atomic_store(&shared->stop, 1);
			return;
		}
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			take_name();
			/* It may return -1. */
			errno = 0;
			if (nice(n > cpus && kind != spender ? 19 : 10) == -1 &&
			    errno)
				die("nice");
			kind();
			_exit(0);
		}
	}
}

/* Reap children and orphans. Returns whether any are left. */
static bool any_left(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (status)
			complain(&shared->died,
				 "child %d ended with status %#x", pid, status);
	return !pid;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ULL + t.tv_nsec / 1000000;
}

/* Each fork or exec took one ASID, if the process ran. */
static unsigned long processes(void)
{
	return atomic_load(&shared->forks) + atomic_load(&shared->execs);
}

static long rollovers(void)
{
	long counted = idgen_rollovers("asid");

	return counted >= 0 ? counted : (long)(processes() / (MAX_ASIDS - 1));
}

static void summary(const char *so_far, uint64_t begin)
{
	ksft_print_msg("asid_rollover%s: %lu checks, %lu wrong; %ld rollovers, %lu forks, %lu execs, %lu remaps, %lu s\n",
		       so_far, atomic_load(&shared->checks),
		       atomic_load(&shared->wrong) + atomic_load(&shared->died),
		       rollovers(), atomic_load(&shared->forks),
		       atomic_load(&shared->execs),
		       atomic_load(&shared->remaps),
		       (unsigned long)(now_ms() - begin) / 1000);
}

static struct {
	unsigned long residents, families, spenders, seconds, limit, rollovers;
} opt = { 40, 2, 0, 10, 300, 1 };

static void report(uint64_t begin)
{
	bool counted = idgen_rollovers("asid") >= 0;
	unsigned long seconds = (now_ms() - begin) / 1000 ?: 1;
	long had = rollovers();

	summary("", begin);
	ksft_print_msg("%lu processes in a second: 65,535 ASIDs take %lu s\n",
		       processes() / seconds,
		       65535 / (processes() / seconds ?: 1));
	ksft_test_result(!atomic_load(&shared->wrong) &&
			 atomic_load(&shared->checks),
			 "processes read their own words\n");
	ksft_test_result(!atomic_load(&shared->died),
			 "all processes exit with 0\n");
	if (opt.rollovers && had >= (long)opt.rollovers)
		ksft_test_result_pass("ASIDs rolled over, %s%ld times, %s\n",
				      counted ? "" : "at least ", had,
				      counted ? "by the trace event" :
				      "computed from the number of processes, if the CPU has ASIDs");
	else
		ksft_test_result_code(KSFT_SKIP, "ASIDs rolled over",
				      "%ld of %lu, %s: %lu processes in %lu s",
				      had, opt.rollovers,
				      counted ? "by the trace event" : "computed",
				      processes(), seconds);
}

/* The program reports what it has seen so far. */
static void on_signal(int sig)
{
	atomic_store(&shared->stop, 1);
}

static void usage(void)
{
	printf("usage: asid_rollover [-n RESIDENTS] [-f FAMILIES] [-x SPENDERS]\n"
	       "                     [-s SECONDS] [-l LIMIT] [-r ROLLOVERS] [-S SEED]\n"
	       "  runs for SECONDS (10), and until ROLLOVERS (1) were seen,\n"
	       "  but not beyond LIMIT (300)\n"
	       "  -x  processes that only fork (one for each CPU): with 16-bit\n"
	       "      ASIDs, a rollover takes 65,535 forks\n");
	exit(KSFT_FAIL);
}

static void options(int argc, char **argv)
{
	int c;

	opt.spenders = cpus;
	while ((c = getopt(argc, argv, "n:f:x:s:l:r:S:C:h")) != -1) {
		unsigned long n = optarg ? strtoul(optarg, NULL, 0) : 0;

		switch (c) {
		case 'n':
			opt.residents = n;
			break;
		case 'f':
			opt.families = n;
			break;
		case 'x':
			opt.spenders = n;
			break;
		case 's':
			opt.seconds = n;
			break;
		case 'l':
			opt.limit = n;
			break;
		case 'r':
			opt.rollovers = n;
			break;
		case 'S':
			seed = n;
			break;
		case 'C':
			/* A storm executes this. */
			seed += name = n;
			short_life("exec");
			exit(atomic_load(&shared->wrong) ? KSFT_FAIL : 0);
		default:
			usage();
		}
	}
	if (optind != argc)
		usage();
}

int main(int argc, char **argv)
{
	struct sigaction fault = {
		.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER,
	};
	struct sigaction end = {
		.sa_handler = on_signal, .sa_flags = SA_RESTART,
	};
	uint64_t begin, now, said;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		ksft_exit_fail_msg("mmap: %s\n", strerror(errno));
	cpus = sysconf(_SC_NPROCESSORS_CONF);
	seed = 1;
	options(argc, argv);
	take_name();

	ksft_print_header();
	ksft_set_plan(3);
	if (!idgen_start_counting())
		ksft_print_msg("cannot use the event idgen_rollover: rollovers are computed, for %lu ASIDs\n",
			       MAX_ASIDS);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) ||
	    sigaction(SIGINT, &end, NULL) || sigaction(SIGTERM, &end, NULL) ||
	    sigaction(SIGSEGV, &fault, NULL) || sigaction(SIGBUS, &fault, NULL))
		ksft_exit_fail_msg("signals: %s\n", strerror(errno));

	begin = now_ms();
	said = begin;
	start(resident, opt.residents);
	start(family, opt.families);
	start(storm, cpus);
	start(spender, opt.spenders);
	do {
		usleep(50000);
		now = now_ms();
		any_left();
		if (now - said >= 20000) {
			summary(" so far", begin);
			said = now;
		}
	} while (!stopping() && (now - begin < opt.seconds * 1000 ||
				 (now - begin < opt.limit * 1000 &&
				  rollovers() < (long)opt.rollovers)));
	atomic_store(&shared->stop, 1);
	while (any_left())
		usleep(50000);
	report(begin);
	ksft_finished();
}
