// SPDX-License-Identifier: GPL-2.0-only
/*
 * Watch the kernel's ASIDs while another program forces rollovers. This needs /proc/asid_probe of asid_probe.c.
 *
 *	audit SECONDS ROLLOVERS
 *
 * The auditor stops the machine, and compares the registers of all CPUs. On arm64, PINNED processes pin their ASID, as for a
 * device, and hold the pin over PIN_ROLLOVERS rollovers. The ASID must not change, and neither must the process's memory.
 *
 * The program runs for at least SECONDS. It also waits for ROLLOVERS since boot, for one audited ASID and, on arm64, for one
 * pin. e2e.py has the timeout.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "e2e.h"
#include "probe/asid_probe.h"

#define PROBE		"/proc/asid_probe"
#define WORDS		2048
#define PIN_ROLLOVERS	20
/* Only arm64 has pins. */
#ifdef __aarch64__
#define PINNED		8
#else
#define PINNED		0
#endif

static struct shared {
	atomic_bool stop;
	atomic_ulong checks, wrong, rollovers;
	atomic_ulong pins, pin_rollovers, refused, audits, audited;
} *shared;

/* At the same address in each process. */
static volatile uint64_t own[WORDS];
static uint64_t seed = 1;

/* One fault has many consequences. Print only the first few. */
#define wrong(fmt, ...) do {								\
	if (atomic_fetch_add(&shared->wrong, 1) < 20)					\
		say("audit: wrong: process %d: " fmt "\n", getpid(), ##__VA_ARGS__);	\
} while (0)

static int open_probe(void)
{
	int fd = open(PROBE, O_RDWR | O_CLOEXEC);

	if (fd < 0) {
		say("audit: wrong: %s: %s\n", PROBE, strerror(errno));
		_exit(2);
	}
	return fd;
}

static void check_own(void)
{
	for (unsigned int i = 0; i < WORDS; i++) {
		uint64_t want = (uint64_t)getpid() << 32 | i, found = own[i];

		if (found != want)
			wrong("pinned: word %u is %#lx and not %#lx", i, (unsigned long)found, (unsigned long)want);
	}
	atomic_fetch_add(&shared->checks, WORDS);
}

static void pinned(void)
{
	int probe = open_probe(), asid, found;
	unsigned long since;

	for (unsigned int i = 0; i < WORDS; i++)
		own[i] = (uint64_t)getpid() << 32 | i;
	while (!shared->stop) {
		since = shared->rollovers;
		asid = ioctl(probe, ASID_PROBE_PIN);
		if (asid < 0) {
			if (errno != ENOSPC)
				wrong("pin: %s", errno == EILSEQ ? "pinned to ASID 0" : strerror(errno));
			atomic_fetch_add(&shared->refused, 1);
			usleep(20000);
			continue;
		}
		atomic_fetch_add(&shared->pins, 1);
		while (!shared->stop && shared->rollovers - since < PIN_ROLLOVERS) {
			found = ioctl(probe, ASID_PROBE_READ);
			if (found != asid)
				wrong("pin: ASID %d, and not %d", found, asid);
			atomic_fetch_add(&shared->checks, 1);
			check_own();
			if (random_of(&seed) % 4)
				sched_yield();
			else
				usleep(random_of(&seed) % 5000);
		}
		if (ioctl(probe, ASID_PROBE_UNPIN))
			wrong("unpin: %s", strerror(errno));
		atomic_fetch_add(&shared->pin_rollovers, shared->rollovers - since);
	}
}

static void auditor(void)
{
	int probe = open_probe(), found;

	while (!shared->stop) {
		found = ioctl(probe, ASID_PROBE_AUDIT);
		if (found < 0)
			wrong("audit: %s; see the log", errno == EILSEQ ? "ASIDs are wrong" : strerror(errno));
		else
			atomic_fetch_add(&shared->audited, found);
		atomic_fetch_add(&shared->audits, 1);
		usleep(1000 + random_of(&seed) % 10000);
	}
}

static void start(void (*kind)(void))
{
	pid_t pid = fork();

	if (pid)
		return;
	seed = getpid();
	nice(10);
	kind();
	_exit(0);
}

int main(int argc, char **argv)
{
	time_t end = time(NULL);
	long least;
	int status;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || argc != 3 || rollovers("asid") < 0) {
		say("audit: wrong: no memory, no SECONDS ROLLOVERS, or no trace event idgen_rollover\n");
		return 2;
	}
	end += atol(argv[1]);
	least = atol(argv[2]);
	close(open_probe());
	for (int i = 0; i < PINNED; i++)
		start(pinned);
	start(auditor);
	/* On a busy machine, the first pin may take long. */
	do {
		usleep(50000);
		shared->rollovers = rollovers("asid");
	} while (time(NULL) < end || (long)shared->rollovers < least || !shared->audited || (PINNED && !shared->pins));
	shared->stop = true;
	while (wait(&status) > 0)
		if (status)
			wrong("a child ended with status %#x", status);
	say("audit: %lu checks, %lu wrong; %lu pins over %lu rollovers, %lu refused, %lu audits of %lu ASIDs\n",
	    shared->checks + shared->audited, shared->wrong, shared->pins, shared->pin_rollovers, shared->refused, shared->audits,
	    shared->audited);
	return !!shared->wrong;
}
