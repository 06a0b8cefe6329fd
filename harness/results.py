#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Count the cases in what kunit.py --json wrote, and insist that the suites named have run.

kunit.py is content with a kernel that ran other suites, or these with every case filtered out. A case with
parameters counts once. Prints "N passed, N failed, N skipped"; fails unless every suite ran and no case failed.
"""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any


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
    try:
        report = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        print(f"error: no results of kunit.py: {error}", file=sys.stderr)
        return 1
    suites = {suite["name"]: suite_results(suite) for suite in report["sub_groups"]}
    missing = [name for name in sys.argv[2:] if not suites.get(name)]
    total = sum((suites[name] for name in suites if name in sys.argv[2:]), Counter[str]())
    print(f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped")
    for name in missing:
        print(f"error: no case of the suite {name} ran; is its option in .kunitconfig?", file=sys.stderr)
    return 1 if missing or total["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
