#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Check that each relaxed access of the allocator and its users is in the file "accesses", with what covers it.

Accesses are those by atomic_*(), idgen_atomic(), refcount_*(), READ_ONCE() and WRITE_ONCE(), in the library, its
header, and the files of arch/ that call it. Each is identified by file, function and operation. It is covered by a
litmus test here, by a program of ../weak ("weak:NAME"), or by a reason that the head of "accesses" explains. Fails if
an access is not listed, if a listed one does not exist, or if what covers it does not exist. SRC and HEADER in the
environment replace the library's two files.
"""

import argparse
import os
import re
import sys
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[3]
OPERATION = re.compile(r"\bidgen_atomic\((\w+)\)\s*\(|\batomic(?:64|_long)?_([a-z_]+)\(|"
                       r"\b(refcount_\w+|READ_ONCE|WRITE_ONCE)\(")
FUNCTION = re.compile(r"^(?!typedef|extern)(?=[a-zA-Z_]).*?\b(\w+)\((?!.*;$)")


def accesses(text: str) -> list[tuple[str, str]]:
    """Functions, and their operations with how many there are, as in read*2; comments do not count."""
    found: Counter[tuple[str, str]] = Counter()
    function = ""
    text = re.sub(r"/\*.*?\*/", lambda comment: "\n" * comment[0].count("\n"), text, flags=re.DOTALL)
    for line in text.splitlines():
        if name := FUNCTION.match(line):
            function = name[1]
        if not line.startswith("#"):
            found.update((function, next(filter(None, match.groups()))) for match in OPERATION.finditer(line))
    return [(function, operation if count == 1 else f"{operation}*{count}")
            for (function, operation), count in found.items()]


def main() -> int:
    """Compare the list with the files."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    instead = {"lib/idgen_alloc.c": os.environ.get("SRC"), "include/linux/idgen_alloc.h": os.environ.get("HEADER")}
    files = [*instead, *sorted(str(file.relative_to(TOP)) for kind in ("mm/*.c", "kvm/*.c", "include/asm/*.h")
                               for file in TOP.glob(f"arch/*/{kind}")
                               if "kunit" not in file.name and "idgen_" in file.read_text(errors="replace"))]
    there = {(file, *access) for file in files
             for access in accesses(Path(instead.get(file) or TOP / file).read_text())}
    listed: dict[tuple[str, str, str], list[str]] = {}
    for line in (HERE / "accesses").read_text().splitlines():
        if line and not line.startswith("#"):
            file, function, operation, *covered = line.split()
            listed[(file, function, operation)] = covered
    known = {"lock", "alone", "as-before"} | {test.stem for test in HERE.glob("*.litmus")}
    programs = (HERE / "../weak/programs").read_text()
    known |= {f"weak:{name}" for name in re.findall(r"^[a-z]\S*", programs, re.MULTILINE)}
    wrong = [f"{' '.join(access)}: not in {HERE}/accesses" for access in sorted(there - set(listed))]
    wrong += [f"{' '.join(access)}: listed, but not there"
              for access in sorted(set(listed) - there) if access[0] in files]
    wrong += [f"{' '.join(access)}: covered by {what or 'nothing'}, which is not there"
              for access, covered in listed.items() for what in covered or [""] if what not in known]
    for line in wrong:
        print(f"error: {line}", file=sys.stderr)
    print(f"accesses: {len(there)} in {len(files)} files, {len(wrong)} wrong")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
