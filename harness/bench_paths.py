#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""bench_paths.py OURS THEIRS: count the instructions of the fast paths in two arm64 build directories.

Prints CSV rows: what,size,ours,theirs. With --show, prints the paths themselves instead, side by side, and the
functions of the slow paths.

The code is the one that a CPU with LSE atomics runs: alternatives are applied to it as the kernel does at boot, for
that capability alone. In it, the fast path is the shortest way from a function's entry to its end that does the
compare-and-exchange and calls nothing on the way: a slow path calls. The one choice that length must not make is made
here: tables of a process are in the linear map, not in the kernel's image.
"""

import csv
import re
import struct
import subprocess
import sys
import tempfile
from collections import deque
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

CROSS = "aarch64-linux-gnu-"
CAPS = {"ARM64_HAS_LSE_ATOMICS"}
CALLBACK = 1 << 15


@dataclass(frozen=True)
class Way:
    """What to count: from the entry of a function to a call of "end", or to its return."""
    what: str
    object: str
    function: str
    end: str | None
    exchanges: bool = True


# What a slow path runs through, apart from the lock: object and function, of ours and of theirs.
SLOW = {
    "process switch": ([("lib/idgen_alloc.o", "__idgen_alloc_switch"), ("lib/idgen_alloc.o", "new_value")],
                       [("arch/arm64/mm/context.o", "check_and_switch_context"), ("arch/arm64/mm/context.o", "new_context")]),
    "vCPU load": ([("lib/idgen_alloc.o", "__idgen_alloc_switch"), ("lib/idgen_alloc.o", "new_value")],
                  [("arch/arm64/kvm/vmid.o", "kvm_arm_vmid_update")]),
}

PATHS = (
    Way("process switch", "arch/arm64/mm/context.o", "check_and_switch_context", "cpu_do_switch_mm"),
    Way("vCPU load", "arch/arm64/kvm/vmid.o", "kvm_arm_vmid_update", None),
    Way("vCPU put", "arch/arm64/kvm/vmid.o", "kvm_arm_vmid_clear_active", None, False),
)


@dataclass
class Insn:
    address: int
    name: str
    args: str
    relocs: list[str] = field(default_factory=list)

    def target(self) -> int | None:
        """Where a branch within the section goes."""
        match = re.search(r"\b([0-9a-f]+) <", self.args)
        return int(match[1], 16) if match and self.is_branch() else None

    def is_branch(self) -> bool:
        return self.name == "b" or self.name.startswith("b.") or self.name in ("cbz", "cbnz", "tbz", "tbnz")

    def __str__(self) -> str:
        relocs = " ".join(self.relocs)
        return f"{self.name:6} {self.args.split(' // ')[0]}{'  ' + relocs if relocs else ''}".expandtabs()


def tool(name: str, *args: str) -> str:
    return subprocess.run([CROSS + name, *args], capture_output=True, text=True, check=True).stdout


def disassemble(path: Path) -> tuple[dict[int, Insn], dict[str, int]]:
    """The instructions of .text by address, and where its functions begin."""
    code: dict[int, Insn] = {}
    functions: dict[str, int] = {}
    last = None
    for line in tool("objdump", "-dr", "--no-show-raw-insn", "-j", ".text", str(path)).splitlines():
        if match := re.match(r"([0-9a-f]+) <(.*)>:$", line):
            functions[match[2]] = int(match[1], 16)
        elif match := re.match(r"\s+[0-9a-f]+: R_AARCH64_\S+\s+(\S+)$", line):
            assert last
            last.relocs.append(match[1])
        elif match := re.match(r" *([0-9a-f]+):\t(\S+)(?:\t(.*))?$", line):
            last = code[int(match[1], 16)] = Insn(int(match[1], 16), match[2], match[3] or "")
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
                # The one callback here fills in nops.
                code[old + offset] = Insn(old + offset, "nop", "")
            else:
                assert new is not None and length == new_length
                source = code[new + offset]
                code[old + offset] = Insn(old + offset, source.name, source.args, source.relocs)


def fast_path(code: dict[int, Insn], entry: int, path: Way) -> list[Insn]:
    """The shortest way; breadth first, once with the exchange yet to be done, once with it done."""
    came: dict[tuple[int, bool], tuple[int, bool] | None] = {(entry, not path.exchanges): None}
    queue = deque(came)
    while queue:
        state = queue.popleft()
        address, exchanged = state
        insn = code[address]
        if insn.name == "ret" or insn.name == "bl":
            ends = insn.name == "ret" if path.end is None else path.end in insn.relocs
            if not (ends and exchanged):
                continue
            way: list[Insn] = []
            step: tuple[int, bool] | None = state
            while step:
                way.insert(0, code[step[0]])
                step = came[step]
            return way
        if insn.name in ("brk", "blr", "br") or any("kimage_voffset" in reloc for reloc in insn.relocs):
            continue
        exchanged |= insn.name == "cas"
        nexts = [] if insn.name == "b" else [address + 4]
        if (target := insn.target()) is not None:
            nexts.append(target)
        for following in nexts:
            if following in code and (following, exchanged) not in came:
                came[following, exchanged] = state
                queue.append((following, exchanged))
    raise SystemExit("error: found no fast path; has the code changed its shape?")


def side_by_side(title: str, columns: list[list[str]]) -> None:
    print(f"\n{title}")
    for left, right in zip_longest(*columns, fillvalue=""):
        print(f"{left:76} {right}".rstrip())


def function(build: Path, path: str, name: str) -> list[str]:
    """All of a function, patched; nothing if the compiler has put it into another."""
    code, functions = disassemble(build / path)
    patch(code, build / path, capabilities(build))
    if name not in functions:
        return []
    end = min([at for at in functions.values() if at > functions[name]], default=max(code) + 4)
    return [f"{name}:", *(f"{at:5x} {insn}" for at, insn in sorted(code.items()) if functions[name] <= at < end)]


def main() -> None:
    show = "--show" in sys.argv
    dirs = [Path(arg) for arg in sys.argv[1:] if not arg.startswith("--")]
    table = csv.writer(sys.stdout, lineterminator="\n")
    counts: dict[str, list[list[int]]] = {}
    for path in PATHS:
        ways = []
        for build in dirs:
            code, functions = disassemble(build / path.object)
            patch(code, build / path.object, capabilities(build))
            ways.append(fast_path(code, functions[path.function], path))
        if show:
            lengths = " and ".join(str(len(way)) for way in ways)
            side_by_side(f"{path.what}, fast path: {lengths} instructions", [[str(insn) for insn in way] for way in ways])
        else:
            counts[path.what] = [[len(way) for way in ways], [sum(insn.is_branch() for insn in way) for way in ways]]
    for what, sides in SLOW.items() if show else ():
        columns = [[line for args in side for line in function(build, *args)] for build, side in zip(dirs, sides)]
        side_by_side(f"{what}, slow path", columns)
    if not show:
        both = zip(counts["vCPU load"], counts["vCPU put"])
        counts["vCPU load and put"] = [[a + b for a, b in zip(*pair)] for pair in both]
        for what, (instructions, branches) in counts.items():
            table.writerow([f"fast path of a {what}, instructions", "", *instructions])
            table.writerow([f"fast path of a {what}, branches", "", *branches])


if __name__ == "__main__":
    main()
