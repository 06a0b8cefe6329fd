// SPDX-License-Identifier: GPL-2.0-only
/*
 * Force rollovers of ASIDs under real processes, and check that each process reads its own memory.
 *
 * All processes fill the same addresses with words that name the process and the time. A stale translation, or one of
 * another process, leads to a wrong word. These processes run at once:
 *
 *   residents	more than there are ASIDs; they read all their words, write new ones, yield, sleep, change CPUs
 *   families	threads of one mm on all CPUs; one remaps, protects, forks and copies what the others read and write. A
 *		sequence count tells the expected words, and whether a write must fault
 *   storms	fork, vfork and exec of processes that check once and exit
 *   spenders	fork processes that exit at once, to use up 65,535 ASIDs
 *   pinned	processes with a pinned ASID, as for a device; it must never change
 *   auditor	stops the machine, and compares the registers of all CPUs. It and "pinned" use /proc/asid_probe of
 *		asid_probe.c
 *
 * The program runs for a given time, and until there were enough rollovers, pins and audits. It fails if a word was wrong
 * or a process died. e2e.py has the timeout.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "e2e.h"
#include "probe/asid_probe.h"

#define PAGE		4096
#define WORDS		(PAGE / sizeof(uint64_t))
#define OWN_PAGES	4
#define WINDOW_PAGES	2
#define WINDOW_WORDS	(WINDOW_PAGES * WORDS)
#define MAX_THREADS	16
/* Only arm64 has pins. */
#ifdef __aarch64__
#define PINNED		8
#else
#define PINNED		0
#endif
/* A pin is held over so many rollovers. */
#define PIN_ROLLOVERS	20

#define PROBE		"/proc/asid_probe"

/* Shared by all processes. */
static struct shared {
	atomic_bool stop;
	atomic_uint names;
	atomic_ulong checks, wrong, rollovers;
	atomic_ulong forks, execs, remaps, pins, pin_rollovers, refused, audits, audited;
} *shared;

/* Private to each process, at the same address. */
static uint64_t own[OWN_PAGES][WORDS] __attribute__((aligned(PAGE)));
/* Private to each family. */
static uint64_t counter[MAX_THREADS][WORDS] __attribute__((aligned(PAGE)));
static uint64_t *window;
static atomic_uint sequence;

static unsigned int name;
static unsigned int cpus;
static _Thread_local uint64_t seed;

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ULL + t.tv_nsec / 1000000;
}

/* One fault has many consequences. Print only the first few. */
#define wrong(fmt, ...) do {									\
	if (atomic_fetch_add(&shared->wrong, 1) < 20)						\
		say("processes: wrong: process %u on CPU %d: " fmt "\n", name, sched_getcpu(), ##__VA_ARGS__);	\
} while (0)

__attribute__((noreturn))
static void die(const char *what)
{
	say("processes: wrong: process %u cannot go on: %s: %s\n", name, what, strerror(errno));
	_exit(2);
}

static uint64_t random_below(uint64_t n)
{
	return random_of(&seed) % n;
}

static void take_name(void)
{
	name = atomic_fetch_add(&shared->names, 1);
	seed += 0x9e3779b97f4a7c15ULL * name;
	seed = seed ?: 1;
}

/* Run on one CPU for a while, or on any. The CPU may be offline, which is no error. */
static void move(void)
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
		move();
	if (!random_below(4))
		usleep(random_below(5000));
	else
		sched_yield();
}

/* A word names its process, its time and its address. */
static uint64_t word(unsigned int epoch, unsigned int index)
{
	return (uint64_t)name << 32 | (uint64_t)(epoch & 0xffff) << 16 | index;
}

static void fill(volatile uint64_t *words, unsigned int n, unsigned int epoch)
{
	for (unsigned int i = 0; i < n; i++)
		words[i] = word(epoch, i);
}

