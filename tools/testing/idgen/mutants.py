#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""See that each wrong version of the allocator in mutants.toml is noticed, and write who does to a CSV.

A mutant is made in a scratch directory; the tree is not touched. "explore" (two steps of two CPUs, one preemption),
"torture" and, for what that misses, "torture-tsan" are run, without the library's own checks. A litmus test or TLA+ configuration that a mutant names
is the same fault in another language: that the litmus test still shows it is run here if herd7 and LINUX= are given.
The unchanged files go first, and must pass.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[2]
FILES = (TOP / "lib/idgen_alloc.c", TOP / "include/linux/idgen_alloc.h")


def mutate(texts: list[str], edits: list[list[str]]) -> list[str]:
    """The files' texts with each edit made; what an edit replaces is in them exactly once."""
    for old, new in edits:
        if sum(text.count(old) for text in texts) != 1:
            raise SystemExit(f"error: not there exactly once: {old!r}")
        texts = [text.replace(old, new) for text in texts]
    return texts


def build(scratch: Path, programs: list[str]) -> None:
    """Build the programs from the files in the scratch directory."""
    subprocess.run(
        ["make", "-s", "-C", str(HERE), f"O={scratch}/out", f"SRC={scratch}/idgen_alloc.c",
         f"HEADER={scratch}/idgen_alloc.h", f"TOP={TOP}", "DEBUG=0", "CFLAGS=-O2 -w", *(f"{scratch}/out/{p}" for p in programs)],
        check=True)


def fails(command: list[str], tries: int = 1) -> bool:
    """Whether a command fails, or does not come to an end, in one of so many tries."""
    for _ in range(tries):
        try:
            if subprocess.run(command, capture_output=True, timeout=120, check=False).returncode:
                return True
        except subprocess.TimeoutExpired:
            return True
    return False


def litmus_shows(name: str) -> bool:
    """Whether a litmus test allows the bad outcome, by the kernel's model."""
    herd7 = subprocess.run([str(HERE / "herd7.sh")], capture_output=True, text=True, check=True).stdout.strip()
    run = subprocess.run([os.environ.get("HERD7", herd7), "-conf", "linux-kernel.cfg", str(HERE / f"litmus/{name}.litmus")],
                         cwd=Path(os.environ["LINUX"]) / "tools/memory-model", capture_output=True, text=True, check=True)
    return " Sometimes " in run.stdout


def main() -> int:
    """Make the mutants, and the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--csv", type=Path, default=TOP / "build/mutants.csv")
    parser.add_argument("--seconds", default="1", help="for each mode of torture")
    parser.add_argument("names", nargs="*", help="only these")
    args = parser.parse_args()

    mutants: dict[str, dict[str, Any]] = {"unchanged": {"edits": []}}
    mutants |= tomllib.loads((HERE / "mutants.toml").read_text())
    originals = [file.read_text() for file in FILES]
    rows: list[tuple[str, str, str]] = []
    escaped: list[str] = []
    for name, mutant in mutants.items():
        if args.names and name not in args.names:
            continue
        found: dict[str, bool] = {}
        with tempfile.TemporaryDirectory() as directory:
            scratch = Path(directory)
            for file, text in zip(FILES, mutate(originals, mutant["edits"])):
                (scratch / file.name).write_text(text)
            build(scratch, ["explore", "torture"])
            found["explore"] = fails([f"{scratch}/out/explore", "-l", "2", "-k", "1"])
            found["torture"] = fails([f"{scratch}/out/torture", "-t", args.seconds], 2)
            if name == "unchanged" or not found["torture"]:
                build(scratch, ["torture-tsan"])
                found["torture-tsan"] = fails([f"{scratch}/out/torture-tsan", "-t", args.seconds])
        if "litmus" in mutant and "LINUX" in os.environ:
            found["litmus"] = litmus_shows(mutant["litmus"])
        rows += [(name, layer, "yes" if caught else "no") for layer, caught in found.items()]
        if any(found.values()) == (name == "unchanged"):
            escaped.append(name)
        print(f"{name:30}", *(f"{layer}: {'caught' if caught else 'not'}" for layer, caught in found.items()), flush=True)

    args.csv.parent.mkdir(parents=True, exist_ok=True)
    with args.csv.open("w", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(("mutant", "layer", "caught"))
        writer.writerows(rows)
    names = {row[0] for row in rows}
    print(f"mutants: {len(names) - len(escaped)} passed, {len(escaped)} failed; {args.csv}")
    for name in escaped:
        print(f"  {name}: " + ("noticed by nobody" if name != "unchanged" else "not clean"))
    return bool(escaped)


if __name__ == "__main__":
    sys.exit(main())
