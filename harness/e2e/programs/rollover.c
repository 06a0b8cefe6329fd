// SPDX-License-Identifier: GPL-2.0-only
/*
 * Measure what a rollover of VMIDs on riscv does to running guests.
 *
 * A guest spins on each CPU but the first. On the first, more VMs than there are VMIDs
 * take turns, each until its guest stores to an address without memory. VMIDs run out once
 * in each round. Spinning guests use VMIDs too, so each rollover comes a few turns earlier
 * than the last. The program watches the last turns only. It counts IPIs in
 * /proc/interrupts, and in each turn the exits of the spinning guests in KVM's
 * statistics. The kernel's event tells which turn has the rollover. Without the event, it
 * is the turn with most IPIs.
 *
 * A timer tick also causes an exit, in one of several turns. The total of all watched
 * turns, which is printed, shows how often. So use the median of the rounds.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "e2e.h"

#define PAGE		4096UL
#define CODE_IPA	0x80000000UL
#define MAX_SPINNING	7
/* One more than there are 14-bit VMIDs. */
#define VMS		16384
/* The rollover comes 4 or 5 turns earlier in each round. */
#define ROUNDS		25
#define WATCHED		256

/* sw zero, (zero); j -4; j 0 */
static const uint32_t code[] = { 0x00002023, 0xffdff06f, 0x0000006f };
#define STORES		CODE_IPA
#define SPINS		(CODE_IPA + 8)

struct guest {
	int vm, vcpu;
	struct kvm_run *run;
};

static struct spinning {
	struct guest guest;
	pthread_t thread;
	int cpu, stats;
	long exits_at;
} spinning[MAX_SPINNING];
static int nr_spinning;

static struct guest vms[VMS];
static int kvm, run_size;
static void *code_page;
static FILE *interrupts;

#define die(what) do {							\
	say("rollover: wrong: %s: %s\n", what, strerror(errno));	\
	exit(1);							\
} while (0)

static void create(struct guest *guest)
{
	struct kvm_userspace_memory_region region = {
		.guest_phys_addr = CODE_IPA,
		.memory_size = PAGE,
		.userspace_addr = (uintptr_t)code_page,
	};

	guest->vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (guest->vm < 0)
		die("KVM_CREATE_VM");
	if (ioctl(guest->vm, KVM_SET_USER_MEMORY_REGION, &region))
		die("KVM_SET_USER_MEMORY_REGION");
}

static void start(struct guest *guest, uint64_t pc)
{
	struct kvm_one_reg reg = {
		.id = KVM_REG_RISCV | KVM_REG_SIZE_U64 | KVM_REG_RISCV_CORE |
		      KVM_REG_RISCV_CORE_REG(regs.pc),
		.addr = (uintptr_t)&pc,
	};

	guest->vcpu = ioctl(guest->vm, KVM_CREATE_VCPU, 0);
	if (guest->vcpu < 0)
		die("KVM_CREATE_VCPU");
	if (ioctl(guest->vcpu, KVM_SET_ONE_REG, &reg))
		die("KVM_SET_ONE_REG");
	guest->run = mmap(NULL, run_size, PROT_READ | PROT_WRITE, MAP_SHARED, guest->vcpu, 0);
	if (guest->run == MAP_FAILED)
		die("mmap of kvm_run");
}

static void stay_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("sched_setaffinity");
}

static void *spin(void *arg)
{
	struct spinning *one = arg;

	stay_on(one->cpu);
	ioctl(one->guest.vcpu, KVM_RUN, 0);
	die("a guest left its loop");
}

/* The offset of the exits in the statistics of a vCPU. */
static void find_exits(struct spinning *one)
{
	struct kvm_stats_header header;
	char buffer[512];
	struct kvm_stats_desc *desc = (struct kvm_stats_desc *)buffer;
	size_t size, i;

	one->stats = ioctl(one->guest.vcpu, KVM_GET_STATS_FD, NULL);
	if (one->stats < 0 || pread(one->stats, &header, sizeof(header), 0) != sizeof(header))
		die("KVM_GET_STATS_FD");
	size = sizeof(*desc) + header.name_size;
	for (i = 0; i < header.num_desc && size <= sizeof(buffer); i++) {
		if (pread(one->stats, buffer, size, header.desc_offset + i * size) != (ssize_t)size)
			break;
		if (!strcmp(desc->name, "exits")) {
			one->exits_at = header.data_offset + desc->offset;
			return;
		}
	}
	die("no statistics of exits");
}

