#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""e2e_selftests.py CONVERTED PRISTINE: boot two kernels with the same selftests, and compare test by test.

The directories hold what e2e-selftests.sh built. Tests that come to different results are run again on each kernel,
ten times and then some: some depend on how fast QEMU is. Fails if a test comes to something with our files that it does
not also come to without, if the kernel says something that it does not say without, or if a boot does not come to its
end. Tests of UNSTABLE are run in boots of their own, and shown only.
"""

import re
import sys
from dataclasses import replace
from pathlib import Path

import e2e
import ktap
from results import COMPLAINT

SECONDS = 30
# Single steps through a guest that QEMU's threads run, on a busy machine: in one run of ten to twenty the kernel warns at
# arch/arm64/kvm/debug.c:157 (sysregs of the vCPU are on the CPU already when it is loaded), or a CPU does not come back.
# Both were seen with our files and without them.
UNSTABLE = ("arm64-debug-exceptions",)
AGAIN = 10
ROUNDS = 3
MACHINES = {
    "vhe": e2e.Row(name="vhe", cpu="max,pauth-impdef=on", smp=4, memory="4G", run=[], limit=3000),
    "nvhe": e2e.Row(name="nvhe", cpu="cortex-a57", smp=4, memory="4G", run=[], limit=3000),
}
RESULT = re.compile(r"^selftest (\S+): (\w+), \d+ s$")
Results = dict[str, dict[str, list[str]]]


def complaints(log: Path) -> set[str]:
    """What the kernel complained of, without what differs from boot to boot."""
    return {re.sub(r"0x[0-9a-f]+|\d+", "N", line) for line in e2e.read(log) if COMPLAINT.search(line)}


def run(row: e2e.Row, images: dict[str, Path], found: Results, heard: dict[str, set[str]]) -> int:
    """Boot both kernels, and add what each test comes to and the kernel says. Returns how many boots did not end well."""
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
    """What the tests that are not judged come to, with each kernel."""
    found: Results = {test: {kernel: [] for kernel in images} for test in UNSTABLE}
    command = f"selftests {SECONDS} 4 {' '.join(UNSTABLE)}"
    run(replace(row, name=f"{row.name}-unstable", run=[command], limit=400), images, found, {kernel: set() for kernel in images})
    return [(test, " ".join(results["converted"]), " ".join(results["pristine"])) for test, results in found.items()]


def is_same(results: dict[str, list[str]]) -> bool:
    """Whether the test comes to nothing with our files that it does not come to without."""
    return bool(results["converted"]) and set(results["converted"]) <= set(results["pristine"])


def main() -> int:
    """Boot, and write the table."""
    images = {"converted": Path(sys.argv[1]), "pristine": Path(sys.argv[2])}
    table = []
    for machine, row in MACHINES.items():
        found: Results = {}
        heard: dict[str, set[str]] = {kernel: set() for kernel in images}
        stable = f"selftests {SECONDS} 1 {' '.join('-' + test for test in UNSTABLE)}"
        broken = run(replace(row, run=[stable]), images, found, heard)
        unsure: set[str] = set()
        for number in range(ROUNDS):
            differ = {test for test, results in found.items() if not is_same(results)}
            unsure |= differ
            if unsure and (differ or heard["converted"] - heard["pristine"]):
                again = f"selftests {SECONDS} {AGAIN} {' '.join(sorted(unsure))}"
                broken += run(replace(row, name=f"{machine}-again-{number + 1}", run=[again]), images, found, heard)
        new = sorted(heard["converted"] - heard["pristine"])
        for line in new:
            print(f"{machine}: only the converted kernel says: {line}")
        table.append((f"{machine}/kernel", "", "", "not ok" if broken or new or not found else "ok", f"{broken} bad boots, {len(new)} new complaints"))
        for test, results in sorted(found.items()):
            ours, theirs = (" ".join(results[kernel]) for kernel in images)
            same = is_same(results)
            result = "not ok" if not same else "ok" if "pass" in ours else "skip"
            table.append((f"{machine}/{test}", ours, theirs, result, "the same without our files" if same else "different"))
            print(f"{machine:6} {test:40} {ours:24} {theirs:24} {'' if same else 'DIFFERENT'}")
        for test, ours, theirs in show_unstable(row, images):
            table.append((f"{machine}/{test}", ours, theirs, "skip", "not judged"))
            print(f"{machine:6} {test:40} {ours:24} {theirs:24} not judged")
    return ktap.report(e2e.OUT.parent / "e2e-selftests", ("test", "converted", "pristine", "result", "reason"), table)


if __name__ == "__main__":
    sys.exit(main())
