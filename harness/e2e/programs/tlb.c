// SPDX-License-Identifier: GPL-2.0-only
/*
 * A TLB tagged by ASID and VMID, as a QEMU plugin. It detects missing flushes, which QEMU itself does not show.
 *
 * QEMU drops all translations of a CPU when its ASID or VMID changes, so no access hits an entry of an ID's previous
 * owner. This plugin keeps what hardware may keep. For each CPU it records the physical page of each load and store of
 * userspace and guests, by VMID, ASID and virtual page. TLBI instructions of the kernel remove records. QEMU reports the
 * correct physical page of each access. If a record has another page, hardware could have used a stale entry, and the
 * plugin reports it as wrong.
 *
 *   qemu-system-aarch64 -plugin tlb.so -cpu cortex-a57 ...
 *
 * The host kernel must run at EL1 (nVHE, if there are guests), with 8-bit VMIDs and without TLBI by range. QEMU reports an
 * instruction before its effect. So if one CPU changes a page while another uses it, the plugin may report a false
 * positive: use processes with one thread. Each CPU of QEMU must be a thread, which is the default. With thread=single,
 * QEMU 10.0 reports all CPUs as the first.
 *
 * No package of Debian 12 or 13 has QEMU's header for plugins, so the declarations are here, for version 9.0 and later.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_hwaddr;
struct qemu_plugin_register;
struct qemu_info;
/* From GLib, which QEMU is linked with. */
struct array {
	void *data;
	unsigned int len;
};

struct reg {
	struct qemu_plugin_register *handle;
	const char *name, *feature;
};

enum { NO_REGS, READ_REGS };
enum { LOADS = 1, STORES = 2 };

typedef void tb_fn(uint64_t id, struct qemu_plugin_tb *tb);
typedef void cpu_fn(uint64_t id, unsigned int cpu);
typedef void insn_fn(unsigned int cpu, void *data);
typedef void mem_fn(unsigned int cpu, uint32_t info, uint64_t addr, void *data);
typedef void exit_fn(uint64_t id, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, tb_fn *fn);
void qemu_plugin_register_vcpu_init_cb(uint64_t id, cpu_fn *fn);
void qemu_plugin_register_atexit_cb(uint64_t id, exit_fn *fn, void *data);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, insn_fn *fn, int regs, void *data);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, insn_fn *fn, int regs, void *data);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn, mem_fn *fn, int regs, int accesses, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t n);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *to, size_t len);
struct qemu_plugin_hwaddr *qemu_plugin_get_hwaddr(uint32_t info, uint64_t addr);
bool qemu_plugin_hwaddr_is_io(const struct qemu_plugin_hwaddr *where);
uint64_t qemu_plugin_hwaddr_phys_addr(const struct qemu_plugin_hwaddr *where);
struct array *qemu_plugin_get_registers(void);
int qemu_plugin_read_register(struct qemu_plugin_register *reg, struct array *value);
struct array *g_byte_array_new(void);
struct array *g_byte_array_set_size(struct array *bytes, unsigned int len);

#define PUBLIC __attribute__((visibility("default")))
PUBLIC int qemu_plugin_version = 3;

#define MAX_CPUS	16
#define ENTRIES		(1U << 16)
#define PAGE_SHIFT	12
#define ASIDS		(1U << 16)
#define VMIDS		(1U << 8)

#define MSR_TTBR1_EL1	0xd5182020
#define MSR_VTTBR_EL2	0xd51c2100
#define TLBI		0xd5088000
#define TLBI_OPERANDS	0x00070fffU

static void die(const char *why)
{
	fprintf(stderr, "tlb: wrong: %s\n", why);
	exit(1);
}

/*
 * A page of an ASID, of the host (VMID 0) or of a guest. It is valid if it is newer than the last invalidation of its VMID
 * or, for the host, of its ASID.
 */
struct entry {
	uint64_t page, leads_to, made;
	unsigned int vmid, asid;
};

static struct cpu {
	struct qemu_plugin_register *x[31], *cpsr;
	unsigned int vmid, asid;
	bool at_el2;
	/* Protects the members below, as TLBIs of other CPUs are broadcast. */
	pthread_mutex_t lock;
	uint64_t now;
	uint64_t forgot_vmid[VMIDS], forgot_asid[ASIDS];
	struct entry entries[ENTRIES];
	unsigned long checks, all, by_vmid, by_asid, by_page;
} *cpus[MAX_CPUS];

static atomic_ulong wrong;

