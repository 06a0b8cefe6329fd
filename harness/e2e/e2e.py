#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Boot the rows of e2e.toml on QEMU, judge each by its log, and write the table to e2e.csv or e2e-ARCH.csv.

A row passes if each program exits with 0, has checked something and has found no wrong word, each allocator uses the
bits and rolls over as often as the row says, the log has the lines that the row expects and no other warning of the
kernel, and the machine powers off in time. e2e-build.sh builds the kernels and programs, each kernel in a directory
of its own.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ktap
from kunit_results import COMPLAINT

HERE = Path(__file__).resolve().parent
OUT = ktap.BUILD / "e2e"

# RCU warns after 21 s by default. QEMU's CPUs share those of this machine, and one that spins in stop_machine() can
# keep another from running for that long, even without our files. 100 s is a hang.
STALL = "rcupdate.rcu_cpu_stall_timeout=100"

SUMMARY = re.compile(r"^(?:# )*(\w+): (\d+) checks, (\d+) wrong")
ROLLOVERS = re.compile(r"^e2e: (-?\d+) rollovers of asid, (-?\d+) of vmid$")
STRESS = re.compile(r"^stress-ng: info: .*\] (passed|failed): (\d+)\b")
# LTP prints colours on a console.
LTP = re.compile(r"^(\w+)\.c:\d+: (?:\x1b\[[0-9;]*m)?T(PASS|FAIL|BROK)\b")
# The kernel's runner of selftests, and what it prints for each.
RUNNER = "kselftest/run_kselftest.sh"
KSELFTEST = re.compile(r"^(ok|not ok) \d+ selftests: ")
TOGGLE = re.compile(r"^toggle: CPUs were taken down (\d+) times")
BITS = re.compile(r"idgen_alloc\.bits=(\S+) ?")
NO_LTP = ("give the directory of LTP with LTP=/path, built or as sources: "
          "git clone https://github.com/linux-test-project/ltp.git")
END = re.compile(r"^e2e: end, (\d+) failures$")


