// SPDX-License-Identifier: GPL-2.0-only
/*
 * A small version of init.c and asid_rollover.c for 32-bit riscv, for which Debian has no
 * libc. Built with the kernel's tools/include/nolibc.
 *
 *	small RESIDENTS ROLLOVERS SECONDS
 *
 * Residents, more than there are ASIDs, fill the same addresses with words that name
 * them, check and replace them all the time, and fork children that do so once. An
 * auditor compares the registers of all CPUs (probe/asid_probe.c).
 */
#include "probe/asid_probe.h"

#define EVENT		"/sys/kernel/tracing/events/idgen/idgen_rollover"
#define WORDS		(4 * 4096 / 4)
#define MAX_RESIDENTS	200

/* Shared by all processes. */
static struct shared {
	int stop;
	unsigned int names, forks, audits, audited, sweeps, wrong;
} *shared;

static unsigned int own[WORDS], name, random_state;

static unsigned int count(unsigned int *what)
{
	return __atomic_fetch_add(what, 1, __ATOMIC_RELAXED);
}

static void wrong(const char *what, unsigned int found)
{
	if (count(&shared->wrong) < 20)
		printf("small: wrong: process %u: %s: %#x\n", name, what, found);
}

static unsigned int random_below(unsigned int n)
{
	random_state = random_state * 1664525 + 1013904223;
	return (random_state >> 16) % n;
}

static void take_name(void)
{
	name = count(&shared->names) & 0x3fff;
	random_state += name;
}

static unsigned int word(unsigned int epoch, unsigned int i)
{
	return name << 18 | (epoch & 0x3f) << 12 | i;
}

static void fill(unsigned int epoch)
{
	for (unsigned int i = 0; i < WORDS; i++)
		((volatile unsigned int *)own)[i] = word(epoch, i);
}

static void check(unsigned int epoch)
{
	for (unsigned int i = 0; i < WORDS; i++) {
		unsigned int found = ((volatile unsigned int *)own)[i];

		if (found != word(epoch, i)) {
			wrong("a word", found);
			break;
		}
	}
	count(&shared->sweeps);
}

static void pass_time(void)
{
	if (random_below(4))
		sched_yield();
	else
		usleep(random_below(5000));
}

static void reap(pid_t pid)
{
	int status = -1;

	if (waitpid(pid, &status, 0) != pid || status)
		wrong("a child's end", status);
}

static void resident(void)
{
	unsigned int epoch = 0;
	pid_t child;

	fill(epoch);
	while (!__atomic_load_n(&shared->stop, __ATOMIC_RELAXED)) {
		check(epoch);
		pass_time();
		if (!random_below(8))
			fill(++epoch);
		if (random_below(4))
			continue;
		child = fork();
		if (!child) {
			check(epoch);
			take_name();
			fill(1);
			pass_time();
			check(1);
			exit(0);
		}
		count(&shared->forks);
		reap(child);
	}
}

static void auditor(void)
{
	int probe = open("/proc/asid_probe", O_RDWR), found;

	while (!__atomic_load_n(&shared->stop, __ATOMIC_RELAXED)) {
		found = ioctl(probe, ASID_PROBE_AUDIT, 0);
		if (found < 0)
			wrong("audit; see the log", found);
		else
			__atomic_fetch_add(&shared->audited, found, __ATOMIC_RELAXED);
		count(&shared->audits);
		usleep(1000 + random_below(10000));
	}
}

static pid_t start(void (*kind)(void))
{
	pid_t pid = fork();

	if (!pid) {
		take_name();
		kind();
		exit(0);
	}
	return pid;
}

/* From the histogram of the event: "{ name: asid } hitcount: N". */
static long rollovers(void)
{
	static char text[4096];
	int fd = open(EVENT "/hist", O_RDONLY), len;
	long hits = 0;
	char *at;

	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (fd < 0 || len < 0)
		return -1;
	text[len] = 0;
	at = strstr(text, "{ name: asid");
	at = at ? strstr(at, "hitcount:") : NULL;
	if (at)
		sscanf(at, "hitcount: %ld", &hits);
	return hits;
}

static int prepare(void)
{
	int fd;

	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, NULL);
	fd = open(EVENT "/trigger", O_WRONLY);
	if (write(fd, "hist:keys=name", 14) != 14)
		return -1;
	close(fd);
	fd = open("/asid_probe.ko", O_RDONLY);
	return syscall(__NR_finit_module, fd, "", 0);
}

int main(int argc, char **argv)
{
	unsigned int wanted[3] = { 40, 100, 10 }, n = 0;
	pid_t pids[MAX_RESIDENTS + 1];
	struct timespec begin, now;
	long rolled;

	/* One argument has the whole command, as for init.c. */
	for (char *at = argc > 1 ? strchr(argv[1], ' ') : NULL; at && n < 3; at = strchr(at + 1, ' '))
		wanted[n++] = atoi(at + 1);
	if (wanted[0] > MAX_RESIDENTS)
		wanted[0] = MAX_RESIDENTS;
	if (prepare())
		printf("small: wrong: no event of rollovers, or no probe\n");
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (n = 0; n < wanted[0]; n++)
		pids[n] = start(resident);
	pids[n++] = start(auditor);
	do {
		usleep(50000);
		rolled = rollovers();
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - begin.tv_sec < (long)wanted[2] || (rolled >= 0 && rolled < (long)wanted[1]) ||
		 !__atomic_load_n(&shared->audited, __ATOMIC_RELAXED));
	__atomic_store_n(&shared->stop, 1, __ATOMIC_RELAXED);
	while (n--)
		reap(pids[n]);
	printf("small: %u checks, %u wrong; of %u words each; %u forks, %u audits of %u ASIDs\n", shared->sweeps,
	       shared->wrong, WORDS, shared->forks, shared->audits, shared->audited);
	printf("e2e: %ld rollovers of asid, -1 of vmid\n", rolled);
	printf("e2e: end, %d failures\n", !!shared->wrong);
	reboot(RB_POWER_OFF);
	return 1;
}
