#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""e2e_mutants.py TREE IMAGE [NAME...]: boot kernels with the faults of e2e-mutants.toml, which e2e must notice.

TREE is a kernel tree that may be changed, and has a build of the e2e kernel. IMAGE is the directory for the kernel,
and has the programs. Each mutant is built once and boots its rows without the library's own checks, as these would
hide what guests and processes notice. A row ends at the first line that fails it, but our selftests run to their end,
for their own verdict: the column noticed_by has all checks that failed until then. The unchanged kernel comes first,
and must pass all rows.
"""

import os
import re
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import e2e
import ktap
from mutants import mutate, run
from kunit_results import COMPLAINT

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
BUILD = ".kunit-e2e"
MAKE = ["ARCH=arm64", "CROSS_COMPILE=aarch64-linux-gnu-", "CC=ccache aarch64-linux-gnu-gcc", "HOSTCC=ccache gcc"]
FILES = ("lib/idgen_alloc.c", "include/linux/idgen_alloc.h", "arch/arm64/kvm/vmid.c", "arch/arm64/mm/context.c")
# The check that a line of the log belongs to.
CHECKS = {
    r"^tlb: wrong:": "tagged TLB",
    r"^(\[.*\] asid_probe|audit): wrong:": "audit of ASIDs",
    r"^guests: wrong:": "contents",
    r"^(# )*(\w+_rollover: wrong:|not ok [12] )": "selftest",
    COMPLAINT.pattern: "kernel",
}


def load(texts: dict[str, str]) -> dict[str, dict[str, Any]]:
    """The mutants of these files. The edits for the library are in harness/check/mutants.toml."""
    library = tomllib.loads((TOP / "harness/check/mutants.toml").read_text(encoding="utf-8"))
    mutants = tomllib.loads((HERE / "e2e-mutants.toml").read_text(encoding="utf-8"))
    for name, mutant in mutants.items():
        if "edits" not in mutant:
            if name not in library:
                raise SystemExit(f"error: {name} is in e2e-mutants.toml without edits, and not in mutants.toml")
            mutant["what"], mutant["edits"] = library[name]["what"], library[name]["edits"]
        if isinstance(mutant["row"], str):
            mutant["row"] = [mutant["row"]]
        # Report errors before the first boot.
        edited(texts, mutant["edits"])
    return mutants


def edited(texts: dict[str, str], edits: list[list[str]]) -> dict[str, str]:
    """The files with these edits, by name."""
    return dict(zip(texts, mutate([*texts.values()], edits)))


def put(tree: Path, texts: dict[str, str]) -> None:
    """Replace files of the tree by new ones. The old ones may be links to files of another tree."""
    for file, text in texts.items():
        place = tree / file
        if place.read_text(encoding="utf-8") != text:
            place.unlink()
            place.write_text(text, encoding="utf-8")


def make(tree: Path, *targets: str) -> None:
    """Run the kernel's make."""
    run(["make", "-s", "-C", str(tree), f"O={BUILD}", f"-j{os.cpu_count()}", *MAKE, *targets])


def noticed_by(result: e2e.Result, lines: list[str]) -> dict[str, str]:
    """The checks that failed, each with its first message. A reason of e2e.py starts with the name of the check."""
    found: dict[str, str] = {}
    for line in lines:
        for pattern, check in CHECKS.items():
            if re.search(pattern, line):
                found.setdefault(check, re.sub(r"^\[ *[0-9.]+\] ", "", line))
    for check, _, said in (reason.partition(": ") for reason in result.reasons):
        if check == "hang" or not found:
            found[check] = said
    return found


def main() -> int:
    """Boot all mutants, and write the table."""
    tree, image = Path(sys.argv[1]), Path(sys.argv[2])
    texts = {file: (tree / file).read_text(encoding="utf-8") for file in FILES}
    mutants = load(texts)
    names = sys.argv[3:] or list(mutants)
    rows = {row.name: row for row in e2e.load()}
    table: list[tuple[object, ...]] = []
    run([str(tree / "scripts/config"), "--file", str(tree / BUILD / ".config"), "-d", "DEBUG_IDGEN_ALLOC"])
    make(tree, "olddefconfig")
    todo = {"unchanged": list(dict.fromkeys(row for name in names for row in mutants[name]["row"]))}
    for name, used in (todo | {name: mutants[name]["row"] for name in names}).items():
        start = time.monotonic()
        put(tree, edited(texts, [] if name == "unchanged" else mutants[name]["edits"]))
        make(tree, "Image")
        (image / "Image").write_bytes((tree / BUILD / "arch/arm64/boot/Image").read_bytes())
        print(f"{name}: built in {time.monotonic() - start:.0f} s", flush=True)
        for row in used:
            log = image / f"{name}-{row}.log"
            to_first_wrong = name != "unchanged" and not row.startswith("selftests")
            result = e2e.boot(rows[row], image, log, to_first_wrong)
            found = noticed_by(result, e2e.read(log)) if result.reasons else {"nothing": ""}
            checks, said = ", ".join(found), next(iter(found.values()))
            good = ("nothing" in found) == (name == "unchanged")
            what = "" if name == "unchanged" else mutants[name]["what"]
            table.append((name, what, row, checks, round(result.seconds), said,
                          "ok" if good else "not ok", "" if good else f"{row}: noticed by {checks}"))
            print(f"    {row:20} {result.seconds:4.0f} s  {checks}: {said[:100]}", flush=True)
    put(tree, texts)
    columns = "mutant what row noticed_by seconds said_first result reason".split()
    return ktap.report(e2e.OUT.parent / "e2e-mutants", columns, table)


if __name__ == "__main__":
    sys.exit(main())
