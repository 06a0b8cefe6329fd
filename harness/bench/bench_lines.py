#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""bench_lines.py [--show] DIR: find the variables that a switch reads and a rollover writes, with valgrind's lackey.

Prints CSV rows what,size,ours,theirs for the allocators in DIR: the number of variables that the fast path reads and
that a rollover on another CPU writes, except for the CPU's own. The CPU loses their cache lines at each rollover.
--show prints the variables. The stack, contexts and bitmaps are left out.
"""

import csv
import re
import subprocess
import sys
import tempfile
from pathlib import Path

SUBJECTS = {"process switch": ("asid-ours", "asid-theirs"), "vCPU load": ("vmid-ours", "vmid-theirs")}
SOURCES = re.compile(r"(context|vmid|idgen_alloc)\.c:\d+$")
# The marks of bench.c.
SWITCH, SCHED_OUT, ROLLOVER = "1", "2", "3"
CPUS = 4
# Our variables that are structures.
STRUCTS = {"asids": "idgen_alloc", "vmids": "idgen_alloc", "asid_slots": "idgen_slot", "vmid_slots": "idgen_slot"}
Accesses = dict[str, tuple[set[str], set[str]]]


def run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def fields(program: Path, struct: str) -> dict[int, str]:
    """The names of a structure's fields, by offset."""
    text = run("pahole", "-C", struct, str(program))
    return {int(offset): name for name, offset in re.findall(r"(\w+); +/\* +(\d+) +\d+ \*/", text)}


class Names:
    """The addresses of the variables of a program that ran."""

    def __init__(self, program: Path, places: dict[str, int]):
        self.per_cpu, self.size = places["variables"], places["size"]
        self.variables: list[tuple[int, int, str]] = []
        for line in run("nm", "-lS", str(program)).splitlines():
            if match := re.match(r"([0-9a-f]+) ([0-9a-f]+) [bBdD] ([\w.]+)\t", line):
                if SOURCES.search(line):
                    self.variables.append((int(match[1], 16), int(match[2], 16), match[3]))
        found = re.findall(r"^([0-9a-f]+) \w (mark|__start_percpu)$", run("nm", str(program)), re.M)
        start = {name: int(at, 16) for at, name in found}
        self.base, self.section = places["mark"] - start["mark"], start["__start_percpu"]
        self.fields = {name: fields(program, struct) for _, _, variable in self.variables
                       for name, struct in STRUCTS.items() if variable == name}

    def of(self, address: int) -> str | None:
        cpu, where = divmod(address - self.per_cpu, self.size)
        mine = 0 <= cpu < CPUS
        at = self.section + where if mine else address - self.base
        for start, size, name in self.variables:
            if start <= at < start + size:
                field = self.fields.get(name, {}).get(at - start)
                whose = "" if not mine else "its own " if cpu == 0 else "others' "
                return whose + name + (f".{field}" if field else "")
        return None


def accesses(program: Path) -> Accesses:
    """The variables that were read and written at each mark. Of the rollovers, only the last one counts."""
    with tempfile.NamedTemporaryFile() as log:
        out = run("valgrind", "-q", "--tool=lackey", "--trace-mem=yes", "--basic-counts=no", f"--log-file={log.name}",
                  str(program), "accesses", str(CPUS), "8")
        trace = Path(log.name).read_text(encoding="utf-8")
    places = {name: int(value, 0) for name, value in re.findall(r"^(mark|variables|size) (\S+)$", out, re.M)}
    names = Names(program, places)
    touched: list[tuple[set[str], set[str]]] = []
    for kind, address in re.findall(r"^ ([LSM]) ([0-9a-f]+),", trace, re.M):
        if int(address, 16) == places["mark"] and kind == "S":
            touched.append((set(), set()))
        elif touched and (name := names.of(int(address, 16))):
            for what in kind if kind != "M" else "LS":
                touched[-1]["LS".index(what)].add(name)
    # Two stores to the mark enclose the code that it names.
    marked = touched[::2]
    return {SWITCH: marked[0], SCHED_OUT: marked[1], ROLLOVER: marked[-1]}


def listed(names: set[str]) -> str:
    return ", ".join(sorted(names, key=lambda name: (not name.startswith("its own"), name))) or "nothing"


def main() -> None:
    show = "--show" in sys.argv
    where = Path(sys.argv[-1])
    table = csv.writer(sys.stdout, lineterminator="\n")
    for what, programs in SUBJECTS.items():
        counts = []
        for whose, program in zip(("ours", "original"), programs):
            seen = accesses(where / program)
            shared = {name for name in seen[SWITCH][0] & seen[ROLLOVER][1] if not name.startswith("its own")}
            counts.append(len(shared))
            if show:
                print(f"\n{what}, {whose}\n  fast path reads    {listed(seen[SWITCH][0])}\n"
                      f"  fast path writes   {listed(seen[SWITCH][1])}")
                if seen[SCHED_OUT][1]:
                    print(f"  put writes         {listed(seen[SCHED_OUT][1])}")
                print(f"  rollover writes    {listed(seen[ROLLOVER][1])}\n"
                      f"  so of what others write, a switch reads, besides its own CPU's: {listed(shared)}")
        if not show:
            table.writerow([f"fast path of a {what}, variables read that others' rollovers write", "", *counts])


if __name__ == "__main__":
    main()
