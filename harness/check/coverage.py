#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""coverage.py TREE BUILD: check that all lines of the library have run.

Reads the gcov data of the library and its suite. A line of the header has run if it has run in either object. An inline
function that is in no object has not run.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

FILES = ("lib/idgen_alloc.c", "include/linux/idgen_alloc.h")
OBJECTS = ("lib/idgen_alloc", "lib/tests/idgen_alloc_kunit")


def counts(build: Path) -> dict[str, dict[int, int]]:
    """The execution count of each line of FILES, by file and line number."""
    total: dict[str, dict[int, int]] = {name: {} for name in FILES}
    for name in OBJECTS:
        data = build / f"{name}.gcda"
        if not data.is_file():
            sys.exit(f"error: no {data}: the kernel ended without writing its counts, see {build}/test.log")
        out = subprocess.run(["gcov", "--json-format", "--stdout", str(data)],
                             cwd=build, check=True, stdout=subprocess.PIPE, text=True).stdout
        for document in out.splitlines():
            for file in json.loads(document)["files"]:
                for lines in (total[path] for path in FILES if file["file"].endswith(path)):
                    for line in file["lines"]:
                        number = line["line_number"]
                        lines[number] = lines.get(number, 0) + line["count"]
    return total


def unseen_functions(text: list[str], seen: dict[int, int]) -> list[int]:
    """The first lines of inline functions that gcov does not know."""
    unseen = []
    for start, line in enumerate(text, 1):
        if not re.match(r"static (__always_)?inline\b", line):
            continue
        end = next(n for n in range(start, len(text) + 1) if text[n - 1] == "}" or text[n - 1].endswith("{ }"))
        if not any(n in seen for n in range(start, end + 1)):
            unseen.append(start)
    return unseen


def main() -> int:
    tree = Path(sys.argv[1]).resolve()
    failed = False
    for path, lines in counts(tree / sys.argv[2]).items():
        text = (tree / path).read_text(encoding="utf-8").splitlines()
        missing = sorted([n for n, count in lines.items() if not count] + unseen_functions(text, lines))
        print(f"{path}: {len(lines) - sum(n in lines for n in missing)} of {len(lines)} lines ran")
        for number in missing:
            failed = True
            print(f"  {path}:{number}: {text[number - 1].strip()}  (never ran)")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
