/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest of guests.c on arm64.
 */
#ifndef KVM_VM_TYPE_ARM_PROTECTED
#define KVM_VM_TYPE_ARM_PROTECTED	(1UL << 31)
#endif
#define PROTECTED_VM	KVM_VM_TYPE_ARM_PROTECTED

/*
 * The addresses of the host kernel without KASLR, so that a guest with the VMID of the
 * host is noticed. Without the upper bits they are user addresses, which tlb.c tracks.
 */
#define HIGH_VA		0xffff800080000000UL
#define LOW_VA		(HIGH_VA << 16 >> 16)

/*
 * The guest. set_registers() sets its registers: x0 data, x1 number of pages, x2 address
 * of reports, x3 name, x4 and x5 order of pages, x6 its own code, x7 offset of this
 * vCPU's word in each page, x8 sweeps.
 */
asm(
"	.pushsection .rodata\n"
"	.balign	4096\n"
"	.globl	guest_code, sweep, guest_code_end\n"
"guest_code:\n"
"	.rept	16\n"			/* exceptions, which must not occur */
"	.balign	128\n"
"	mrs	x17, esr_el1\n"
"	str	x17, [x2, #6 * 8]\n"
"	mrs	x17, elr_el1\n"
"	str	x17, [x2, #7 * 8]\n"
"	mrs	x17, far_el1\n"
"	str	x17, [x2, #8 * 8]\n"
"	b	.\n"
"	.endr\n"
"	.balign	2048\n"
"sweep:\n"
"	mov	x10, #0\n"		/* page */
"	mov	x11, #0\n"		/* digest */
"	and	x12, x8, #255\n"	/* the word to read */
"	sub	x13, x1, #1\n"
"0:	madd	x14, x10, x4, x5\n"	/* the expected page */
"	and	x14, x14, x13\n"
"	orr	x15, x3, x14, lsl #16\n"
"	orr	x15, x15, x12\n"
"	add	x16, x0, x10, lsl #12\n"
"	ldr	x17, [x16, x12, lsl #3]\n"
"	cmp	x17, x15\n"
"	b.eq	1f\n"
"	str	x16, [x2, #1 * 8]\n"
"	str	x17, [x2, #2 * 8]\n"
"1:	ror	x11, x11, #7\n"
"	eor	x11, x11, x17\n"
"	ldr	x17, [x16, x7]\n"	/* this vCPU's word */
"	cmp	x17, x8\n"
"	b.eq	2f\n"
"	str	x16, [x2, #3 * 8]\n"
"	str	x17, [x2, #4 * 8]\n"
"2:	add	x17, x8, #1\n"
"	str	x17, [x16, x7]\n"
"	add	x10, x10, #1\n"
"	cmp	x10, x1\n"
"	b.lo	0b\n"
"	blr	x6\n"			/* its own code puts its name into x17 */
"	cmp	x17, x3\n"
"	b.eq	3f\n"
"	str	x17, [x2, #5 * 8]\n"
"3:	add	x8, x8, #1\n"
"	str	x11, [x2]\n"
"	and	x17, x8, #7\n"
"	cbnz	x17, sweep\n"
"	wfi\n"
"	b	sweep\n"
"guest_code_end:\n"
"	.popsection\n"
);
extern const char guest_code[], sweep[], guest_code_end[];

