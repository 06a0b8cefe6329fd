#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""bench_rollover.py OURS THEIRS OUT: measure what a VMID rollover on riscv does to running guests, before and after.

OURS and THEIRS are directories of e2e-build.sh. harness/e2e/programs/rollover.c counts. Writes CSV rows to OUT:
what,size,ours,theirs, medians over the rounds. IPIs are those of all turns of a round, exits those of the turn with the
rollover. The original has no parameter for fewer bits, so all 14 bits run out, 25 times.
"""

import csv
import re
import statistics
import sys
from pathlib import Path

import e2e

# 16,384 VMs take 3 GB, without the debugfs files of each VM and vCPU.
ROW = e2e.Row(name="rollover", arch="riscv", cpu="rv64,h=true", smp=4, memory="4G", args="debugfs=off",
              run=["rollover"], limit=600)
ROUNDS = 25
ROUND = re.compile(r"^rollover: VM \d+: (\d+) IPIs, (\d+) exits; (\d+) turns had (\d+) exits$")
WHAT = ("IPIs of a rollover of VMIDs", "exits of guests that run, of a rollover of VMIDs")


def count(image: Path) -> tuple[float, ...]:
    """Boot a kernel, and return the medians."""
    log = image / "rollover.log"
    result = e2e.boot(ROW, image, log)
    rounds = [tuple(map(int, match.groups())) for match in map(ROUND.match, e2e.read(log)) if match]
    if result.reasons or len(rounds) != ROUNDS:
        e2e.show_failure(ROW, result, log)
        raise SystemExit(f"error: {image}: {len(rounds)} of {ROUNDS} rollovers: nothing to compare")
    ipis, exits, turns, all_exits = zip(*rounds)
    # As long as the guests run, the timer tick causes exits.
    if min(all_exits) == 0:
        raise SystemExit(f"error: {image}: the spinning guests have no exits at all, see {log}")
    for what, values in zip(WHAT, (ipis, exits)):
        print(f"    {image.name}: {what}: {' '.join(map(str, values))}")
    print(f"    {image.name}: exits per turn, all turns: {sum(all_exits) / sum(turns):.2f}; {result.seconds:.0f} s",
          flush=True)
    return statistics.median(ipis), statistics.median(exits)


def main() -> None:
    """Boot both kernels, and write the rows."""
    ours, theirs = (count(Path(arg)) for arg in sys.argv[1:3])
    with open(sys.argv[3], "w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows((f"riscv: {what}", "", *both)
                                                        for what, *both in zip(WHAT, ours, theirs))


if __name__ == "__main__":
    main()
