#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""e2e_selftests.py ARCH CONVERTED PRISTINE: boot two kernels with the same selftests, and compare test by test.

e2e.sh builds the directories. Tests with different results run again on each kernel, ten times and more, as some results
depend on the speed of QEMU. Fails if a test has a result with our files that it does not have without, or fails much more
often (see is_same() of e2e.py), if the kernel prints a warning that it does not print without, or if a boot does not
complete. The tests in UNSTABLE run in separate boots, and are not judged.
"""

import re
import sys
from dataclasses import replace
from pathlib import Path

import e2e
import ktap
from results import COMPLAINT

SECONDS = 30
# These single-step a guest. On a busy machine, in one run of ten to twenty, the kernel warns at arch/arm64/kvm/debug.c:157
# (the vCPU's sysregs are already loaded), or a CPU hangs. Both were seen with our files and without.
UNSTABLE = ("arm64-debug-exceptions",)
AGAIN = 10
ROUNDS = 3
MACHINES = {
    "vhe": e2e.Row(name="vhe", cpu="max,pauth-impdef=on", smp=4, memory="4G", run=[], limit=3000),
    "nvhe": e2e.Row(name="nvhe", cpu="cortex-a57", smp=4, memory="4G", run=[], limit=3000),
    "rv64": e2e.Row(name="rv64", arch="riscv", cpu="rv64,h=true", smp=4, memory="4G", run=[], limit=3000),
}
RESULT = re.compile(r"^selftest (\S+): (\w+), \d+ s$")
Results = dict[str, dict[str, list[str]]]


def complaints(log: Path) -> set[str]:
    """The warnings of the kernel, without the parts that differ between boots."""
    return {re.sub(r"0x[0-9a-f]+|\d+", "N", line) for line in e2e.read(log) if COMPLAINT.search(line)}


def run(row: e2e.Row, images: dict[str, Path], found: Results, heard: dict[str, set[str]]) -> int:
    """Boot both kernels, and add the results and the warnings. Returns the number of boots that failed."""
    wrong = 0
    for kernel, image in images.items():
        log = e2e.OUT / f"selftests-{row.name}-{kernel}.log"
        result = e2e.boot(row, image, log)
        matches = [match for match in map(RESULT.match, e2e.read(log)) if match]
        for match in matches:
            found.setdefault(match[1], {name: [] for name in images})[kernel].append(match[2])
        heard[kernel] |= complaints(log)
        print(f"{row.name}, {kernel}: {len(matches)} tests, {result.seconds:.0f} s", flush=True)
        if any(reason.startswith(("hang", "end")) for reason in result.reasons):
            e2e.show_failure(row, result, log)
            wrong += 1
    return wrong


def show_unstable(row: e2e.Row, images: dict[str, Path]) -> list[tuple[str, str, str]]:
    """The results of the tests that are not judged, with each kernel."""
    found: Results = {test: {kernel: [] for kernel in images} for test in UNSTABLE}
    command = f"selftests {SECONDS} 4 {' '.join(UNSTABLE)}"
    run(replace(row, name=f"{row.name}-unstable", run=[command], limit=400), images, found, {kernel: set() for kernel in images})
    return [(test, e2e.shown(results["converted"]), e2e.shown(results["pristine"])) for test, results in found.items()]


def main() -> int:
    """Boot both kernels on all machines, and write the table."""
    arch = sys.argv[1]
    images = {"converted": Path(sys.argv[2]), "pristine": Path(sys.argv[3])}
    table = []
    for machine, row in MACHINES.items():
        if row.arch != arch:
            continue
        found: Results = {}
        heard: dict[str, set[str]] = {kernel: set() for kernel in images}
        stable = f"selftests {SECONDS} 1 {' '.join('-' + test for test in UNSTABLE)}"
        broken = run(replace(row, run=[stable]), images, found, heard)
        unsure: set[str] = set()
        for number in range(ROUNDS):
            differ = {test for test, results in found.items() if not e2e.is_same(results["converted"], results["pristine"])}
            unsure |= differ
            if unsure and (differ or heard["converted"] - heard["pristine"]):
                again = f"selftests {SECONDS} {AGAIN} {' '.join(sorted(unsure))}"
                broken += run(replace(row, name=f"{machine}-again-{number + 1}", run=[again]), images, found, heard)
        new = sorted(heard["converted"] - heard["pristine"])
        for line in new:
            print(f"{machine}: only the converted kernel says: {line}")
        table.append((f"{machine}/kernel", "", "", "not ok" if broken or new or not found else "ok", f"{broken} bad boots, {len(new)} new complaints"))
        for test, results in sorted(found.items()):
            ours, theirs = (e2e.shown(results[kernel]) for kernel in images)
            same = e2e.is_same(results["converted"], results["pristine"])
            result = "not ok" if not same else "ok" if "pass" in ours else "skip"
            table.append((f"{machine}/{test}", ours, theirs, result, "the same without our files" if same else "different"))
            print(f"{machine:6} {test:40} {ours:24} {theirs:24} {'' if same else 'DIFFERENT'}")
        for test, ours, theirs in show_unstable(row, images) if arch == "arm64" else []:
            table.append((f"{machine}/{test}", ours, theirs, "skip", "not judged"))
            print(f"{machine:6} {test:40} {ours:24} {theirs:24} not judged")
    return ktap.report(e2e.OUT.parent / ("e2e-selftests" if arch == "arm64" else f"e2e-selftests-{arch}"), ("test", "converted", "pristine", "result", "reason"), table)


if __name__ == "__main__":
    sys.exit(main())