static bool is_good(const struct cpu *c, const struct entry *e)
{
	return e->made > c->forgot_vmid[e->vmid] && (e->vmid || e->made > c->forgot_asid[e->asid]);
}

static struct entry *find(struct cpu *c, unsigned int vmid, unsigned int asid, uint64_t page)
{
	uint64_t hash = (page ^ (uint64_t)vmid << 40 ^ (uint64_t)asid << 48) * 0x9e3779b97f4a7c15ULL;
	struct entry *e = &c->entries[(hash >> 32) % ENTRIES];

	/* The cache is direct-mapped: a new entry replaces the old one. */
	if (e->page != page || e->vmid != vmid || e->asid != asid || !is_good(c, e))
		*e = (struct entry){ .page = page, .vmid = vmid, .asid = asid };
	return e;
}

static void on_access(unsigned int n, uint32_t info, uint64_t addr, void *data)
{
	struct qemu_plugin_hwaddr *where = qemu_plugin_get_hwaddr(info, addr);
	struct cpu *c = cpus[n];
	uint64_t leads_to;
	struct entry *e;

	(void)data;
	/* No process has ASID 0 of the host: it is for the first tables of a CPU. */
	if (c->at_el2 || (!c->vmid && !c->asid) || !where || qemu_plugin_hwaddr_is_io(where))
		return;

	leads_to = qemu_plugin_hwaddr_phys_addr(where) >> PAGE_SHIFT;
	pthread_mutex_lock(&c->lock);
	e = find(c, c->vmid, c->asid, addr << 8 >> 8 >> PAGE_SHIFT);
	c->checks++;
	if (e->made && e->leads_to != leads_to && wrong++ < 20)
		fprintf(stderr, "tlb: wrong: CPU%u with VMID %u, ASID %u: %#lx may lead to %#lx, and not to %#lx\n",
			n, c->vmid, c->asid, addr, e->leads_to << PAGE_SHIFT, leads_to << PAGE_SHIFT);
	if (!e->made || e->leads_to != leads_to) {
		e->leads_to = leads_to;
		e->made = ++c->now;
	}
	pthread_mutex_unlock(&c->lock);
}

static uint64_t value_of(struct qemu_plugin_register *reg)
{
	static _Thread_local struct array *value;
	uint64_t result = 0;

	value = value ?: g_byte_array_new();
	g_byte_array_set_size(value, 0);
	if (qemu_plugin_read_register(reg, value) < 4)
		die("cannot read a register");
	memcpy(&result, value->data, value->len < sizeof(result) ? value->len : sizeof(result));
	return result;
}

/* The operand of an instruction. */
static uint64_t operand_of(unsigned int n, void *data)
{
	unsigned int reg = (uintptr_t)data & 31;

	return reg == 31 ? 0 : value_of(cpus[n]->x[reg]);
}

static void on_ttbr1(unsigned int n, void *data)
{
	cpus[n]->asid = operand_of(n, data) >> 48;
}

static void on_vttbr(unsigned int n, void *data)
{
	cpus[n]->vmid = operand_of(n, data) >> 48 & (VMIDS - 1);
}

/* The same instructions at low addresses may be from KVM at EL2, from userspace or from a guest. */
static void on_low_code(unsigned int n, void *data)
{
	(void)data;
	cpus[n]->at_el2 = (value_of(cpus[n]->cpsr) >> 2 & 3) == 2;
}

static void forget_vmid(struct cpu *c, unsigned int vmid)
{
	c->forgot_vmid[vmid] = ++c->now;
	c->by_vmid++;
}

static void forget(struct cpu *c, unsigned int vmid, unsigned int operation, uint64_t operand)
{
	unsigned int asid = operand >> 48;
	uint64_t page = operand & ((1UL << 44) - 1);

	switch (operation) {
	case 0:				/* VMALLE1 */
		forget_vmid(c, vmid);
		break;
	case 2:				/* ASIDE1; for a guest, all of its VMID, which is allowed */
		if (vmid) {
			forget_vmid(c, vmid);
			break;
		}
		c->forgot_asid[asid] = ++c->now;
		c->by_asid++;
		break;
	case 1: case 5:			/* VAE1, VALE1 */
		find(c, vmid, asid, page)->made = 0;
		c->by_page++;
		break;
	case 3: case 7:			/* VAAE1, VAALE1; the host's are for kernel pages, which are not recorded */
		if (vmid)
			forget_vmid(c, vmid);
		break;
	}
}