static long exits_of(const struct spinning *one)
{
	uint64_t exits;

	if (pread(one->stats, &exits, sizeof(exits), one->exits_at) != sizeof(exits))
		die("statistics");
	return exits;
}

static long exits(void)
{
	long sum = 0;

	for (int i = 0; i < nr_spinning; i++)
		sum += exits_of(&spinning[i]);
	return sum;
}

/* IPIs of all kinds on all CPUs. */
static long ipis(void)
{
	char line[512], *word, *end;
	long sum = 0;

	rewind(interrupts);
	while (fgets(line, sizeof(line), interrupts)) {
		word = strchr(line, ':');
		if (!word || strncmp(line + strspn(line, " "), "IPI", 3))
			continue;
		for (word++;; word = end) {
			sum += strtol(word, &end, 10);
			if (end == word)
				break;
		}
	}
	return sum;
}

/* Returns whether the guest's exit was the expected one. */
static bool take_turn(const struct guest *guest)
{
	if (ioctl(guest->vcpu, KVM_RUN, 0))
		die("KVM_RUN");
	return guest->run->exit_reason == KVM_EXIT_MMIO && !guest->run->mmio.phys_addr;
}

/* Each VM takes a turn. Returns the number of errors. */
static long take_round(void)
{
	long at = -1, at_exits = 0, most = 0, ipis_before, wrong = 0, all_exits = 0;
	long ipis_now, rolled, now;
	int i, seen = 0;

	for (i = 0; i < VMS - WATCHED; i++)
		wrong += !take_turn(&vms[i]);

	rolled = rollovers("vmid");
	ipis_now = ipis();
	ipis_before = ipis_now;
	for (; i < VMS; i++) {
		long before = ipis_now, nr = exits();

		wrong += !take_turn(&vms[i]);
		nr = exits() - nr;
		all_exits += nr;
		ipis_now = ipis();
		now = rollovers("vmid");
		if (now < 0 ? ipis_now - before > most : now > rolled) {
			most = ipis_now - before;
			at = i;
			at_exits = nr;
			seen++;
		}
		rolled = now;
	}
	if (at < 0 || (rolled >= 0 && seen > 1)) {
		say("rollover: wrong: %d rollovers seen in a round\n", seen);
		return wrong + 1;
	}
	say("rollover: VM %ld: %ld IPIs, %ld exits; %d turns had %ld exits\n", at,
	    ipis_now - ipis_before, at_exits, WATCHED, all_exits);
	return wrong;
}

int main(int argc, char **argv)
{
	struct rlimit files = { 4 * VMS, 4 * VMS };
	long wrong = 0;
	int i;

	setrlimit(RLIMIT_NOFILE, &files);
	interrupts = fopen("/proc/interrupts", "r");
	kvm = open("/dev/kvm", O_RDWR);
	if (!interrupts || kvm < 0)
		die("/proc/interrupts, /dev/kvm");
	run_size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	code_page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (code_page == MAP_FAILED)
		die("mmap");
	memcpy(code_page, code, sizeof(code));
	__builtin___clear_cache(code_page, code_page + sizeof(code));

	stay_on(0);
	/* Create all VMs before memory is mapped: KVM_CREATE_VM walks all mappings. */
	for (i = 0; i < VMS; i++)
		create(&vms[i]);
	for (i = 0; i < VMS; i++)
		start(&vms[i], STORES);

	nr_spinning = sysconf(_SC_NPROCESSORS_ONLN) - 1;
	if (nr_spinning > MAX_SPINNING)
		nr_spinning = MAX_SPINNING;
	for (i = 0; i < nr_spinning; i++) {
		struct spinning *one = &spinning[i];

		one->cpu = i + 1;
		create(&one->guest);
		start(&one->guest, SPINS);
		find_exits(one);
		if (pthread_create(&one->thread, NULL, spin, one))
			die("pthread_create");
	}
	/* After some ticks all guests spin. */
	for (i = 0; i < nr_spinning; i++)
		while (exits_of(&spinning[i]) < 10)
			usleep(1000);

	for (i = 0; i < ROUNDS; i++)
		wrong += take_round();
	say("rollover: %d checks, %ld wrong; %d guests spin\n", ROUNDS * VMS, wrong, nr_spinning);
	return !!wrong;
}
