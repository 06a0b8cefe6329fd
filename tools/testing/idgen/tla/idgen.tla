---- MODULE idgen ----
\* SPDX-License-Identifier: GPL-2.0
\*
\* The allocator of lib/idgen_alloc.c, with CPUs that have translation registers and
\* TLBs. A value is <<generation, ID>>. Zero is the value of a context that never had an
\* ID. The slots of the CPUs in "taken" have IDGEN_TAKEN set. The two variables are one
\* word, and change in one step. Accesses are in program order (A7).
\*
\* One process for each CPU executes all its operations: switch, sched out, pin, unpin.
\* A label is one access that others can see. What only the lock holder sees is part of a
\* step (A12). Reading the slot and the context is one step, as the exchange after it
\* fails if the slot has changed in between. The read may miss IDGEN_TAKEN, as on hardware
\* after sched out's store of the ID alone (A8).
\*
\* Walks: entries for a register appear as soon as possible, at each write of the register
\* (A2, A5) and after each flush. They disappear in flushes only (A1). Each of these is one
\* step (A9). This is the worst case of a CPU that walks at random times. With Speculate,
\* a process walks at random times, and the verdicts agree.
\*
\* The initial state is just before a rollover: all IDs are taken, by contexts or by
\* contexts that have ended. Every CPU is idle and has TLB entries for all IDs.

EXTENDS Integers, FiniteSets, TLC

CONSTANTS
	CPUS, CTXS,		\* model values: both are symmetric
	NIDS, GENS,		\* IDs are 1..NIDS; behaviours end with generation GENS
	FlushLocal,		\* a CPU flushes itself before its first ID of a generation
	FlushAll,		\* the rollover flushes all CPUs
	CnP,			\* all CPUs share one TLB (A4)
	OwnViewOnly,		\* with CnP: a local flush spares what other CPUs see
	ReservedTable,		\* a switch starts by clearing the register
	\* "none": there is no sched out. The register "keep"s its value, is cleared
	\* "first", or "late" (after the slot), or "together" with the slot.
	SchedOut,
	Direct,			\* a switch need not come after a sched out
	WalkRunning,		\* no walks but while the context runs (A3)
	LastRan,		\* a context that has not run here before drops its ID here
	Exit,			\* a context that is in no register may end, and another start (A11)
	MaxPins,		\* contexts pinned at once
	Unmap,			\* a process that unmaps one page, once
	BlindRefill,		\* a flush leaves entries without looking at the page table
	Speculate,
	\* "none", or what is done wrong; see where it is used.
	Bug

None == [c |-> "none", i |-> 0]
Zero == <<0, 0>>
IDS == 1..NIDS
Id(v) == v[2]
SameGen(v, w) == v[1] = w[1]
Where(p) == IF CnP THEN "all" ELSE p
Perms == Permutations(CPUS) \cup Permutations(CTXS)
ASSUME NIDS > Cardinality(CPUS) + MaxPins

