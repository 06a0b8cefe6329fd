// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs guests of kvm-unit-tests, and Linux, under lkvm, each for at most SECONDS.
 *
 *	peers SECONDS [NAME...]		all of /peers.list, or only these
 *
 * A line of /peers.list is NAME, how many copies run at once, and the arguments of lkvm. For each copy, one line says
 * "peer NAME: RESULT, N s": pass, skip, fail, timeout, or none if the guest did not say how it ended.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <time.h>

#include "e2e.h"

#define MAX_ARGS	48
#define MAX_COPIES	64
/* kvm-unit-tests ends with (code << 1) | 1: the code is 0 for success, and 38 if all was skipped. */
#define STATUS_PASS	1
#define STATUS_SKIP	77

static void output_of(char *path, int copy)
{
	sprintf(path, "/tmp/peer.%d", copy);
}

static pid_t start(char **args, int copy)
{
	pid_t pid = fork();
	char path[32];
	int out, in;

	if (pid)
		return pid;
	output_of(path, copy);
	setpgid(0, 0);
	setenv("HOME", "/tmp", 1);
	out = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	in = open("/dev/null", O_RDONLY);
	if (out < 0 || in < 0)
		_exit(126);
	dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	execv("/lkvm", args);
	_exit(127);
}

/* Judge a copy by its output, and show that unless it passed. */
static const char *judge(const char *name, int copy)
{
	/* Linux must have run out of its few ASIDs. */
	bool rolled_over = strcmp(name, "linux");
	const char *result = "none";
	char path[32], line[512];
	int status;
	FILE *file;

	output_of(path, copy);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "EXIT: STATUS=%d", &status) == 1)
			result = status == STATUS_PASS ? "pass" : status == STATUS_SKIP ? "skip" : "fail";
		else if (!strncmp(line, "ok 3 ASIDs rolled over,", 23))
			rolled_over = true;
		else if (sscanf(line, "e2e: end, %d failures", &status) == 1)
			result = status || !rolled_over ? "fail" : "pass";
	}
	if (file && strcmp(result, "pass")) {
		rewind(file);
		while (fgets(line, sizeof(line), file))
			say("peer %s said: %s", name, line);
	}
	if (file)
		fclose(file);
	return result;
}

static void run(const char *name, int copies, char **args, int seconds)
{
	time_t begin = time(NULL);
	pid_t pids[MAX_COPIES];
	int i, left = copies, status;

	for (i = 0; i < copies; i++)
		pids[i] = start(args, i);
	while (left && time(NULL) < begin + seconds) {
		for (i = 0; i < copies; i++) {
			if (pids[i] <= 0 || !waitpid(pids[i], &status, WNOHANG))
				continue;
			pids[i] = 0;
			left--;
			say("peer %s: %s, %ld s\n", name, judge(name, i), (long)(time(NULL) - begin));
		}
		usleep(10000);
	}
	for (i = 0; i < copies; i++) {
		if (pids[i] <= 0)
			continue;
		kill(-pids[i], SIGKILL);
		waitpid(pids[i], &status, 0);
		judge(name, i);
		say("peer %s: timeout, %d s\n", name, seconds);
	}
}

int main(int argc, char **argv)
{
	FILE *list = fopen("/peers.list", "r");
	char line[512];
	int ran = 0;

	if (!list || argc < 2) {
		say("peers: wrong: no /peers.list, or no time\n");
		return 1;
	}
	while (fgets(line, sizeof(line), list)) {
		char *args[MAX_ARGS + 2] = { "lkvm", "run" }, *name = strtok(line, " \n"), *copies = strtok(NULL, " \n");
		bool wanted = argc == 2;

		for (int i = 2; i < argc; i++)
			wanted |= !strcmp(argv[i], name);
		if (!wanted || !copies || atoi(copies) > MAX_COPIES)
			continue;
		/* What follows -p is one argument, to the end. */
		for (int n = 2; n < MAX_ARGS; n++) {
			bool params = !strcmp(args[n - 1], "-p");

			args[n] = strtok(NULL, params ? "\n" : " \n");
			if (!args[n])
				break;
		}
		run(name, atoi(copies), args, atoi(argv[1]));
		ran += atoi(copies);
	}
	say("peers: %d checks, 0 wrong\n", ran);
	return !ran;
}