/* The index of the first wrong word and its value, or -1. */
static int compare(const volatile uint64_t *words, unsigned int n, unsigned int epoch, uint64_t *found)
{
	for (unsigned int i = 0; i < n; i++) {
		*found = words[i];
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
	int i = compare(own[0], OWN_PAGES * WORDS, epoch, &found);

	count(OWN_PAGES * WORDS);
	if (i >= 0)
		wrong("%s: word %d is %#" PRIx64 " and not %#" PRIx64, who, i, found, word(epoch, i));
}

static bool stopping(void)
{
	return atomic_load_explicit(&shared->stop, memory_order_relaxed);
}

static void resident(void)
{
	unsigned int epoch = 0;

	fill(own[0], OWN_PAGES * WORDS, epoch);
	while (!stopping()) {
		check_own(epoch, "resident");
		if (!random_below(8))
			fill(own[0], OWN_PAGES * WORDS, ++epoch);
		pass_time();
	}
}

/*
 * Families. The sequence count tells the phase of the window, and is odd while the window changes. Each phase has new
 * contents, except READ_ONLY, which keeps those of SHARED.
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

/* Where to continue after an expected fault. */
static _Thread_local sigjmp_buf *volatile landing;

static void on_fault(int sig, siginfo_t *info, void *context)
{
	sigjmp_buf *to = landing;

	(void)context;
	if (to) {
		landing = NULL;
		siglongjmp(*to, 1);
	}
	wrong("signal %d for address %p", sig, info->si_addr);
	_exit(3);
}

static bool window_reads(unsigned int epoch, int *index, uint64_t *found)
{
	sigjmp_buf to;

	if (sigsetjmp(to, 0))
		return false;
	landing = &to;
	*index = compare(window, WINDOW_WORDS, epoch, found);
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
	atomic_fetch_add((_Atomic uint64_t *)&window[index], 0);
	landing = NULL;
	return true;
}

static bool still(unsigned int seq)
{
	atomic_thread_fence(memory_order_seq_cst);
	return atomic_load(&sequence) == seq;
}

static void look_at_window(void)
{
	unsigned int seq = atomic_load(&sequence);
	bool done, may_write = phase_of(seq) != READ_ONLY;
	uint64_t found = 0;
	int index = -1;

	if (seq & 1)
		return;

	done = window_reads(epoch_of(seq), &index, &found);
	if ((!done || index >= 0) && still(seq))
		wrong("family: %s in phase %d: word %d is %#" PRIx64 " and not %#" PRIx64, done ? "read" : "fault", phase_of(seq),
		      index, found, word(epoch_of(seq), index));

	done = window_writes(random_below(WINDOW_WORDS));
	if (done != may_write && still(seq))
		wrong("family: a write %s in phase %d", done ? "went through" : "faulted", phase_of(seq));
	count(WINDOW_WORDS + 1);
}

/* This thread's own counter. No other thread or process may change it. */
static void *relative(void *arg)
{
	volatile uint64_t *mine = counter[(uintptr_t)arg];
	uint64_t counted = 0;

	seed = (uintptr_t)arg + name * 0x9e3779b97f4a7c15ULL + 1;
	while (!stopping()) {
		for (int i = 0; i < 100; i++) {
			if (*mine != counted) {
				wrong("family: thread %" PRIuPTR " counted to %" PRIu64 ", not to %" PRIu64, (uintptr_t)arg, counted, *mine);
				counted = *mine;
			}
			*mine = ++counted;
		}
		count(100);
		look_at_window();
		pass_time();
	}
	return NULL;
}

/* In a child: its copy must not change while the parent's threads write to theirs. */
static void see_it_stays(unsigned int epoch, unsigned int threads)
{
	uint64_t had[MAX_THREADS], found;
	int index;

	for (unsigned int t = 0; t < threads; t++)
		had[t] = *(volatile uint64_t *)counter[t];
	for (int i = 0; i < 8; i++) {
		pass_time();
		for (unsigned int t = 0; t < threads; t++) {
			if (*(volatile uint64_t *)counter[t] != had[t])
				wrong("copy: the parent's thread %u writes to it", t);
		}
		index = compare(window, WINDOW_WORDS, epoch, &found);
		if (index >= 0)
			wrong("copy: word %d is %#" PRIx64 " and not %#" PRIx64, index, found, word(epoch, index));
		count(threads + WINDOW_WORDS);
	}
	_exit(0);
}

static void reap(pid_t pid, const char *who)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || status)
		wrong("%s: child %d ended with status %#x", who, pid, status);
}

static void map_at(void *where, int flags, int fd, off_t offset)
{
	if (mmap(where, WINDOW_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_FIXED | flags, fd, offset) != where)
		die("mmap");
}