(* --algorithm idgen {
variables
	lock = FALSE;
	gen = 1;
	map = IDS;				\* taken IDs
	base = {};				\* pinned IDs
	slot = [p \in CPUS |-> <<1, 0>>];
	taken = {};
	reserved = [p \in CPUS |-> <<1, 0>>];
	ctx \in {f \in [CTXS -> {Zero} \cup {<<1, i>> : i \in IDS}] :
		 \A c, d \in CTXS : c # d /\ f[c] = f[d] => f[c] = Zero};
	pins = [c \in CTXS |-> 0];
	pinned = [c \in CTXS |-> 0];		\* the ID that the pin gave
	\* hardware
	reg = [p \in CPUS |-> None];
	running = [p \in CPUS |-> FALSE];
	\* <<where, context, ID>>
	tlb = {<<Where(p), IF \E c \in CTXS : ctx[c] = <<1, i>>
			   THEN CHOOSE c \in CTXS : ctx[c] = <<1, i>> ELSE "gone", i>> :
	       p \in CPUS, i \in IDS};
	pte = [c \in CTXS |-> TRUE];
	loaded = [p \in CPUS |-> FALSE];	\* since then, not sched out
	ran = [p \in CPUS |-> {}];
	want = [p \in CPUS |-> "none"];	\* being switched to, or pinned
	unmapped = "none";

define {
	Walks(p, r, run) == r[p] # None /\ (WalkRunning => run[p])
	\* What the registers have the CPUs enter
	Fills(r, run) == {<<Where(p), r[p].c, r[p].i>> :
			  p \in {q \in CPUS : Walks(q, r, run) /\ pte[r[q].c]}}
	Eager(r, run) == IF Speculate THEN {} ELSE Fills(r, run)
	\* What a flush leaves
	Blind == IF BlindRefill
		 THEN {<<Where(p), reg[p].c, reg[p].i>> : p \in {q \in CPUS : reg[q] # None}}
		 ELSE {}
	Without(p) == {e \in tlb : e[1] # Where(p)} \cup Blind \cup Eager(reg, running)
	WithoutId(p, i) == {e \in tlb : ~(e[1] = Where(p) /\ e[3] = i)} \cup Eager(reg, running)
	Free == IDS \ map
	Min(s) == CHOOSE i \in s : \A j \in s : i <= j

	UniquePerCPU == \A e, f \in tlb : e[1] = f[1] /\ e[3] = f[3] => e[2] = f[2]
	\* The same, by name, where Where() is one for all
	UniqueAllCPUs == CnP => UniquePerCPU
	UniqueActive == \A p, q \in CPUS : running[p] /\ running[q] /\ reg[p].c # reg[q].c
					   => reg[p].i # reg[q].i
	SameActive == \A p, q \in CPUS : running[p] /\ running[q] /\ reg[p].c = reg[q].c
					 => reg[p].i = reg[q].i
	ReservedInMap == lock \/ \A p \in CPUS : Id(reserved[p]) \in map \cup {0}
	NeverReservedID == \A c \in CTXS : ctx[c] = Zero \/ (Id(ctx[c]) \in IDS /\ ctx[c][1] > 0)
	FlushBeforeReuse == \A p \in CPUS : running[p] =>
		~\E e \in tlb : e[1] = Where(p) /\ e[3] = reg[p].i /\ e[2] # reg[p].c
	PinStays == \A c \in CTXS : pins[c] # 0 => pinned[c] = Id(ctx[c])
	PinsCounted == /\ Bug # "pin-limit" => Cardinality(base) <= MaxPins
		       /\ base = {pinned[c] : c \in {d \in CTXS : pins[d] # 0}}
	EmptyAfterUnmap == \A p \in CPUS : running[p] /\ reg[p].c = unmapped =>
		<<Where(p), reg[p].c, reg[p].i>> \notin tlb
	AlwaysSucceeds == \A p \in CPUS : pc[p] = "give" => Free # {}
}

\* Give a context the ID, in the current generation
macro take_id(c, i) {
	map := map \cup {i};
	ctx[c] := <<gen, i>>;
}

\* What is not looked at any more would only make states differ.
macro forget_reads() {
	old := Zero;
	val := Zero;
}

macro done() {
	op := "";
	want[self] := "none";
}

fair process (cpu \in CPUS)
variables op = "", old = Zero, val = Zero, todo = {};
{
act:	either {
		with (c \in CTXS) {
			await Direct \/ ~loaded[self];
			await loaded[self] => c # reg[self].c;
			op := "switch"; want[self] := c;
		};
		running[self] := FALSE;
		if (ReservedTable) reg[self] := None;
		goto fast;
	} or {
		await SchedOut # "none" /\ loaded[self];
		op := "out";
		running[self] := FALSE;
		if (SchedOut = "first") reg[self] := None;
		goto out;
	} or {
		\* Pins nest, here up to two.
		await MaxPins > 0 /\ (Bug = "pin-early" => Cardinality(base) < MaxPins);
		with (c \in {d \in CTXS : pins[d] < 2}) { op := "pin"; want[self] := c };
		goto locked;
	} or {
		await ~lock;
		with (c \in {d \in CTXS : pins[d] # 0}) {
			pins[c] := pins[c] - 1;
			if (pins[c] = 0 \/ Bug = "unpin-first") {
				base := base \ {pinned[c]};
				pinned[c] := 0;
			};
		};
		goto act;
	} or {
		await Exit;
		with (c \in {d \in CTXS : ctx[d] # Zero /\ pins[d] = 0 /\ d # unmapped /\ pte[d] /\
				\A p \in CPUS : reg[p].c # d /\ want[p] # d}) {
			ctx[c] := Zero;
			tlb := {IF e[2] = c THEN <<e[1], "gone", e[3]>> ELSE e : e \in tlb};
			ran := [p \in CPUS |-> ran[p] \ {c}];
		};
		goto act;
	};

fast:	old := slot[self];
	val := ctx[want[self]];
	either if (~SameGen(old, val)) goto locked;
	or {
		await self \in taken;
		goto locked;
	};
cmpxchg:
	if (Bug = "xchg") {
		\* arch/arm, and arm64 before a8ffaaa060b8
		old := IF self \in taken THEN Zero ELSE slot[self];
		slot[self] := val;
		taken := taken \ {self};
		if (old # Zero) goto enter;
	} else if (Bug = "store") {
		slot[self] := val;
		taken := taken \ {self};
		goto enter;
	} else if (slot[self] = old /\ self \notin taken) {
		slot[self] := val;
		goto enter;
	};

locked:	await ~lock;
	forget_reads();
	if (op = "pin" /\ pins[want[self]] # 0) {
		pins[want[self]] := pins[want[self]] + 1;
		done();
		goto act;
	} else if (op = "pin" /\ Bug \notin {"pin-early", "pin-limit"} /\ Cardinality(base) >= MaxPins) {
		done();
		goto act;
	} else {
	lock := TRUE;
	with (v = ctx[want[self]], n = <<gen, Id(v)>>) {
		if (SameGen(v, <<gen, 0>>)) {
			skip;
		} else if (v # Zero /\ Id(v) \notin map) {
			take_id(want[self], Id(v));
		} else if (v # Zero /\ \E p \in CPUS : reserved[p] = v) {
			ctx[want[self]] := n;
			\* Linux commit 0ebea8088095
			if (Bug # "renew-none")
				reserved := [p \in CPUS |-> IF reserved[p] = v THEN n
							    ELSE reserved[p]];
		} else if (v # Zero /\ pins[want[self]] # 0) {
			ctx[want[self]] := n;
		} else if (Free # {}) {
			take_id(want[self], Min(Free));
		} else {
			await gen < GENS;
			gen := gen + 1;
			map := base;
			if (Bug = "early-flush") tlb := Eager(reg, running);
			todo := CPUS;
			goto take;
		};
	}};
got:	if (op = "pin") {
		base := base \cup {Id(ctx[want[self]])};
		pins[want[self]] := 1;
		pinned[want[self]] := Id(ctx[want[self]]);
		lock := FALSE;
		done();
		goto act;
	} else goto set;

take:	while (todo # {}) {
		with (p \in todo, v = IF p \notin taken \/ Id(slot[p]) = 0 THEN slot[p]
				      \* Linux commit ae120d9edfe9
				      ELSE IF Bug = "forget" THEN <<1, 0>>
				      ELSE reserved[p]) {
			reserved[p] := v;
			map := map \cup ({Id(v)} \ {0});
			taken := taken \cup {p};
			todo := todo \ {p};
		};
	};
	if (FlushAll /\ Bug # "early-flush") todo := IF CnP THEN {self} ELSE CPUS;
flush:	while (todo # {}) {
		with (p \in todo) {
			tlb := Without(p);
			todo := todo \ {p};
		};
	};
give:	take_id(want[self], Min(Free));
	if (op = "pin") goto got;

set:	if (FlushLocal /\ self \in taken /\ Bug # "no-flush")
		tlb := IF CnP /\ OwnViewOnly THEN tlb ELSE Without(self);
	slot[self] := ctx[want[self]];
	taken := taken \ {self};
	lock := FALSE;

enter:	forget_reads();
	with (r = [reg EXCEPT ![self] = [c |-> want[self], i |-> Id(ctx[want[self]])]],
	      run = [running EXCEPT ![self] = TRUE]) {
		reg := r;
		running := run;
		tlb := (IF LastRan /\ want[self] \notin ran[self]
			THEN WithoutId(self, Id(ctx[want[self]])) ELSE tlb) \cup Eager(r, run);
	};
	loaded[self] := TRUE;
	if (LastRan) ran[self] := ran[self] \cup {want[self]};
	done();
	goto act;

out:	if (SchedOut = "together") reg[self] := None;
	\* The ID alone
	slot[self] := <<slot[self][1], 0>>;
	\* As a store of the whole slot: IDGEN_TAKEN is lost (VMID_ACTIVE_INVALID)
	if (Bug = "out-store") taken := taken \ {self};
left:	if (SchedOut = "late") reg[self] := None;
	loaded[self] := FALSE;
	done();
	goto act;
}

fair process (unmap = "unmap")
variables id = 0, left_to_do = {}, victim = "none";
{
clear:	await Unmap;
	with (c \in {d \in CTXS : ctx[d] # Zero}) {
		victim := c;
		\* Linux commit 5e10f9887ed8
		if (Bug = "early-id") id := Id(ctx[c]); else pte[c] := FALSE;
	};
read:	if (Bug = "early-id") pte[victim] := FALSE;
	else id := Id(ctx[victim]);
	left_to_do := IF CnP THEN {"all"} ELSE CPUS;
tlbi:	while (left_to_do # {}) {
		with (p \in left_to_do) {
			tlb := {e \in tlb : ~(e[1] = p /\ e[3] = id)} \cup Eager(reg, running);
			left_to_do := left_to_do \ {p};
		};
	};
	unmapped := victim;
}

\* A walk at any time
fair process (walker = "walker")
{
walk:	while (Speculate) {
		with (p \in {q \in CPUS : Walks(q, reg, running) /\ pte[reg[q].c]})
			tlb := tlb \cup {<<Where(p), reg[p].c, reg[p].i>>};
	}
}
} *)
====
