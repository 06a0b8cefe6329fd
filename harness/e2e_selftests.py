#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""e2e_selftests.py CONVERTED PRISTINE: boot two kernels with the same selftests, and compare test by test.

The directories hold what e2e-selftests.sh built. Fails if a test has another result with our files than without, if
the kernel says something that it does not say without, or if a boot does not come to its end.
"""

import csv
import re
import sys
from pathlib import Path

import e2e
from results import COMPLAINT

SECONDS = 60
MACHINES = {
    "vhe": e2e.Row(name="vhe", cpu="max,pauth-impdef=on", smp=4, run=[f"selftests {SECONDS}"], limit=3600),
    "nvhe": e2e.Row(name="nvhe", cpu="cortex-a57", smp=4, run=[f"selftests {SECONDS}"], limit=3600),
}
RESULT = re.compile(r"^selftest (\S+): (\w+)$")


def results(log: Path) -> dict[str, str]:
    """What each test came to."""
    lines = log.read_text(encoding="utf-8", errors="replace").replace("\r", "").splitlines()
    return {match[1]: match[2] for match in map(RESULT.match, lines) if match}


def complaints(log: Path) -> set[str]:
    """What the kernel complained of, without what differs from boot to boot."""
    lines = log.read_text(encoding="utf-8", errors="replace").replace("\r", "").splitlines()
    return {re.sub(r"0x[0-9a-f]+|\d+", "N", line) for line in lines if COMPLAINT.search(line)}


def main() -> int:
    """Boot, and write the table."""
    images = {"converted": Path(sys.argv[1]), "pristine": Path(sys.argv[2])}
    table = [("machine", "test", "converted", "pristine", "same")]
    different = same = skipped = 0
    for machine, row in MACHINES.items():
        found: dict[str, dict[str, str]] = {}
        heard: dict[str, set[str]] = {}
        for kernel, image in images.items():
            log = e2e.OUT / f"selftests-{machine}-{kernel}.log"
            result = e2e.boot(row, image, log)
            found[kernel], heard[kernel] = results(log), complaints(log)
            print(f"{machine}, {kernel}: {len(found[kernel])} tests, {result.seconds:.0f} s", flush=True)
            if any(reason.startswith(("hang", "end")) for reason in result.reasons):
                e2e.show_failure(row, result, log)
                different += 1
        for test in sorted(found["converted"].keys() | found["pristine"].keys()):
            ours, theirs = (found[kernel].get(test, "missing") for kernel in images)
            table.append((machine, test, ours, theirs, "yes" if ours == theirs else "no"))
            print(f"{machine:6} {test:40} {ours:8} {theirs:8} {'' if ours == theirs else 'DIFFERENT'}")
            different += ours != theirs
            same += ours == theirs != "skip"
            skipped += ours == theirs == "skip"
        for line in sorted(heard["converted"] - heard["pristine"]):
            print(f"{machine}: only the converted kernel says: {line}")
            different += 1
    with (e2e.OUT.parent / "e2e-selftests.csv").open("w", newline="", encoding="utf-8") as out:
        csv.writer(out, lineterminator="\n").writerows(table)
    print(f"{same} passed, {different} failed, {skipped} skipped")
    return bool(different or not same)


if __name__ == "__main__":
    sys.exit(main())