static void change_window(unsigned int seq, int memory, unsigned int threads)
{
	static uint64_t contents[WINDOW_WORDS], *spare;
	unsigned int epoch = epoch_of(seq);
	off_t offset = epoch % 2 * sizeof(contents);
	size_t size = sizeof(contents);
	pid_t child = 0;

	if (phase_of(seq) == SHARED) {
		fill(contents, WINDOW_WORDS, epoch);
		if (pwrite(memory, contents, size, offset) != (ssize_t)size)
			die("memfd");
	} else if (phase_of(seq) == MOVED) {
		spare = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (spare == MAP_FAILED)
			die("mmap");
		fill(spare, WINDOW_WORDS, epoch);
	} else if (phase_of(seq) == COPIED) {
		child = fork();
		if (!child)
			see_it_stays(epoch - 1, threads);
		atomic_fetch_add(&shared->forks, 1);
	}

	atomic_store(&sequence, seq - 1);
	atomic_thread_fence(memory_order_seq_cst);
	switch (phase_of(seq)) {
	case SHARED:
		map_at(window, MAP_SHARED, memory, offset);
		break;
	case READ_ONLY:
		if (mprotect(window, size, PROT_READ))
			die("mprotect");
		break;
	case ANONYMOUS:
		munmap(window, size);
		map_at(window, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		fill(window, WINDOW_WORDS, epoch);
		break;
	case COPIED:
		fill(window, WINDOW_WORDS, epoch);
		break;
	case DROPPED:
		if (madvise(window, size, MADV_DONTNEED))
			die("madvise");
		fill(window, WINDOW_WORDS, epoch);
		break;
	case MOVED:
		if (mremap(spare, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, window) != window)
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
	unsigned int threads = cpus < 2 ? 2 : cpus > MAX_THREADS ? MAX_THREADS : cpus, seq = 0;
	int memory = memfd_create("window", MFD_CLOEXEC);
	pthread_t thread[MAX_THREADS];

	if (memory < 0)
		die("memfd");
	window = mmap(NULL, WINDOW_PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (window == MAP_FAILED)
		die("mmap");
	fill(own[0], OWN_PAGES * WORDS, 0);
	/* 0 means that there is no window yet. */
	atomic_store(&sequence, 1);
	change_window(seq += 2 * PHASES, memory, 0);
	for (unsigned int t = 0; t < threads; t++) {
		if (pthread_create(&thread[t], NULL, relative, (void *)(uintptr_t)t))
			die("threads");
	}
	while (!stopping()) {
		change_window(seq += 2, memory, threads);
		check_own(0, "family");
		for (int i = random_below(8); i >= 0; i--)
			pass_time();
	}
	for (unsigned int t = 0; t < threads; t++)
		pthread_join(thread[t], NULL);
}

/* The life of a process after fork or exec. */
static void short_life(const char *who)
{
	fill(own[0], OWN_PAGES * WORDS, 1);
	for (int i = random_below(3); i > 0; i--)
		pass_time();
	check_own(1, who);
}

static void storm(void)
{
	char text[16], *args[] = { "processes", "-C", text, NULL };
	pid_t child, grandchild;

	fill(own[0], OWN_PAGES * WORDS, 0);
	while (!stopping()) {
		if (!random_below(3)) {
			snprintf(text, sizeof(text), "%u", atomic_fetch_add(&shared->names, 1));
			child = vfork();
			if (!child) {
				execv("/proc/self/exe", args);
				_exit(4);
			}
			atomic_fetch_add(&shared->execs, 1);
		} else {
			child = fork();
			if (!child) {
				check_own(0, "child");
				take_name();
				/* Some outlive their parent. */
				grandchild = random_below(8) ? 1 : fork();
				short_life(grandchild ? "child" : "orphan");
				_exit(0);
			}
			atomic_fetch_add(&shared->forks, 1);
		}
		if (child < 0)
			die("fork");
		reap(child, "storm");
		check_own(0, "storm");
	}
}

/* Use up ASIDs as quickly as possible, with children that exit at once. */
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

static int open_probe(void)
{
	int fd = open(PROBE, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die(PROBE);
	return fd;
}

static void pinned(void)
{
	int probe = open_probe(), asid, found;
	unsigned long since;

	fill(own[0], OWN_PAGES * WORDS, 0);
	while (!stopping()) {
		since = atomic_load(&shared->rollovers);
		asid = ioctl(probe, ASID_PROBE_PIN);
		if (asid < 0) {
			if (errno != ENOSPC)
				wrong("pin: %s", strerror(errno));
			atomic_fetch_add(&shared->refused, 1);
			usleep(20000);
			continue;
		}
		atomic_fetch_add(&shared->pins, 1);
		while (!stopping() && atomic_load(&shared->rollovers) - since < PIN_ROLLOVERS) {
			found = ioctl(probe, ASID_PROBE_READ);
			if (found != asid)
				wrong("pin: ASID %d, and not %d", found, asid);
			count(1);
			check_own(0, "pinned");
			pass_time();
		}
		if (ioctl(probe, ASID_PROBE_UNPIN))
			wrong("unpin: %s", strerror(errno));
		atomic_fetch_add(&shared->pin_rollovers, atomic_load(&shared->rollovers) - since);
	}
}

static void auditor(void)
{
	int probe = open_probe(), found;

	while (!stopping()) {
		found = ioctl(probe, ASID_PROBE_AUDIT);
		if (found < 0)
			wrong("audit: %s; see the log", errno == EILSEQ ? "ASIDs are wrong" : strerror(errno));
		else
			atomic_fetch_add(&shared->audited, found);
		atomic_fetch_add(&shared->audits, 1);
		usleep(1000 + random_below(10000));
	}
}

/* The many processes have a low priority, except spenders. The one that counts and ends the run has the highest. */
static void start(void (*kind)(void), unsigned long n)
{
	for (unsigned long i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (!pid) {
			take_name();
			if (nice(n > cpus && kind != spender ? 20 : 10) < 0)
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

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (status)
			wrong("child %d ended with status %#x", pid, status);
	}
	return !pid;
}

static void summary(const char *what, uint64_t begin)
{
	say("%s: %lu checks, %lu wrong; %lu rollovers, %lu forks, %lu execs, %lu remaps, %lu pins over %lu rollovers, %lu refused, "
	    "%lu audits of %lu ASIDs; %" PRIu64 " s\n", what, atomic_load(&shared->checks), atomic_load(&shared->wrong),
	    atomic_load(&shared->rollovers), atomic_load(&shared->forks), atomic_load(&shared->execs),
	    atomic_load(&shared->remaps), atomic_load(&shared->pins), atomic_load(&shared->pin_rollovers),
	    atomic_load(&shared->refused), atomic_load(&shared->audits), atomic_load(&shared->audited),
	    (now_ms() - begin) / 1000);
}

static struct {
	unsigned long residents, families, spenders, seconds, rollovers;
	bool probe;
} options = { .residents = 40, .families = 2, .seconds = 10, .rollovers = 1, .probe = true };

/* On a busy machine, rare events may take long. */
static bool probed(void)
{
	return !options.probe || ((!PINNED || atomic_load(&shared->pins)) && atomic_load(&shared->audited));
}

static void usage(void)
{
	fprintf(stderr, "usage: processes [-n RESIDENTS] [-f FAMILIES] [-x SPENDERS] [-s SECONDS] [-r ROLLOVERS] [-S SEED] [-P]\n"
		"  for SECONDS, and until so many ROLLOVERS have come\n"
		"  -r 0  does not ask the kernel how many there were\n"
		"  -P    without pins and audits, for which the kernel has no " PROBE "\n");
	exit(2);
}

static void read_options(int argc, char **argv)
{
	int opt;

	while ((opt = getopt(argc, argv, "n:f:x:r:s:S:PC:")) != -1) {
		unsigned long n = optarg ? strtoul(optarg, NULL, 0) : 0;

		switch (opt) {
		case 'n':
			options.residents = n;
			break;
		case 'f':
			options.families = n;
			break;
		case 'r':
			options.rollovers = n;
			break;
		case 'x':
			options.spenders = n;
			break;
		case 's':
			options.seconds = n;
			break;
		case 'S':
			seed = n;
			break;
		case 'P':
			options.probe = false;
			break;
		case 'C':
			/* A storm executes this. */
			seed += name = n;
			short_life("exec");
			exit(!!atomic_load(&shared->wrong));
		default:
			usage();
		}
	}
	if (optind != argc)
		usage();
}

int main(int argc, char **argv)
{
	struct sigaction fault = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER };
	long before = 0, since;
	uint64_t begin, end, said;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		die("mmap");
	cpus = sysconf(_SC_NPROCESSORS_CONF);
	seed = 1;
	read_options(argc, argv);
	take_name();
	if (options.rollovers) {
		before = rollovers("asid");
		if (before < 0)
			die("the trace event idgen_rollover");
	}
	if (options.probe)
		close(open_probe());
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) || sigaction(SIGSEGV, &fault, NULL) || sigaction(SIGBUS, &fault, NULL))
		die("signals");

	nice(-10);
	begin = now_ms();
	said = begin;
	start(resident, options.residents);
	start(family, options.families);
	start(storm, cpus);
	start(spender, options.spenders);
	start(pinned, options.probe ? PINNED : 0);
	start(auditor, options.probe);
	do {
		usleep(50000);
		end = now_ms();
		any_left();
		since = options.rollovers ? rollovers("asid") - before : 0;
		atomic_store(&shared->rollovers, since);
		if (end - said >= 10000) {
			summary("so far", begin);
			said = end;
		}
	} while (end - begin < options.seconds * 1000 || since < (long)options.rollovers || !probed());
	atomic_store(&shared->stop, true);

	while (any_left())
		usleep(50000);
	summary("processes", begin);
	return !!atomic_load(&shared->wrong);
}
