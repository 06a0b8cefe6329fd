/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest of guests.c on riscv, in S-mode, with Sv39.
 */
/* In the upper half of 39 bits, and in the lower. */
#define HIGH_VA		0xffffffc080000000UL
#define LOW_VA		0x0000000080000000UL

/*
 * The guest. set_registers() sets its registers: a0 data, a1 number of pages, a2 address
 * of reports, a3 name, a4 and a5 order of pages, a6 its own code, a7 offset of this
 * vCPU's word in each page, s2 sweeps.
 */
asm(
"	.pushsection .rodata\n"
"	.option	push\n"
"	.option	norvc\n"
"	.balign	4096\n"
"	.globl	guest_code, sweep, guest_code_end\n"
"guest_code:\n"			/* exceptions, which must not occur */
"	csrr	t0, scause\n"
"	sd	t0, 6 * 8(a2)\n"
"	csrr	t0, sepc\n"
"	sd	t0, 7 * 8(a2)\n"
"	csrr	t0, stval\n"
"	sd	t0, 8 * 8(a2)\n"
"9:	j	9b\n"
"sweep:\n"
"	fence.i\n"		/* the host has written the code */
"8:	li	t0, 0\n"		/* page */
"	li	t1, 0\n"		/* digest */
"	andi	t2, s2, 255\n"	/* the word to read */
"	addi	s3, a1, -1\n"
"0:	mul	t3, t0, a4\n"	/* the expected page */
"	add	t3, t3, a5\n"
"	and	t3, t3, s3\n"
"	slli	t3, t3, 16\n"
"	or	t3, t3, a3\n"
"	or	t3, t3, t2\n"
"	slli	t4, t0, 12\n"
"	add	t4, t4, a0\n"
"	slli	t5, t2, 3\n"
"	add	t5, t5, t4\n"
"	ld	t6, 0(t5)\n"
"	beq	t6, t3, 1f\n"
"	sd	t4, 1 * 8(a2)\n"
"	sd	t6, 2 * 8(a2)\n"
"1:	srli	t5, t1, 7\n"
"	slli	t1, t1, 57\n"
"	or	t1, t1, t5\n"
"	xor	t1, t1, t6\n"
"	add	t5, t4, a7\n"	/* this vCPU's word */
"	ld	t6, 0(t5)\n"
"	beq	t6, s2, 2f\n"
"	sd	t4, 3 * 8(a2)\n"
"	sd	t6, 4 * 8(a2)\n"
"2:	addi	t6, s2, 1\n"
"	sd	t6, 0(t5)\n"
"	addi	t0, t0, 1\n"
"	bltu	t0, a1, 0b\n"
"	jalr	a6\n"		/* its own code puts its name into t6 */
"	beq	t6, a3, 3f\n"
"	sd	t6, 5 * 8(a2)\n"
"3:	addi	s2, s2, 1\n"
"	sd	t1, 0(a2)\n"
"	andi	t6, s2, 7\n"
"	bnez	t6, 8b\n"
"	wfi\n"
"	j	8b\n"
"guest_code_end:\n"
"	.option	pop\n"
"	.popsection\n"
);
extern const char guest_code[], sweep[], guest_code_end[];

/* The instructions of a VM's own code, by their formats. */
static uint32_t lui(unsigned int rd, unsigned int imm)
{
	return imm << 12 | rd << 7 | 0x37;
}

static uint32_t shift(unsigned int rd, unsigned int by, unsigned int funct3)
{
	return by << 20 | rd << 15 | funct3 << 12 | rd << 7 | 0x13;
}

static void fill_tables(struct vm *vm)
{
	enum { T5 = 30, T6 = 31, LEFT = 1, RIGHT = 5 };
	/* V, R, W, X, G, A, D */
	static const uint64_t code = 0xeb, data = 0xc7, global = 0x20, table = 1;
	uint32_t *own = (uint32_t *)page(vm, NAME_INDEX);
	uint64_t i;

	*own++ = lui(T6, vm->number);
	*own++ = lui(T5, vm->incarnation & 0xffff);
	*own++ = shift(T5, 12, RIGHT);
	/* Shift the number from bit 12 to 16, and both by 32; or t6, t6, t5 */
	*own++ = shift(T6, 4, LEFT);
	*own++ = 0x01efefb3;
	*own++ = shift(T6, 32, LEFT);
	/* ret */
	*own++ = 0x00008067;

	for (i = 0; i < 2; i++)
		page(vm, TABLES + i)[GUEST_VA >> (30 - 9 * i) & 511] =
			(MEM_IPA + (TABLES + 1 + i) * PAGE) >> 2 | table;
	page(vm, LAST_TABLE)[CODE_INDEX] = (MEM_IPA + CODE_INDEX * PAGE) >> 2 | code;
	page(vm, LAST_TABLE)[NAME_INDEX] = (MEM_IPA + NAME_INDEX * PAGE) >> 2 | code;
	/* Global pages, and pages of an ASID. All guests have the same ASID. */
	for (i = 0; i < DATA_PAGES; i++)
		page(vm, LAST_TABLE)[DATA_INDEX + i] = data | (i & 1 ? 0 : global) |
			(MEM_IPA + (DATA_INDEX + page_at(vm, i)) * PAGE) >> 2;
	page(vm, LAST_TABLE)[MMIO_INDEX] = MMIO_IPA >> 2 | data;
}

#define REG(kind, reg) (KVM_REG_RISCV | KVM_REG_SIZE_U64 | (kind) | (reg))
#define CORE_REG(reg) REG(KVM_REG_RISCV_CORE, KVM_REG_RISCV_CORE_REG(reg))
#define CSR(reg) REG(KVM_REG_RISCV_CSR, KVM_REG_RISCV_CSR_REG(reg))

static void set_registers(struct vm *vm, unsigned int nr)
{
	struct kvm_mp_state runs = { .mp_state = KVM_MP_STATE_RUNNABLE };
	struct vcpu *vcpu = &vm->vcpus[nr];
	const uint64_t a[] = {
		DATA_VA, DATA_PAGES, MMIO_VA, name_of(vm), order_mul(vm), order_add(vm),
		GUEST_VA + NAME_INDEX * PAGE, own_offset(nr),
	};

	/* By default only vCPU 0 runs. */
	if (ioctl(vcpu->fd, KVM_SET_MP_STATE, &runs))
		die("KVM_SET_MP_STATE");
	for (unsigned int i = 0; i < sizeof(a) / sizeof(*a); i++)
		set_reg(vcpu, CORE_REG(regs.a0) + i, a[i]);
	set_reg(vcpu, CORE_REG(regs.s2), 0);
	set_reg(vcpu, CORE_REG(regs.pc), GUEST_VA + (sweep - guest_code));
	/* Interrupts masked, but the external one ends wfi; Sv39, ASID 1 */
	set_reg(vcpu, CSR(stvec), GUEST_VA);
	set_reg(vcpu, CSR(sie), 1 << 9);
	set_reg(vcpu, CSR(satp), 8UL << 60 | 1UL << 44 | (MEM_IPA + TABLES * PAGE) / PAGE);
}

static void set_irq(struct vm *vm, unsigned int nr, int level)
{
	struct kvm_interrupt irq = { level ? KVM_INTERRUPT_SET : KVM_INTERRUPT_UNSET };

	if (ioctl(vm->vcpus[nr].fd, KVM_INTERRUPT, &irq))
		die("KVM_INTERRUPT");
}
