#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""bench_paths.py ARCH OURS THEIRS: count the instructions of the fast paths of ARCH in two build directories.

Prints CSV rows: what,size,ours,theirs. --show prints the paths side by side instead, and the functions of the slow
paths.

For arm64, alternatives are applied as on a CPU with LSE atomics and no other capability. The fast path is the shortest
way from the entry of a function to its end that executes the compare-and-exchange, or the exchange, and calls nothing.
A slow path has calls. If the shortest way is a wrong one, the table below picks the branch: page tables of a process
are in the linear map, not in the kernel image, and KVM/riscv has VMIDs.
"""

import csv
import re
import struct
import subprocess
import sys
import tempfile
from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise, zip_longest
from pathlib import Path

CAPS = {"ARM64_HAS_LSE_ATOMICS"}
CALLBACK = 1 << 15


@dataclass(frozen=True)
class Way:
    """A path to count: from the entry of a function to an instruction that matches "end"."""
    what: str
    object: str
    function: str
    end: str
    does: str | None = None  # an instruction that must be on the path; the default is the exchange
    slow: tuple[str, ...] = ()  # the original's functions of the slow path, in the same object
    before: tuple[str, ...] = ()  # the original's functions for the same purpose, if they have other names
    before_does: str = ""  # an instruction that must be on the path through each of them


@dataclass(frozen=True)
class Arch:
    """Patterns for an instruction set as objdump prints it: exchanges, branches, calls and returns."""
    cross: str
    exchange: str
    conditional: str
    jump: str
    leaves: str
    barrier: str
    ways: tuple[Way, ...]
    alternatives: bool = False
    delayed: str = "$^"  # branches with a delay slot


# The functions of our slow paths, apart from the lock.
OURS = ("__idgen_alloc_switch", "new_context")

ARCHS = {
    "arm64": Arch("aarch64-linux-gnu-", r"cas\b", r"(b\.\w+|t?bn?z|cbn?z)\b", r"b\s", r"(bl|blr|br|brk|ret)\b",
                  r"dmb|dsb", (
        Way("process switch", "arch/arm64/mm/context.o", "check_and_switch_context", r"bl\b.* cpu_do_switch_mm",
            slow=("check_and_switch_context", "new_context")),
        Way("vCPU load", "arch/arm64/kvm/vmid.o", "kvm_arm_vmid_update", r"ret\b", slow=("kvm_arm_vmid_update",)),
        Way("vCPU put", "arch/arm64/kvm/vmid.o", "kvm_arm_vmid_clear_active", r"ret\b", ""),
    ), alternatives=True),
    # Ends at the call through the table of processor functions.
    "arm": Arch("arm-linux-gnueabihf-", r"strexd", r"b(eq|ne|cs|cc|mi|pl|vs|vc|hi|ls|ge|lt|gt|le)\b", r"b\s",
                r"(bl|blx|bx)\b|(pop|ldm)\w*\s.*\bpc\b", r"dmb|dsb", (
        Way("process switch", "arch/arm/mm/context.o", "check_and_switch_context", r"bl?x\b",
            slow=("check_and_switch_context", "new_context")),
    )),
    "riscv": Arch("riscv64-linux-gnu-", r"sc\.", r"b\w+\b", r"j\s", r"(jal|jalr|jr|ret|ebreak)\b", r"fence", (
        Way("process switch", "arch/riscv/mm/context.o", "switch_mm", r"csrw\s+satp",
            slow=("switch_mm", "__new_context")),
        # The original does this at each guest entry. Ours does it at each vCPU load.
        Way("vCPU load", "arch/riscv/kvm/vmid.o", "kvm_riscv_gstage_vmid_update", r"ret\b",
            slow=("kvm_riscv_gstage_vmid_update",), before_does=r"\bvmid_version\b",
            before=("kvm_riscv_gstage_vmid_update", "kvm_riscv_gstage_vmid_ver_changed")),
    )),
}
ARCHS["riscv32"] = ARCHS["riscv"]
# For CPUs with MMIDs and without shared FTLB entries. Ends where the handler sets the page directory.
ARCHS["mips64el"] = Arch("mipsisa64r6el-linux-gnuabi64-", r"scd\b", r"b(eq|ne|lt|ge|gt|le|lez|gez|ltz|gtz)\w*\b",
                         r"(b|bc)\s", r"(jal|jalr|jalrc|jialc|bal|balc|jr|jrc|jic)\b", r"sync\b", (
    Way("process switch", "arch/mips/mm/context.o", "check_switch_mmu_context",
        r"(jal|jalrc?|balc?|bc|j)\b.* tlbmiss_handler_setup_pgd", slow=("check_switch_mmu_context", "get_new_mmid")),
), delayed=r"(b(eq|ne)z?|b(l|g)[te]z(al)?|b|bal|j|jal|jalr|jr)\s")


@dataclass
class Insn:
    address: int
    name: str
    args: str
    relocs: list[str] = field(default_factory=list)

    def target(self) -> int | None:
        """The target of a branch within the section."""
        match = re.search(r"\b([0-9a-f]+) <", self.args)
        return int(match[1], 16) if match and (self.matches(arch.conditional) or self.matches(arch.jump)) else None

    def matches(self, pattern: str) -> bool:
        """Whether the instruction matches a pattern."""
        return bool(re.match(pattern, str(self)))

    def __str__(self) -> str:
        relocs = " ".join(self.relocs)
        return f"{self.name:6} {self.args.split(' // ')[0]}{'  ' + relocs if relocs else ''}".expandtabs()


def tool(name: str, *args: str) -> str:
    return subprocess.run([arch.cross + name, *args], capture_output=True, text=True, check=True).stdout


def disassemble(path: Path) -> tuple[dict[int, Insn], dict[str, int]]:
    """The instructions of .text by address, and the start of each function."""
    code: dict[int, Insn] = {}
    functions: dict[str, int] = {}
    labels: dict[str, int] = {}
    last = None
    for line in tool("objdump", "-dr", "--no-show-raw-insn", "-j", ".text", str(path)).splitlines():
        if match := re.match(r"([0-9a-f]+) <(.*)>:$", line):
            (labels if match[2].startswith(".L") else functions)[match[2]] = int(match[1], 16)
        elif match := re.match(r"\s+[0-9a-f]+: R_(?:AARCH64|ARM|RISCV|MIPS)_\S+\s+(\S+)$", line):
            if match[1].startswith("*ABS*"):
                continue
            assert last
            last.relocs.append(match[1])
        elif match := re.match(r" *([0-9a-f]+):\t(\S+)(?:\t(.*))?$", line):
            last = code[int(match[1], 16)] = Insn(int(match[1], 16), match[2], match[3] or "")
    # Branches with relocations.
    for insn in code.values():
        for label in {reloc.removesuffix("-0x4") for reloc in insn.relocs} & labels.keys():
            insn.args = re.sub(r"[0-9a-f]+ <.*>", f"{labels[label]:x} <{label}>", insn.args)
    # Swap branches and their delay slots, into the order of execution.
    for at in [at for at, insn in code.items() if insn.matches(arch.delayed) and at + 4 in code]:
        code[at], code[at + 4] = code[at + 4], code[at]
        code[at].address, code[at + 4].address = at, at + 4
    return code, functions


def capabilities(build: Path) -> set[int]:
    text = (build / "arch/arm64/include/generated/asm/cpucap-defs.h").read_text(encoding="utf-8")
    numbers = {name: int(number) for name, number in re.findall(r"#define (ARM64_\w+)\s+(\d+)\b", text)}
    return {numbers[name] for name in CAPS}


def patch(code: dict[int, Insn], path: Path, caps: set[int]) -> None:
    """Apply the alternatives of the capabilities, as apply_alternatives() does."""
    with tempfile.NamedTemporaryFile() as dump:
        tool("objcopy", "--dump-section", f".altinstructions={dump.name}", str(path), "/dev/null")
        raw = Path(dump.name).read_bytes()
    places: dict[int, int | None] = {}
    for line in tool("objdump", "-r", "-j", ".altinstructions", str(path)).splitlines():
        if match := re.match(r"([0-9a-f]+) R_AARCH64_PREL32\s+(\S+?)(?:\+0x([0-9a-f]+))?$", line):
            places[int(match[1], 16)] = int(match[3] or "0", 16) if match[2] == ".text" else None
    for at in range(0, len(raw), 12):
        cap, length, new_length = struct.unpack_from("<HBB", raw, at + 8)
        old, new = places[at], places[at + 4]
        if old is None or cap & ~CALLBACK not in caps:
            continue
        for offset in range(0, length, 4):
            if cap & CALLBACK:
                # The only callback here inserts nops.
                code[old + offset] = Insn(old + offset, "nop", "")
            else:
                assert new is not None and length == new_length
                source = code[new + offset]
                code[old + offset] = Insn(old + offset, source.name, source.args, source.relocs)


def fast_path(code: dict[int, Insn], entry: int, end: str, does: str) -> list[Insn]:
    """The shortest way, by a breadth-first search whose states include whether the required instruction was passed."""
    after = dict(pairwise(sorted(code)))
    came: dict[tuple[int, bool], tuple[int, bool] | None] = {(entry, not does): None}
    queue = deque(came)
    while queue:
        state = queue.popleft()
        address, done = state
        insn = code[address]
        if done and insn.matches(end):
            way: list[Insn] = []
            step: tuple[int, bool] | None = state
            while step:
                way.insert(0, code[step[0]])
                step = came[step]
            return way
        if insn.matches(arch.leaves) or any("kimage_voffset" in reloc for reloc in insn.relocs):
            continue
        done |= bool(re.search(does, str(insn)))
        nexts = [] if insn.matches(arch.jump) else [after.get(address)]
        for following in (*nexts, insn.target()):
            if following in code and (following, done) not in came:
                came[following, done] = state
                queue.append((following, done))
    raise SystemExit("error: found no fast path; has the code changed its shape?")


def side_by_side(title: str, columns: list[list[str]]) -> None:
    print(f"\n{title}")
    for left, right in zip_longest(*columns, fillvalue=""):
        print(f"{left:76} {right}".rstrip())


def as_executed(build: Path, path: str) -> tuple[dict[int, Insn], dict[str, int]]:
    """The output of disassemble(), with alternatives applied if the architecture has them."""
    code, functions = disassemble(build / path)
    if arch.alternatives:
        patch(code, build / path, capabilities(build))
    return code, functions


def function(build: Path, path: str, name: str) -> list[str]:
    """The code of a function, empty if the compiler has inlined it."""
    code, functions = as_executed(build, path)
    if name not in functions:
        return []
    end = min([at for at in functions.values() if at > functions[name]], default=max(code) + 4)
    return [f"{name}:", *(f"{at:5x} {insn}" for at, insn in sorted(code.items()) if functions[name] <= at < end)]


def fast_paths(dirs: list[Path]) -> list[list[list[Insn]]]:
    """The fast paths of an architecture in each build directory."""
    found: list[list[list[Insn]]] = []
    for path in arch.ways:
        found.append([])
        for build, others in zip(dirs, ((), path.before)):
            code, functions = as_executed(build, path.object)
            does = path.before_does if others else arch.exchange if path.does is None else path.does
            ways = [fast_path(code, functions[name], path.end, does) for name in others or (path.function,)]
            found[-1].append(sum(ways, []))
    return found


def show(dirs: list[Path]) -> None:
    """Print the code."""
    for path, ways in zip(arch.ways, fast_paths(dirs)):
        lengths = " and ".join(str(len(way)) for way in ways)
        side_by_side(f"{path.what}, fast path: {lengths} instructions", [[str(insn) for insn in way] for way in ways])
    for path in arch.ways:
        if path.slow:
            ours = [line for name in OURS for line in function(dirs[0], "lib/idgen_alloc.o", name)]
            theirs = [line for name in path.slow for line in function(dirs[1], path.object, name)]
            side_by_side(f"{path.what}, slow path", [ours, theirs])


def count(prefix: str, dirs: list[Path]) -> None:
    """Print CSV rows: the number of instructions, and of branches and barriers among them."""
    counts: dict[str, list[list[int]]] = {}
    for path, ways in zip(arch.ways, fast_paths(dirs)):
        counts[path.what] = [[len(way) for way in ways]]
        for kind in (f"{arch.conditional}|{arch.jump}", arch.barrier):
            counts[path.what].append([sum(insn.matches(kind) for insn in way) for way in ways])
    if "vCPU put" in counts:
        both = zip(counts["vCPU load"], counts["vCPU put"])
        counts["vCPU load and put"] = [[a + b for a, b in zip(*pair)] for pair in both]
    table = csv.writer(sys.stdout, lineterminator="\n")
    for what, numbers in counts.items():
        for kind, sides in zip(("instructions", "branches", "barriers"), numbers):
            if kind == "barriers" and not sides[-1]:
                continue
            table.writerow([f"{prefix}fast path of a {what}, {kind}", "", *sides])


if __name__ == "__main__":
    name, *build_dirs = [arg for arg in sys.argv[1:] if not arg.startswith("--")]
    arch = ARCHS[name.split("-")[0]]
    if "--show" in sys.argv:
        show(list(map(Path, build_dirs)))
    else:
        count("" if name == "arm64" else f"{name}: ", list(map(Path, build_dirs)))
