#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Count the cases in what kunit.py --json wrote, and check that the named suites have run, or at least one.

kunit.py passes if other suites ran, if every case was filtered out, or if the kernel warned outside of a case. This
script does not. A case with parameters counts once. Fails unless every suite ran, no case failed, and the log, if it is
given, has no warning. The table is beside the report.
"""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

import ktap

# Kernel messages that report a problem of any kind.
COMPLAINT = re.compile(
    r"WARNING:|\bBUG:|\bBUG at|Oops|Internal error|Kernel panic|Unable to handle|INFO: (task|rcu|possible|trying)|"
    r"rcu:.*(stall|starved)|possible .* detected|inconsistent lock state|bad unlock|KASAN|KCSAN:|UBSAN:|"
    r"idgen_alloc: .* violated:|suspicious RCU|scheduling while atomic|soft lockup|hard LOCKUP|stack-protector")

PLAIN = {"PASS": "ok", "SKIP": "skip"}


def case_result(group: dict[str, Any]) -> str:
    """The result of a parameterised case. 6.12 does not write the counts of the group."""
    results = {PLAIN.get(case["status"], "not ok") for case in group["test_cases"]}
    return next((result for result in ("not ok", "ok", "skip") if result in results), "not ok")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", type=Path, help="what the kernel printed")
    parser.add_argument("report", type=Path)
    parser.add_argument("suites", nargs="*", help="the default is those in the report")
    args = parser.parse_args()
    try:
        report = json.loads(args.report.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        print(f"error: no results of kunit.py: {error}", file=sys.stderr)
        return 1
    suites = {suite["name"]: suite for suite in report["sub_groups"]}
    rows = []
    for name in args.suites or [*suites] or ["no suite"]:
        suite = suites.get(name, {"test_cases": [], "sub_groups": []})
        cases = [(case["name"], PLAIN.get(case["status"], "not ok")) for case in suite["test_cases"]]
        cases += [(group["name"], case_result(group)) for group in suite["sub_groups"]]
        rows += [(f"{name}.{case}", result, "") for case, result in cases]
        if not cases:
            rows.append((name, "not ok", "no case ran; is its option in .kunitconfig?"))
    if args.log:
        lines = args.log.read_text(encoding="utf-8", errors="replace").splitlines()
        complaints = [line for line in lines if COMPLAINT.search(line)]
        rows.append(("kernel log", "not ok" if complaints else "ok", "; ".join(complaints[:20])))
    for row in rows:
        if row[1] == "not ok":
            print(f"error: {row[0]}: {row[2]}", file=sys.stderr)
    return ktap.report(args.report.with_suffix(""), ("case", "result", "reason"), rows)


if __name__ == "__main__":
    sys.exit(main())
