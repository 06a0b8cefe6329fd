// SPDX-License-Identifier: GPL-2.0-only
/*
 * Run the kernel's selftests in /kselftests one after another, each with a timeout, and
 * print "selftest NAME: RESULT, N s". RESULT is pass, skip, fail or timeout. The output
 * of the tests goes to the log.
 *
 *	selftests SECONDS TIMES [NAME...]	all, or only these
 */

#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <time.h>

#include "e2e.h"

#define KSFT_SKIP	4
#define MAX_ARGS	6

/* Options for tests that need some, or are made for hardware: less memory, fewer iterations. */
static const char *const smaller[][1 + MAX_ARGS] = {
	{ "asid_rollover", "-s", "5", "-l", "10" },
	{ "access_tracking_perf_test", "-b", "8M" },
	{ "arm64-vgic_lpi_stress", "-i", "20" },
	{ "demand_paging_test", "-b", "8M" },
	{ "dirty_log_perf_test", "-b", "8M" },
	{ "dirty_log_test", "-i", "2" },
	{ "kvm_page_table_test", "-b", "32M" },
	{ "memslot_modification_stress_test", "-b", "8M", "-i", "2" },
	{ "memslot_perf_test", "-l", "1", "-s", "512", "-t", "60" },
	{ "mmu_stress_test", "-m", "1", "-s", "1" },
	{ "uffd-stress", "anon", "8", "4" },
	{ "vmid_rollover", "-s", "5", "-l", "40" },
};

static void execute(const char *name)
{
	char path[300];
	/* A test opens its own executable by argv[0], as the guest code is in it. */
	const char *args[2 + MAX_ARGS] = { path };

	for (unsigned int i = 0; i < sizeof(smaller) / sizeof(*smaller); i++)
		if (!strcmp(name, smaller[i][0]))
			memcpy(args + 1, smaller[i] + 1, sizeof(smaller[i]) - sizeof(*args));
	snprintf(path, sizeof(path), "/kselftests/%s", name);
	setpgid(0, 0);
	execv(path, (char **)args);
	_exit(127);
}

static const char *run(const char *name, int seconds)
{
	time_t end = time(NULL) + seconds;
	int status;
	pid_t pid;

	pid = fork();
	if (!pid)
		execute(name);
	while (!waitpid(pid, &status, WNOHANG)) {
		if (time(NULL) >= end) {
			kill(-pid, SIGKILL);
			waitpid(pid, &status, 0);
			return "timeout";
		}
		usleep(10000);
	}
	if (!WIFEXITED(status))
		return "fail";
	return !WEXITSTATUS(status) ? "pass" : WEXITSTATUS(status) == KSFT_SKIP ? "skip" : "fail";
}

static bool is_wanted(const char *name, int argc, char **argv)
{
	for (int i = 3; i < argc; i++)
		if (!strcmp(name, argv[i]))
			return true;
	return argc == 3 && *name != '.';
}

int main(int argc, char **argv)
{
	struct dirent **names;
	int n = scandir("/kselftests", &names, NULL, alphasort), ran = 0;

	if (n < 0 || argc < 3) {
		say("selftests: wrong: no /kselftests, or no SECONDS TIMES\n");
		return 1;
	}
	for (int i = 0; i < n; i++) {
		const char *name = names[i]->d_name, *result;

		for (int times = is_wanted(name, argc, argv) ? atoi(argv[2]) : 0; times; times--) {
			time_t start = time(NULL);

			say("selftest %s starts\n", name);
			result = run(name, atoi(argv[1]));
			say("selftest %s: %s, %ld s\n", name, result, (long)(time(NULL) - start));
			ran++;
		}
	}
	say("selftests: %d checks, 0 wrong\n", ran);
	return 0;
}