@dataclass
class Machine:
    """QEMU and its options for an architecture. Without a program, it is that of fetch/tool.sh."""

    qemu: str
    options: str
    console: str
    more: tuple[str, ...] = ()

    def program(self) -> str:
        """The path of QEMU."""
        tool = [str(HERE.parent / "fetch/tool.sh"), "qemu"]
        return self.qemu or subprocess.run(tool, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


# Before 8.1 (commit deba78709ae8), QEMU can go on with code that the kernel has patched since. KVM's calls at each
# context switch are patched in with the first VM, and out with the last. The kernel, ours or the original, then warns
# in kvm_vcpu_load_debug(), or a CPU hangs. So arm64 has the QEMU of fetch/tool.sh, whose plugins can read registers
# too.
MACHINES = {
    "arm64": Machine("", "virt,gic-version=3,virtualization=on", "ttyAMA0"),
    "arm": Machine("qemu-system-arm", "virt", "ttyAMA0"),
    "riscv": Machine("qemu-system-riscv64", "virt", "ttyS0"),
    "riscv32": Machine("qemu-system-riscv32", "virt", "ttyS0", ("-bios", str(OUT / "opensbi"))),
}


@dataclass
class Row:
    """A row of e2e.toml: one boot."""

    name: str
    cpu: str
    run: list[str]
    arch: str = "arm64"
    smp: int = 1
    kernel: str = "plain"
    args: str = ""
    memory: str = "2G"
    accel: str = "tcg"
    el2: bool = True
    tlb: bool = False
    rollovers: dict[str, int] = field(default_factory=dict)
    expect: list[str] = field(default_factory=list)
    quick: bool = False
    limit: int = 300

    def built(self) -> str:
        """The directory in which e2e-build.sh puts the kernel and the programs."""
        return self.kernel if self.arch == "arm64" else f"{self.arch}-{self.kernel}"

    def initramfs(self) -> str:
        """What e2e-build.sh is to make, besides the kernel."""
        for program, name in {"stress-ng": "stress-ng", "mmapstress01": "ltp", RUNNER: "kselftest"}.items():
            if any(command.lstrip("&").startswith(program) for command in self.run):
                return f"initramfs-{name}"
        return "initramfs"

    def missing(self) -> str:
        """What the row lacks to run."""
        return NO_LTP if self.initramfs() == "initramfs-ltp" and not os.environ.get("LTP") else ""

    def configuration(self) -> str:
        """The machine and the kernel, for the table of results."""
        kernel = "" if self.built() == "plain" else f"{self.built()} kernel, "
        tlb = ", tagged TLB" if self.tlb else ""
        # Its QEMU flushes at each switch: see e2e.toml.
        live = ", liveness only" if self.arch != "arm64" else ""
        return f"{kernel}{self.cpu.split(',')[0]}, {self.smp} CPUs{tlb}{live}{', ' * bool(self.args)}{self.args}"

    def command(self, image: Path) -> list[str]:
        """The command that boots the row."""
        commands = " ".join(f'"{command}"' for command in self.run)
        machine = MACHINES[self.arch]
        append = f"console={machine.console} kunit.enable=0 panic=-1 oops=panic {STALL} {self.args} -- {commands}"
        options = machine.options if self.el2 else machine.options.removesuffix(",virtualization=on")
        plugin = ["-plugin", str(image / "tlb.so")] if self.tlb else []
        return [machine.program(), *machine.more, *plugin, "-accel", self.accel, "-M", options, "-cpu", self.cpu,
                "-smp", str(self.smp), "-m", self.memory, "-nodefaults", "-display", "none", "-serial", "stdio",
                "-no-reboot", "-kernel", str(image / "Image"), "-initrd", str(image / self.initramfs()),
                "-append", append]


@dataclass
class Result:
    """The result of a boot. It passed if there are no reasons. Each reason starts with the name of the check."""

    reasons: list[str]
    asid: int = 0
    vmid: int = 0
    checks: int = 0
    wrong: int = 0
    seconds: float = 0
    hung: bool = False


def finds_fault(line: str) -> bool:
    """Whether a program says in a line of a log that it found a fault."""
    return "wrong: " in line or line.startswith("stress-ng: fail:")


def complains(row: Row, line: str) -> bool:
    """Whether a line of a log is a warning that the row does not expect."""
    return bool(COMPLAINT.search(line)) and not any(re.search(want, line) for want in row.expect)


def judge(row: Row, lines: list[str]) -> Result:
    """Read the result from a log."""
    result = Result([])
    # The number of checks of each program.
    done = Counter[str]()
    ended = False
    for line in lines:
        if match := SUMMARY.match(line):
            done[match[1]] += int(match[2])
            result.wrong += int(match[3])
        elif match := STRESS.match(line):
            done["stress-ng"] += int(match[2])
            result.wrong += int(match[2]) * (match[1] == "failed")
        elif match := LTP.match(line):
            done[match[1]] += 1
            result.wrong += match[2] != "PASS"
        elif match := KSELFTEST.match(line):
            done[RUNNER] += 1
            result.wrong += match[1] != "ok"
        elif match := TOGGLE.match(line):
            done["toggle"] += int(match[1])
        elif match := ROLLOVERS.match(line):
            result.asid, result.vmid = int(match[1]), int(match[2])
        elif match := END.match(line):
            ended = True
            if match[1] != "0":
                result.reasons.append(f"programs: {match[1]} failed")
    result.checks = done.total() - done["toggle"]
    complaints = [line for line in lines if complains(row, line)]
    if complaints:
        label = "invariant" if " violated:" in complaints[0] else "kernel"
        result.reasons.append(f"{label}: {len(complaints)} lines like: {complaints[0]}")
    found = [line for line in lines if finds_fault(line)]
    if found or result.wrong:
        result.reasons.append(f"contents: {result.wrong} wrong: {found[0] if found else 'none of them shown'}")
    if not ended:
        result.reasons.append("end: init did not come to it")
        return result
    programs = {command.lstrip("&").split()[0] for command in row.run} | ({"tlb"} if row.tlb else set())
    for program in sorted(programs):
        if not done[program]:
            result.reasons.append(f"programs: {program} did nothing, or printed no summary")
    for name, least in row.rollovers.items():
        seen = {"asid": result.asid, "vmid": result.vmid}[name]
        if seen < least:
            result.reasons.append(f"rollovers: {seen} of {name}, fewer than {least}")
    asked = BITS.search(row.args)
    used = [f"{each.replace(':', ': using ')} bits of " for each in asked[1].split(",")] if asked else []
    for pattern in [*used, *row.expect]:
        if not any(re.search(pattern, line) for line in lines):
            result.reasons.append(f"log: no line {pattern!r}")
    return result


def ran_and_waited(pid: int) -> tuple[float, float]:
    """The seconds that the threads of a process have run, and have waited for a CPU."""
    ran = waited = 0
    for stat in Path("/proc", str(pid), "task").glob("*/schedstat"):
        try:
            numbers = stat.read_text(encoding="ascii").split()
        except OSError:
            continue
        ran += int(numbers[0])
        waited += int(numbers[1])
    return ran / 1e9, waited / 1e9


def wait(qemu: subprocess.Popen[bytes], limit: float, enough: Callable[[], bool]) -> bool:
    """Wait until QEMU exits or enough() is true. Returns False on a timeout.

    Time counts only in proportion to the CPU time that QEMU gets, so that other load does not look like a hang.
    """
    cpus = len(os.sched_getaffinity(0))
    since, ran, waited = time.monotonic(), 0.0, 0.0
    while limit > 0:
        try:
            qemu.wait(1)
            return True
        except subprocess.TimeoutExpired:
            pass
        if enough():
            # The line may not be complete yet.
            time.sleep(1)
            return True
        now, (ran_now, waited_now) = time.monotonic(), ran_and_waited(qemu.pid)
        had = max(ran_now - ran, 0)
        wanted = min(had + max(waited_now - waited, 0), cpus * (now - since))
        limit -= (now - since) * (min(1, had / wanted) if wanted > 0 else 1)
        since, ran, waited = now, ran_now, waited_now
    return False


def read(log: Path) -> list[str]:
    """The lines of a log, which may still grow."""
    return log.read_text(encoding="utf-8", errors="replace").replace("\r", "").splitlines()


def is_wrong(row: Row, line: str) -> bool:
    """Whether a line of a log fails the row."""
    return finds_fault(line) or complains(row, line)


def boot(row: Row, image: Path, log: Path, to_first_wrong: bool = False) -> Result:
    """Boot a row with a kernel until it powers off, or until the first line that fails it. Keeps the log."""
    # SIGTERM must end QEMU as well, which would otherwise go on and take all CPUs.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    log.parent.mkdir(parents=True, exist_ok=True)
    hung = False

    def enough() -> bool:
        return to_first_wrong and any(is_wrong(row, line) for line in read(log))

    with log.open("wb") as out, subprocess.Popen(row.command(image), stdin=subprocess.DEVNULL, stdout=out,
                                                 stderr=subprocess.STDOUT) as qemu:
        start = time.monotonic()
        try:
            hung = not wait(qemu, row.limit, enough)
        finally:
            qemu.kill()
    result = judge(row, read(log))
    result.seconds = time.monotonic() - start
    result.hung = hung
    if hung:
        result.reasons.insert(0, f"hang: not at its end after {row.limit} s")
    return result


def show_failure(row: Row, result: Result, log: Path) -> None:
    """Print why a row failed, and the end of the log of a hang or a crash."""
    for reason in result.reasons:
        print(f"    | {row.name}: {reason}")
    lines = read(log)
    if result.hung or "end: init did not come to it" in result.reasons:
        extract = lines[-50:]
    else:
        extract = [line for line in lines if is_wrong(row, line)][:20]
    for line in extract:
        print(f"    | {line}")
    print(f"    | the log is {log}", flush=True)


def shown(results: list[str]) -> str:
    """Each result of a test once, with its count."""
    return " ".join(f"{result}*{results.count(result)}" if len(results) > 1 else result
                    for result in sorted(set(results)))


def is_same(ours: list[str], theirs: list[str]) -> bool:
    """Whether each failure of a test with our files also occurs without, and is not much more frequent.

    Of N runs of each kernel, B of which fail without our files, at most 2 B + 1 may fail in the same way with them.
    """
    return bool(ours) and {*ours} - {"pass"} <= {*theirs} and all(
        ours.count(result) * len(theirs) <= (2 * theirs.count(result) + 1) * len(ours)
        for result in {*ours} - {"pass", "skip"})


def load() -> list[Row]:
    """The rows of e2e.toml."""
    table: dict[str, dict[str, Any]] = tomllib.loads((HERE / "e2e.toml").read_text(encoding="utf-8"))
    return [Row(name=name, **row) for name, row in table.items()]


def select(names: list[str], arch: str, quick: bool) -> list[Row]:
    """The rows of an architecture to run: those named, or all, or the quick ones."""
    rows = [row for row in load() if row.arch == arch]
    if unknown := set(names) - {row.name for row in rows}:
        known = ", ".join(row.name for row in rows)
        raise SystemExit(f"error: ARCH={arch} has no row {', '.join(sorted(unknown))}; it has {known}")
    selected = [row for row in rows if (row.name in names if names else row.quick or not quick)]
    if not selected:
        raise SystemExit(f"error: there are no {'quick ' * quick}rows for {arch}")
    return selected


def main() -> int:
    """Run the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="only the rows that the table calls quick")
    parser.add_argument("--arch", choices=MACHINES, default="arm64", help="the architecture")
    parser.add_argument("--kernels", action="store_true",
                        help="only print the kernels of the rows: architecture, name, directory, initramfs")
    parser.add_argument("rows", nargs="*", help="only these rows")
    args = parser.parse_args()
    rows = ktap.part(select(args.rows, args.arch, args.quick))
    if args.kernels:
        kernels = [f"{row.arch} {row.kernel} {row.built()} {row.initramfs()}" for row in rows if not row.missing()]
        print("\n".join(dict.fromkeys(kernels)))
        return 0

    columns = "row configuration ran asid_rollovers vmid_rollovers checks wrong seconds result reason log".split()
    table: list[tuple[object, ...]] = []
    form = "{:24} {:>9} {:>9} {:>12} {:>6} {:>5}  {}"
    print(form.format("row", "asid roll.", "vmid roll.", "checks", "wrong", "s", "result"), flush=True)
    for row in rows:
        if row.missing():
            print(form.format(row.name, "", "", "", "", "", f"skip: {row.missing()}"), flush=True)
            table.append((row.name, row.configuration(), "; ".join(row.run), *[""] * 5, "skip", row.missing(), ""))
            continue
        log = OUT / f"{row.name}.log"
        result = boot(row, OUT / row.built(), log)
        verdict = "not ok" if result.reasons else "ok"
        print(form.format(row.name, result.asid, result.vmid, result.checks, result.wrong, round(result.seconds),
                          f"{verdict}: {row.configuration()}"), flush=True)
        if result.reasons:
            show_failure(row, result, log)
        table.append((row.name, row.configuration(), "; ".join(row.run), result.asid, result.vmid, result.checks,
                      result.wrong, round(result.seconds), verdict, "; ".join(result.reasons),
                      log.relative_to(OUT.parent)))
    return ktap.report(OUT.parent / ("e2e" if args.arch == "arm64" else f"e2e-{args.arch}"), columns, table)


if __name__ == "__main__":
    sys.exit(main())
