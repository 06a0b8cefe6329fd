// SPDX-License-Identifier: GPL-2.0-only
/*
 * The init of a kernel that is measured: runs workloads with context switches, and prints
 * the time of each by the counter of the CPU. With QEMU's -icount shift=0 and a counter of
 * 1 GHz, that is the number of instructions of the whole system.
 *
 * Two kernels differ by a few instructions for each switch, and nothing else may differ.
 * So all processes here are real-time (SCHED_FIFO). Otherwise timer ticks would end time
 * slices at different places, and the order of processes would change. Sleeps between the
 * rounds, by fractions of a tick, vary the phase of the ticks, and let kernel threads run.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The first few rounds fill the kernel's caches and the tree of PIDs. */
#define WARM_UPS	5
#define TIMES		16
/* The period of a tick with CONFIG_HZ=250. */
#define PERIOD_NS	4000000
#define VMS		300
#define PAGE		4096UL
#define CODE_ADDR	0x80000000UL
#define MMIO_ADDR	0x10000000UL

static void die(const char *what)
{
	printf("bench: error: ");
	fflush(stdout);
	perror(what);
	reboot(RB_POWER_OFF);
	exit(1);
}

static long check(long ret, const char *what)
{
	if (ret < 0)
		die(what);
	return ret;
}

static unsigned long counter(void)
{
	unsigned long ticks;

	asm volatile("isb; mrs %0, cntvct_el0" : "=r" (ticks) :: "memory");
	return ticks;
}

static void wait_for(pid_t pid)
{
	int status;

	check(waitpid(pid, &status, 0), "waitpid");
	if (status) {
		errno = 0;
		die("a child failed");
	}
}

static int pings = 5000;

/* Two processes take turns to send each other a byte. */
static void ping_pong(void)
{
	int there[2], back[2], i;
	char byte = 0;
	pid_t pid;

	check(pipe(there), "pipe");
	check(pipe(back), "pipe");
	pid = check(fork(), "fork");
	for (i = 0; i < pings; i++) {
		if (pid)
			check(write(there[1], &byte, 1), "write");
		check(read(pid ? back[0] : there[0], &byte, 1), "read");
		if (!pid)
			check(write(back[1], &byte, 1), "write");
	}
	if (!pid)
		_exit(0);
	wait_for(pid);
	for (i = 0; i < 2; i++) {
		close(there[i]);
		close(back[i]);
	}
}

static void fork_exit(void)
{
	pid_t pid;
	int i;

	for (i = 0; i < 1000; i++) {
		pid = check(fork(), "fork");
		if (!pid)
			_exit(0);
		wait_for(pid);
	}
}

static void hackbench(void)
{
	pid_t pid = check(fork(), "fork");

	if (!pid) {
		check(dup2(check(open("/dev/null", O_WRONLY), "/dev/null"), 1), "dup2");
		execl("/hackbench", "hackbench", "-P", "--pipe", "-g", "4", "-l", "25", NULL);
		_exit(127);
	}
	wait_for(pid);
}

static struct {
	int fd;
	struct kvm_run *run;
} vcpus[VMS];

/* Each guest stores to an address without memory all the time, which exits to us. */
static void make_vms(void)
{
	/* 1: str wzr, [x0]; b 1b */
	static const unsigned int code[] = { 0xb900001f, 0x17ffffff };
	int kvm = check(open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm");
	long size = check(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE");
	struct rlimit files = { 4 * VMS, 4 * VMS };
	int i, vm;

	check(setrlimit(RLIMIT_NOFILE, &files), "setrlimit");
	for (i = 0; i < VMS; i++) {
		void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		struct kvm_userspace_memory_region region = {
			.guest_phys_addr = CODE_ADDR,
			.memory_size = PAGE,
			.userspace_addr = (unsigned long)page,
		};
		unsigned long pc = CODE_ADDR, x0 = MMIO_ADDR;
		struct kvm_one_reg set_pc = {
			.id = KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE |
			      KVM_REG_ARM_CORE_REG(regs.pc),
			.addr = (unsigned long)&pc,
		};
		struct kvm_one_reg set_x0 = {
			.id = KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE |
			      KVM_REG_ARM_CORE_REG(regs.regs[0]),
			.addr = (unsigned long)&x0,
		};
		struct kvm_vcpu_init init;

		if (page == MAP_FAILED)
			die("mmap");
		memcpy(page, code, sizeof(code));
		__builtin___clear_cache(page, (char *)page + sizeof(code));
		vm = check(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
		check(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region),
		      "KVM_SET_USER_MEMORY_REGION");
		vcpus[i].fd = check(ioctl(vm, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
		check(ioctl(vm, KVM_ARM_PREFERRED_TARGET, &init), "KVM_ARM_PREFERRED_TARGET");
		check(ioctl(vcpus[i].fd, KVM_ARM_VCPU_INIT, &init), "KVM_ARM_VCPU_INIT");
		check(ioctl(vcpus[i].fd, KVM_SET_ONE_REG, &set_pc), "KVM_SET_ONE_REG");
		check(ioctl(vcpus[i].fd, KVM_SET_ONE_REG, &set_x0), "KVM_SET_ONE_REG");
		vcpus[i].run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED,
				    vcpus[i].fd, 0);
		if (vcpus[i].run == MAP_FAILED)
			die("mmap");
	}
}

static void run_vms(void)
{
	int i, round;

	for (round = 0; round < 20; round++) {
		for (i = 0; i < VMS; i++) {
			check(ioctl(vcpus[i].fd, KVM_RUN, 0), "KVM_RUN");
			if (vcpus[i].run->exit_reason != KVM_EXIT_MMIO ||
			    vcpus[i].run->mmio.phys_addr != MMIO_ADDR) {
				errno = 0;
				die("a guest exits for another reason");
			}
		}
	}
}

static void measure(const char *name, void (*what)(void))
{
	struct timespec nap = { 0 };
	unsigned long begin;
	int i;

	for (i = 0; i < WARM_UPS; i++)
		what();
	for (i = 0; i < TIMES; i++) {
		nap.tv_nsec = 10 * PERIOD_NS + i * PERIOD_NS / TIMES;
		nanosleep(&nap, NULL);
		begin = counter();
		what();
		printf("bench: %s %lu\n", name, counter() - begin);
	}
}

int main(int argc, char **argv)
{
	struct sched_param priority = { .sched_priority = 1 };

	check(sched_setscheduler(0, SCHED_FIFO, &priority), "sched_setscheduler");
	setvbuf(stdout, NULL, _IOLBF, 0);
	/* The last argument: the kernel puts unknown options before it. */
	if (!strcmp(argv[argc - 1], "trace")) {
		/* A short run, as each instruction is logged. */
		pings = 500;
		ping_pong();
		make_vms();
		run_vms();
	} else {
		measure("ping-pong", ping_pong);
		measure("fork-exit", fork_exit);
		make_vms();
		measure("vms", run_vms);
		if (!access("/hackbench", X_OK))
			measure("hackbench", hackbench);
	}
	printf("bench: end\n");
	reboot(RB_POWER_OFF);
	return 0;
}
