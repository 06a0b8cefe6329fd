#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""bench_host.py [--threads] DIR OUT: count the instructions of the allocators in DIR on simulated CPUs, with callgrind.

Writes CSV rows to OUT: what,size,ours,theirs. harness/bench/programs/bench.c has the scenarios. The count of a call is
the mean over several contexts, without the overhead of counting.

--threads measures the time of an operation on real threads instead, one on each core, in ns. Times depend on the
machine: only their ratios have limits. Other rows are ratios, of two cores to one.
"""

import csv
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

Counts = dict[str, float]
Job = tuple[str, str, str, str]
# Our program and the original for each kind.
PAIRS = {kind: (f"{kind.lower()}-ours", f"{kind.lower()}-theirs") for kind in ("ASID", "VMID", "csky")}
CPUS = ("4", "64", "512", "4096")
# Scenario, CPUs, ID bits. On 4096 CPUs, a full generation would take the original minutes.
RUNS = [("switch", cpus, "16") for cpus in CPUS] + [("switch", cpus, "8") for cpus in ("4", "64", "100")] + \
    [("generation", cpus, "16") for cpus in CPUS[:3]] + [("search", "4", "16"), ("pin", "512", "16")] + \
    [("memory", cpus, "16") for cpus in CPUS[:3]]
# The name of each row. Counts without a name are not printed.
WHAT = {
    "rollover": "the rollover itself",
    "reserved": "first switch after a rollover, reserved",
    "unreserved, ID still free": "first switch after a rollover, unreserved, ID still free",
    "unreserved, ID taken": "first switch after a rollover, unreserved, ID taken",
    "generation": "a full generation, 65536 contexts in turns, under the lock",
    "search, empty map": "search for a free ID, empty map",
    "search, every second ID taken": "search for a free ID, every second taken",
    "search, lower half taken": "search for a free ID, lower half taken",
    "pin and unpin": "pin and unpin",
    "pin and unpin again": "pin and unpin of what is pinned",
    "pin after a rollover": "pin after a rollover",
    "memory": "memory, in bytes",
}
THREADS = {"threads, fast path": "time of a switch on real threads, fast path",
           "threads, rollovers": "time of a switch on real threads, with rollovers"}
# For guests only: processes are never scheduled out.
THREADS_OUT = {"threads, sched out": "time of a vCPU put on real threads",
               "threads, switch after a while": "time of a vCPU put and a load some ns later, on real threads"}
TURNS = 5


def parts(text: str) -> dict[str, int]:
    """The instructions of each mark of bench.c."""
    totals: dict[str, int] = {}
    name = None
    for line in text.splitlines():
        if match := re.match(r"desc: Trigger:(?: Client Request: (.*))?", line):
            name = match[1]
        elif name and line.startswith("totals: "):
            totals[name] = int(line.split()[1])
            name = None
    return totals


def memory(times: dict[str, int], cpus: int) -> Counts:
    """The memory that is allocated, and the per-CPU variables."""
    return {"memory": times["memory, maps"] + times["memory, CPU"] * cpus}


def run(program: Path, scenario: str, cpus: str, bits: str) -> Counts:
    """The instructions of one call of each kind."""
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "callgrind.out"
        command = ["valgrind", "-q", "--tool=callgrind", "--instr-atstart=no", "--collect-atstart=no",
                   "--combine-dumps=yes", f"--callgrind-out-file={out}", str(program), scenario, cpus, bits]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"error: {' '.join(command)}: exit code {done.returncode}\n{done.stderr}")
        times = {name: int(count) for name, count in (line.rsplit(" ", 1) for line in done.stdout.splitlines())}
        if scenario == "memory":
            return memory(times, int(cpus))
        totals = parts(out.read_text(encoding="utf-8"))
    counting = totals["nothing"] / times["nothing"]
    # For code under the lock, the overhead is only that of starting and stopping to count.
    if scenario in ("generation", "search"):
        counting = 0
    counts = {name: totals[name] / count - counting for name, count in times.items() if count and name != "nothing"}
    if scenario == "pin":
        counts["pin and unpin"] = counts["pin"] + counts["unpin, the last"]
        counts["pin and unpin again"] = counts["pin again"] + counts["unpin, not the last"]
    return counts


def write(table: Any, results: dict[Job, Counts]) -> None:
    for kind, (ours, theirs) in PAIRS.items():
        for args in RUNS:
            if (theirs, *args) not in results:
                continue
            a, b = results[ours, *args], results[theirs, *args]
            _, cpus, bits = args
            for name in b:
                if name in WHAT and (bits == "16" or name == "rollover"):
                    size = f"{cpus} CPUs" + (f", {bits} bits" if name == "rollover" else "")
                    table.writerow([f"{kind}: {WHAT[name]}", size, f"{a[name]:.1f}", f"{b[name]:.1f}"])


def clock(program: Path, cpus: str) -> Counts:
    done = subprocess.run([str(program), "threads", cpus, "8"], capture_output=True, text=True, check=True)
    return {name: float(count) for name, count in (line.rsplit(" ", 1) for line in done.stdout.splitlines())}


def threads(where: Path, table: Any) -> None:
    """The minimum of several runs, with ours and the original taking turns."""
    for kind in ("ASID", "VMID"):
        pair = PAIRS[kind]
        least: dict[tuple[str, str, str], float] = {}
        for _ in range(TURNS):
            for program in pair:
                for cpus in ("1", "2"):
                    for name, time in clock(where / f"threads-{program}", cpus).items():
                        least[program, cpus, name] = min(time, least.get((program, cpus, name), time))
        ours, theirs = pair
        for name, what in THREADS_OUT.items() if kind == "VMID" else ():
            table.writerow([f"{kind}: {what}", "1 core", *(f"{least[program, '1', name]:.2f}" for program in pair)])
        for name, what in THREADS.items():
            for cpus, size in (("1", "1 core"), ("2", "2 cores")):
                table.writerow([f"{kind}: {what}", size, *(f"{least[program, cpus, name]:.2f}" for program in pair)])
            table.writerow([f"{kind}: {what}, against 1 core", "2 cores",
                            f"{least[ours, '2', name] / least[ours, '1', name]:.2f}",
                            f"{least[theirs, '2', name] / least[theirs, '1', name]:.2f}"])


def main() -> None:
    args = [arg for arg in sys.argv[1:] if arg != "--threads"]
    where = Path(args[0])
    if "--threads" in sys.argv:
        with open(args[1], "w", encoding="utf-8", newline="") as file:
            threads(where, csv.writer(file, lineterminator="\n"))
        return
    jobs = [(program, *args) for program in sorted({p for pair in PAIRS.values() for p in pair}) for args in RUNS
            if args[0] != "pin" or program.startswith("asid")]
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        results = dict(zip(jobs, pool.map(lambda job: run(where / job[0], *job[1:]), jobs)))
    with open(args[1], "w", encoding="utf-8", newline="") as file:
        write(csv.writer(file, lineterminator="\n"), results)


if __name__ == "__main__":
    main()
