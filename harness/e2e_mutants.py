#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""e2e_mutants.py TREE IMAGE [NAME...]: boot kernels that are wrong, as e2e-mutants.toml lists them, and see who notices.

TREE is a kernel tree that may be changed, with a build of the e2e kernel in it, IMAGE the directory that it goes to,
where the programs are already. Each mutant is built and booted with the library's own checks and without them, since
those would hide what guests and processes see. The unchanged kernel goes first, and must pass all rows that are used.
What must be noticed and is not is a failure.
"""

import csv
import os
import re
import subprocess
import sys
import time
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import e2e

HERE = Path(__file__).resolve().parent
TOP = HERE.parent
BUILD = ".kunit-e2e"
MAKE = ["ARCH=arm64", "CROSS_COMPILE=aarch64-linux-gnu-", "CC=ccache aarch64-linux-gnu-gcc", "HOSTCC=ccache gcc"]
# A mutant may hang, and is to be seen to soon enough.
LIMIT = 180
FILES = ("lib/idgen_alloc.c", "include/linux/idgen_alloc.h", "arch/arm64/kvm/vmid.c", "arch/arm64/mm/context.c")


def load() -> dict[str, dict[str, Any]]:
    """The mutants; those of the library by their names in its own list."""
    library = tomllib.loads((TOP / "tools/testing/idgen/mutants.toml").read_text(encoding="utf-8"))
    mutants = tomllib.loads((HERE / "e2e-mutants.toml").read_text(encoding="utf-8"))
    for name, mutant in mutants.items():
        if "edits" not in mutant and "unseen" not in mutant:
            if name not in library:
                raise SystemExit(f"error: {name} is in e2e-mutants.toml without edits, and not in mutants.toml")
            mutant["what"], mutant["edits"] = library[name]["what"], library[name]["edits"]
    return mutants


def put(tree: Path, edits: list[list[str]]) -> None:
    """Have the tree hold our files with these edits, as new files: the old ones may be links to another tree's."""
    texts = {file: (TOP / file).read_text(encoding="utf-8") for file in FILES}
    for old, new in edits:
        if sum(text.count(old) for text in texts.values()) != 1:
            raise SystemExit(f"error: not there exactly once: {old!r}")
        texts = {file: text.replace(old, new) for file, text in texts.items()}
    for file, text in texts.items():
        place = tree / file
        if place.read_text(encoding="utf-8") != text:
            place.unlink()
            place.write_text(text, encoding="utf-8")


def make(tree: Path, checks: bool, image: Path) -> None:
    """Build the kernel, with the library's checks or without."""
    jobs = f"-j{os.cpu_count()}"
    option = "-e" if checks else "-d"
    for command in ([str(tree / "scripts/config"), "--file", str(tree / BUILD / ".config"), option, "DEBUG_IDGEN_ALLOC"],
                    ["make", "-s", "-C", str(tree), f"O={BUILD}", *MAKE, "olddefconfig"],
                    ["make", "-s", "-C", str(tree), f"O={BUILD}", *MAKE, jobs, "KCFLAGS=-Wno-error -Wno-unused", "Image"]):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"error: {' '.join(command)} failed:\n{done.stdout[-3000:]}")
    (image / "Image").write_bytes((tree / BUILD / "arch/arm64/boot/Image").read_bytes())


def main() -> int:
    """Go through the list, and write the table."""
    tree, image = Path(sys.argv[1]), Path(sys.argv[2])
    mutants = load()
    names = sys.argv[3:] or list(mutants)
    rows = {row.name: row for row in e2e.load()}
    used = list(dict.fromkeys(row for name in names for row in mutants[name].get("rows", [])))
    todo: dict[str, dict[str, Any]] = {"unchanged": {"edits": [], "rows": used}}
    todo |= {name: mutants[name] for name in names}
    table = [("mutant", "row", "library_checks", "caught_by")]
    failures: list[str] = []
    for name, mutant in todo.items():
        if "unseen" in mutant:
            table.append((name, "", "", f"cannot be seen: {mutant['unseen']}; caught by {mutant['layer']}"))
            print(f"{name:28} cannot be seen: {mutant['unseen']}; caught by {mutant['layer']}", flush=True)
            continue
        caught = False
        for checks in (True, False):
            start = time.monotonic()
            put(tree, mutant["edits"])
            make(tree, checks, image)
            built = time.monotonic() - start
            for row_name in mutant["rows"]:
                row = replace(rows[row_name], limit=min(LIMIT, rows[row_name].limit))
                log = image / f"{name}-{row_name}-{'checks' if checks else 'plain'}.log"
                result = e2e.boot(rows[row_name] if name == "unchanged" else row, image, log)
                by = ", ".join(dict.fromkeys(reason.split(":")[0] for reason in result.reasons)) or "nothing"
                caught = caught or bool(result.reasons)
                table.append((name, row_name, "on" if checks else "off", by))
                first = re.sub(r"\s+", " ", result.reasons[0])[:100] if result.reasons else ""
                print(f"{name:28} {row_name:22} checks {'on ' if checks else 'off'} "
                      f"{built:4.0f} + {result.seconds:4.0f} s  {by}  {first}", flush=True)
        if caught == (name == "unchanged"):
            failures.append(name)
    put(tree, [])
    with (e2e.OUT.parent / "e2e-mutants.csv").open("w", newline="", encoding="utf-8") as out:
        csv.writer(out, lineterminator="\n").writerows(table)
    unseen = sum("unseen" in mutant for mutant in todo.values())
    for name in failures:
        print(f"error: {name}: " + ("fails by itself" if name == "unchanged" else "nothing noticed"))
    print(f"{len(todo) - unseen - len(failures)} passed, {len(failures)} failed, {unseen} skipped")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
