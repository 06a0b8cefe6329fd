// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs the kernel's own selftests that are in /selftests, one after another, each
 * for so many seconds at most, and says "selftest NAME: RESULT": pass, skip, fail or
 * timeout. What they print themselves goes to the log as it is.
 */

#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "e2e.h"

#define KSFT_SKIP	4

static const char *run(const char *name, int seconds)
{
	time_t end = time(NULL) + seconds;
	char path[300];
	int status;
	pid_t pid;

	snprintf(path, sizeof(path), "/selftests/%s", name);
	pid = fork();
	if (!pid) {
		setpgid(0, 0);
		execl(path, path, NULL);
		_exit(127);
	}
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

int main(int argc, char **argv)
{
	struct dirent **names;
	int n = scandir("/selftests", &names, NULL, alphasort);
	int seconds = argc > 1 ? atoi(argv[1]) : 60;

	if (n < 0) {
		say("wrong: no /selftests\n");
		return 1;
	}
	for (int i = 0; i < n; i++) {
		const char *name = names[i]->d_name;

		if (*name != '.') {
			say("selftest %s starts\n", name);
			say("selftest %s: %s\n", name, run(name, seconds));
		}
	}
	say("selftests: %d checks, 0 wrong\n", n - 2);
	return 0;
}