static void fill_tables(struct vm *vm)
{
	static const uint64_t table = 3, leaf = 3 | 3 << 8 | 1 << 10;
	uint64_t name = name_of(vm), i;
	uint32_t *code = (uint32_t *)page(vm, NAME_INDEX);

	/* movz, movk, movk x17; ret */
	*code++ = 0xd2e00011 | (name >> 48) << 5;
	*code++ = 0xf2c00011 | (name >> 32 & 0xffff) << 5;
	*code++ = 0xf2a00011;
	*code++ = 0xd65f03c0;

	for (i = 0; i < 3; i++)
		page(vm, TABLES + i)[GUEST_VA >> (39 - 9 * i) & 511] =
			(MEM_IPA + (TABLES + 1 + i) * PAGE) | table;
	page(vm, LAST_TABLE)[CODE_INDEX] = (MEM_IPA + CODE_INDEX * PAGE) | leaf;
	page(vm, LAST_TABLE)[NAME_INDEX] = (MEM_IPA + NAME_INDEX * PAGE) | leaf;
	/* Global pages and, with nG, pages of an ASID. All guests have the same ASID. */
	for (i = 0; i < DATA_PAGES; i++)
		page(vm, LAST_TABLE)[DATA_INDEX + i] = leaf | (i & 1) << 11 | 3UL << 53 |
			(MEM_IPA + (DATA_INDEX + page_at(vm, i)) * PAGE);
	/* Device memory in MAIR_EL1, see set_registers(). */
	page(vm, LAST_TABLE)[MMIO_INDEX] = MMIO_IPA | leaf | 1 << 2 | 3UL << 53;
}

#define CORE_REG(reg) (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | \
		       offsetof(struct kvm_regs, reg) / sizeof(uint32_t))
#define SYS_REG(op0, op1, crn, crm, op2) ARM64_SYS_REG(op0, op1, crn, crm, op2)

static void set_registers(struct vm *vm, unsigned int nr)
{
	struct vcpu *vcpu = &vm->vcpus[nr];
	struct kvm_vcpu_init init;
	const uint64_t x[] = {
		DATA_VA, DATA_PAGES, MMIO_VA, name_of(vm), order_mul(vm), order_add(vm),
		GUEST_VA + NAME_INDEX * PAGE, own_offset(nr), 0,
	};

	if (ioctl(vm->fd, KVM_ARM_PREFERRED_TARGET, &init))
		die("KVM_ARM_PREFERRED_TARGET");
	if (ioctl(vcpu->fd, KVM_ARM_VCPU_INIT, &init))
		die("KVM_ARM_VCPU_INIT");
	for (unsigned int i = 0; i < sizeof(x) / sizeof(*x); i++)
		set_reg(vcpu, CORE_REG(regs.regs[0]) + 2 * i, x[i]);
	set_reg(vcpu, CORE_REG(regs.pc), GUEST_VA + (sweep - guest_code));
	/* EL1h, interrupts masked */
	set_reg(vcpu, CORE_REG(regs.pstate), 0x3c5);
	/* VBAR, MAIR; TTBR0 and TTBR1 the same, with ASID 1 */
	set_reg(vcpu, SYS_REG(3, 0, 12, 0, 0), GUEST_VA);
	set_reg(vcpu, SYS_REG(3, 0, 10, 2, 0), 0x00ff);
	set_reg(vcpu, SYS_REG(3, 0, 2, 0, 0), (MEM_IPA + TABLES * PAGE) | 1UL << 48);
	set_reg(vcpu, SYS_REG(3, 0, 2, 0, 1), (MEM_IPA + TABLES * PAGE) | 1UL << 48);
	/* TCR: 48-bit addresses, 4K pages, cached and shared, for both; 40 bits physical */
	set_reg(vcpu, SYS_REG(3, 0, 2, 0, 2), 2UL << 32 | 2UL << 30 | 3UL << 28 |
		1UL << 26 | 1UL << 24 | 16UL << 16 | 3UL << 12 | 1UL << 10 | 1UL << 8 | 16);
	/* SCTLR: MMU and caches on */
	set_reg(vcpu, SYS_REG(3, 0, 1, 0, 0), 0x30d00800 | 1 | 1 << 2 | 1 << 12);
}

/* Set the interrupt line of a vCPU. */
static void set_irq(struct vm *vm, unsigned int vcpu, int level)
{
	struct kvm_irq_level irq = {
		.irq = KVM_ARM_IRQ_TYPE_CPU << KVM_ARM_IRQ_TYPE_SHIFT |
		       vcpu << KVM_ARM_IRQ_VCPU_SHIFT | KVM_ARM_IRQ_CPU_IRQ,
		.level = level,
	};

	if (ioctl(vm->fd, KVM_IRQ_LINE, &irq))
		die("KVM_IRQ_LINE");
}
