#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Count the cases in what kunit.py --json wrote, and insist that the suites named have run.

kunit.py is content with a kernel that ran other suites, or these with every case filtered out, and with one that
complains of something else than a case. A case with parameters counts once. Prints "N passed, N failed, N skipped";
fails unless every suite ran, no case failed, and the log, if it is given, has no complaint.
"""

import argparse
import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

# What a kernel says when something is amiss, whatever it was.
COMPLAINT = re.compile(
    r"WARNING:|\bBUG:|\bBUG at|Oops|Internal error|Kernel panic|Unable to handle|INFO: (task|rcu|possible|trying)|"
    r"rcu:.*(stall|starved)|possible .* detected|inconsistent lock state|bad unlock|KASAN|KCSAN:|UBSAN:|"
    r"idgen_alloc: .* violated:|suspicious RCU|scheduling while atomic|soft lockup|hard LOCKUP|stack-protector")

PLAIN = {"PASS": "passed", "SKIP": "skipped"}


def case_result(group: dict[str, Any]) -> str:
    """What a case with parameters comes to. Not from the group's own counts, which 6.12 does not write."""
    results = {PLAIN.get(case["status"], "failed") for case in group["test_cases"]}
    if "failed" in results or not results:
        return "failed"
    return "passed" if "passed" in results else "skipped"


def suite_results(suite: dict[str, Any]) -> Counter[str]:
    cases = Counter(PLAIN.get(case["status"], "failed") for case in suite["test_cases"])
    cases.update(case_result(group) for group in suite["sub_groups"])
    return cases


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", type=Path, help="what the kernel printed")
    parser.add_argument("report", type=Path)
    parser.add_argument("suites", nargs="+")
    args = parser.parse_args()
    try:
        report = json.loads(args.report.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        print(f"error: no results of kunit.py: {error}", file=sys.stderr)
        return 1
    suites = {suite["name"]: suite_results(suite) for suite in report["sub_groups"]}
    missing = [name for name in args.suites if not suites.get(name)]
    total = sum((suites[name] for name in suites if name in args.suites), Counter[str]())
    print(f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped")
    for name in missing:
        print(f"error: no case of the suite {name} ran; is its option in .kunitconfig?", file=sys.stderr)
    complaints: list[str] = []
    if args.log:
        lines = args.log.read_text(encoding="utf-8", errors="replace").splitlines()
        complaints = [line for line in lines if COMPLAINT.search(line)]
    for line in complaints[:20]:
        print(f"error: {args.log.name}: {line}", file=sys.stderr)
    return 1 if missing or total["failed"] or complaints else 0


if __name__ == "__main__":
    sys.exit(main())
