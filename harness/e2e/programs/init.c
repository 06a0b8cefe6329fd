// SPDX-License-Identifier: GPL-2.0-only
/*
 * init of an e2e boot: mounts file systems, starts the count of rollovers, runs the
 * commands, reports, and powers off.
 *
 * Each argument (after -- on the kernel command line) is a command: a program of this
 * directory and its arguments in one string. Commands run one after another. One that
 * starts with "&" runs in the background, and is waited for at the end. "toggle" is
 * built in: it takes CPUs offline and online until all other commands have ended.
 */

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>

#include "e2e.h"

#define MAX_ARGS	32
#define MAX_JOBS	16

static int failures;

static int put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	int ret = fd < 0 || write(fd, text, strlen(text)) < 0 ? -1 : 0;

	close(fd);
	return ret;
}

static int set_online(int cpu, const char *state)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online", cpu);
	return put(path, state);
}

static volatile sig_atomic_t stop_toggling;

static void on_term(int sig)
{
	stop_toggling = 1;
}

/* CPU 0 stays online. Any of the others may be offline at any time. */
static int toggle(void)
{
	int cpus = sysconf(_SC_NPROCESSORS_CONF), cpu, downs = 0, refused = 0;
	uint64_t seed = 1;
	char *down;

	signal(SIGTERM, on_term);
	down = calloc(cpus, 1);
	while (cpus > 1 && !stop_toggling) {
		cpu = 1 + random_of(&seed) % (cpus - 1);
		if (set_online(cpu, down[cpu] ? "1" : "0")) {
			refused++;
		} else {
			down[cpu] = !down[cpu];
			downs += down[cpu];
		}
		usleep(random_of(&seed) % 200000);
	}
	for (cpu = 1; cpu < cpus; cpu++)
		if (down[cpu] && set_online(cpu, "1"))
			refused++;
	say("toggle: CPUs were taken down %d times, and up again; refused %d times\n",
	    downs, refused);
	return !downs || refused;
}

/* A command that was started, and its exit status. */
static struct job {
	pid_t pid;
	int status;
	bool ended;
	const char *name;
} jobs[MAX_JOBS];
static int nr_jobs;

static struct job *start(char *command)
{
	struct job *job = &jobs[nr_jobs++];
	char *args[MAX_ARGS + 1], path[64];
	int n = 0;

	for (char *arg = strtok(command, " "); arg && n < MAX_ARGS; arg = strtok(NULL, " "))
		args[n++] = arg;
	args[n] = NULL;
	job->name = n ? args[0] : "nothing";
	job->pid = fork();
	if (!job->pid) {
		if (!strcmp(job->name, "toggle"))
			_exit(toggle());
		snprintf(path, sizeof(path), "/%s", job->name);
		execv(path, args);
		say("e2e: wrong: cannot run %s\n", path);
		_exit(127);
	}
	return job;
}

/* Orphans of any program come to init as well. */
static void finish(struct job *job)
{
	while (!job->ended) {
		int status;
		pid_t pid = waitpid(-1, &status, 0);

		for (int i = 0; i < nr_jobs; i++) {
			if (pid < 0 || jobs[i].pid == pid) {
				jobs[i].ended = true;
				jobs[i].status = pid < 0 ? -1 : status;
			}
		}
	}
	if (job->status) {
		failures++;
		say("e2e: %s ended with wait status %#x\n", job->name, job->status);
	}
}

static void prepare(void)
{
	int fd;

	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mkdir("/tmp", 01777);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	/* For run_kselftest.sh. */
	symlink("/proc/self/fd/1", "/dev/stdout");
	mount("tmpfs", "/tmp", "tmpfs", 0, NULL);
	mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, NULL);
	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);

	if (put(E2E_EVENT "/trigger", "hist:keys=name"))
		say("e2e: this kernel has no events of rollovers\n");

	fd = open("/asid_probe.ko", O_RDONLY);
	if (fd >= 0 && syscall(SYS_finit_module, fd, "", 0)) {
		failures++;
		say("e2e: asid_probe.ko cannot be loaded\n");
	}
	close(fd);
}

/* Print how many accesses KCSAN has watched. With 0, it would not report races either. */
static void say_watched(void)
{
	FILE *info = fopen("/sys/kernel/debug/kcsan", "r");
	char line[128];

	if (!info)
		return;
	while (fgets(line, sizeof(line), info))
		if (strstr(line, "_watchpoints:") || strstr(line, "races:"))
			say("e2e: kcsan %s", line);
	fclose(info);
}

int main(int argc, char **argv)
{
	struct job *beside[MAX_JOBS], *toggler = NULL;
	int i, n = 0;

	prepare();
	if (argc > MAX_JOBS)
		argc = MAX_JOBS;
	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "toggle"))
			toggler = start(argv[i]);
		else if (*argv[i] == '&')
			beside[n++] = start(argv[i] + 1);
		else
			finish(start(argv[i]));
	}
	for (i = 0; i < n; i++)
		finish(beside[i]);
	if (toggler) {
		kill(toggler->pid, SIGTERM);
		finish(toggler);
	}
	say_watched();
	say("e2e: %ld rollovers of asid, %ld of vmid\n", rollovers("asid"), rollovers("vmid"));
	say("e2e: end, %d failures\n", failures);
	/* A slow console still has some of this in its buffer. */
	tcdrain(STDOUT_FILENO);
	sync();
	reboot(RB_POWER_OFF);
	return 1;
}