static void forget_at_el2(struct cpu *c, unsigned int vmid, unsigned int operation)
{
	switch (operation) {
	case 4:				/* ALLE1 */
		for (vmid = 0; vmid < VMIDS; vmid++)
			c->forgot_vmid[vmid] = ++c->now;
		c->all++;
		break;
	case 6:				/* VMALLS12E1 */
		forget_vmid(c, vmid);
		break;
	}
	/* TLBIs for EL2 itself change nothing here. */
}

static void on_tlbi(unsigned int n, void *data)
{
	uint32_t insn = (uintptr_t)data;
	unsigned int level = insn >> 16 & 7, where = insn >> 8 & 15, operation = insn >> 5 & 7;
	unsigned int vmid = cpus[n]->vmid, first = n, last = n;
	uint64_t operand = operand_of(n, data);

	/* By IPA: the VMALLE1 that follows removes the combined entries. */
	if (level == 4 && (where == 0 || where == 4))
		return;
	if (where == 1 || where == 3)
		first = 0, last = MAX_CPUS - 1;
	else if (where != 7)
		die("a TLBI by range, or one not known; use -cpu cortex-a57");

	for (n = first; n <= last && cpus[n]; n++) {
		pthread_mutex_lock(&cpus[n]->lock);
		if (level == 4)
			forget_at_el2(cpus[n], vmid, operation);
		else
			forget(cpus[n], vmid, operation, operand);
		pthread_mutex_unlock(&cpus[n]->lock);
	}
}

static void on_translation(uint64_t id, struct qemu_plugin_tb *tb)
{
	size_t insns = qemu_plugin_tb_n_insns(tb);
	bool low = false;

	(void)id;
	for (size_t i = 0; i < insns; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		insn_fn *fn = NULL;
		uint32_t code = 0;

		qemu_plugin_insn_data(insn, &code, sizeof(code));
		if (!(qemu_plugin_insn_vaddr(insn) >> 55)) {
			qemu_plugin_register_vcpu_mem_cb(insn, on_access, NO_REGS, LOADS | STORES, NULL);
			low = true;
		}
		if ((code & ~31U) == MSR_TTBR1_EL1)
			fn = on_ttbr1;
		else if ((code & ~31U) == MSR_VTTBR_EL2)
			fn = on_vttbr;
		else if ((code & ~TLBI_OPERANDS) == TLBI)
			fn = on_tlbi;
		if (fn)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, fn, READ_REGS, (void *)(uintptr_t)code);
	}
	if (low)
		qemu_plugin_register_vcpu_tb_exec_cb(tb, on_low_code, READ_REGS, NULL);
}

static void on_cpu(uint64_t id, unsigned int n)
{
	struct array *regs = qemu_plugin_get_registers();
	struct cpu *c = n < MAX_CPUS ? calloc(1, sizeof(*c)) : NULL;
	unsigned int found = 0, reg;
	char rest;

	(void)id;
	for (unsigned int i = 0; c && i < regs->len; i++) {
		const struct reg *r = (struct reg *)regs->data + i;

		if (!strcmp(r->name, "cpsr")) {
			c->cpsr = r->handle;
			found++;
		} else if (sscanf(r->name, "x%u%c", &reg, &rest) == 1 && reg < 31) {
			c->x[reg] = r->handle;
			found++;
		}
	}
	if (found != 32)
		die("too many CPUs, or no AArch64 ones");
	pthread_mutex_init(&c->lock, NULL);
	cpus[n] = c;
}

static void at_end(uint64_t id, void *data)
{
	unsigned long checks = 0, all = 0, by_vmid = 0, by_asid = 0, by_page = 0;

	(void)id;
	(void)data;
	for (unsigned int n = 0; n < MAX_CPUS && cpus[n]; n++) {
		checks += cpus[n]->checks;
		all += cpus[n]->all;
		by_vmid += cpus[n]->by_vmid;
		by_asid += cpus[n]->by_asid;
		by_page += cpus[n]->by_page;
	}
	fprintf(stderr, "tlb: %lu checks, %lu wrong; ", checks, atomic_load(&wrong));
	fprintf(stderr, "forgot all %lu times, a VMID %lu times, an ASID %lu times, a page %lu times\n",
		all, by_vmid, by_asid, by_page);
}

PUBLIC int qemu_plugin_install(uint64_t id, const struct qemu_info *info, int argc, char **argv)
{
	(void)info;
	(void)argc;
	(void)argv;
	qemu_plugin_register_vcpu_init_cb(id, on_cpu);
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
	qemu_plugin_register_atexit_cb(id, at_end, NULL);
	return 0;
}
