#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""bench_system.py OURS THEIRS INITRAMFS OUT: count the instructions of whole kernels in two build directories.

Writes CSV rows to OUT: what,size,ours,theirs. With QEMU's -icount shift=0, the clock of the machine counts
instructions, so harness/bench/programs/init.c counts those of the whole system. Both kernels get the same inputs, such
as randomness and the time of day. Each workload runs several times, at different phases of the timer, and the median
counts.

Then a short run executes one instruction at a time, and QEMU logs those in the functions of the fast paths. This shows
that a CPU executes as many instructions as bench_paths.py counts.
"""

import csv
import re
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench_paths import ARCHS

QEMU = "qemu-system-aarch64"
# A CPU with LSE atomics, VHE and 16-bit VMIDs, and one without, on which 300 VMs roll over.
CPUS = ("neoverse-n1", "cortex-a57")
WHAT = {
    "ping-pong": "two processes ping-pong over a pipe",
    "fork-exit": "1000 fork and exit",
    "vms": "300 VMs run round robin",
    "hackbench": "hackbench -P --pipe",
}
LIMIT_SECONDS = 900
ARM64 = ARCHS["arm64"]


def boot(build: Path, initramfs: Path, cpu: str, options: list[str], args: str) -> str:
    """Boot a kernel until it powers off. Returns its output."""
    command = [QEMU, "-M", "virt,virtualization=on,gic-version=3,dtb-randomness=off",
               "-cpu", f"{cpu},cntfrq=1000000000", "-smp", "1", "-m", "1G", "-nodefaults", "-display", "none",
               "-serial", "stdio", "-no-reboot", "-rtc", "base=2026-01-01,clock=vm", *options,
               "-kernel", str(build / "arch/arm64/boot/Image"), "-initrd", str(initramfs),
               "-append", f"console=ttyAMA0 quiet panic=-1 norandmaps kunit.enable=0 {args}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=LIMIT_SECONDS,
                              check=False)
    except subprocess.TimeoutExpired as error:
        raise SystemExit(f"error: timeout after {LIMIT_SECONDS} s: {' '.join(command)}") from error
    if not re.search(r"^bench: end\r?$", done.stdout, re.M):
        raise SystemExit(f"error: {' '.join(command)}:\n{done.stdout[-3000:]}{done.stderr[-2000:]}")
    return done.stdout


def medians(cpu: str, whose: str, text: str) -> dict[str, float]:
    """The median of each workload. Prints the spread of the middle half."""
    counts: dict[str, list[int]] = {}
    for name, count in re.findall(r"^bench: (\S+) (\d+)\r?$", text, re.M):
        counts.setdefault(name, []).append(int(count))
    for name, values in counts.items():
        low, middle, high = statistics.quantiles(values, n=4)
        print(f"    {cpu}, {whose}: {name}: {middle:.0f}, half of {len(values)} within {(high - low) / middle:.4%}")
    return {name: statistics.median(values) for name, values in counts.items()}


def functions(build: Path) -> dict[str, tuple[int, int]]:
    """The addresses of the fast paths in the kernel."""
    lines = subprocess.run([ARM64.cross + "nm", "-S", str(build / "vmlinux")], capture_output=True, text=True,
                           check=True).stdout
    found = {}
    for start, size, name in re.findall(r"^([0-9a-f]+) ([0-9a-f]+) [tT] (\w+)$", lines, re.M):
        if any(name == path.function for path in ARM64.ways):
            found[name] = int(start, 16), int(size, 16)
    return found


def one_by_one() -> list[str]:
    """The option of QEMU to execute one instruction at a time. QEMU 9 removed the old one."""
    said = subprocess.run([QEMU, "--version"], capture_output=True, text=True, check=True).stdout
    version = re.search(r"version (\d+)", said)
    return ["-accel", "tcg,one-insn-per-tb=on"] if version and int(version[1]) >= 9 else ["-singlestep"]


def executed(build: Path, initramfs: Path) -> dict[str, int]:
    """The number of instructions that most calls of each function execute."""
    places = functions(build)
    ranges = ",".join(f"{start:#x}..{start + size - 1:#x}" for start, size in places.values())
    runs: dict[str, Counter[int]] = {name: Counter() for name in places}
    with tempfile.NamedTemporaryFile() as log:
        boot(build, initramfs, CPUS[0], [*one_by_one(), "-d", "exec,nochain", "-dfilter", ranges, "-D", log.name],
             "-- trace")
        name, count = "", 0
        for line in Path(log.name).read_text(encoding="utf-8", errors="replace").splitlines():
            if not (match := re.search(r"\[[0-9a-f]+/([0-9a-f]+)/", line)):
                continue
            address = int(match[1], 16)
            for function, (start, size) in places.items():
                if address == start:
                    if name:
                        runs[name][count] += 1
                    name, count = function, 0
                count += function == name and start <= address < start + size
    return {name: lengths.most_common(1)[0][0] for name, lengths in runs.items() if lengths}


def main() -> None:
    builds, initramfs = [Path(arg) for arg in sys.argv[1:3]], Path(sys.argv[3])
    jobs = [(build, initramfs, cpu, ["-icount", "shift=0,sleep=off"], "") for cpu in CPUS for build in builds]
    with ThreadPoolExecutor(max_workers=2) as pool:
        texts = list(pool.map(lambda job: boot(*job), jobs))
        print("    executing one instruction at a time")
        traced = list(pool.map(lambda build: executed(build, initramfs), builds))
    with open(sys.argv[4], "w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        for cpu, *both in zip(CPUS, texts[::2], texts[1::2]):
            ours, theirs = (medians(cpu, whose, text) for whose, text in zip(("ours", "theirs"), both))
            for name, what in WHAT.items():
                if name in ours and name in theirs:
                    table.writerow([f"whole system: {what}", cpu, ours[name], theirs[name]])
        for path in ARM64.ways:
            if all(path.function in counts for counts in traced):
                table.writerow([f"executed in {path.function}", CPUS[0], *(counts[path.function] for counts in traced)])


if __name__ == "__main__":
    main()
