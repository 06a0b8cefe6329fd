#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Write RESULTS.md from the tables that the commands left in build/, and the figures of make bench for series.py.

A table NAME.csv has beside it NAME.on: the date, the commit, the kernel and the programs, from common.sh or make merge.
If the last run wrote no table, NAME.on is empty. The section in RESULTS.md then stays as it is, with its own date and
commit, as it does if build/ has no such table, or if there were uncommitted changes.

Complete and quick runs have tables of their own. Runs of other parts, or with LINUX=, have no section. make prove has
none if make prove-deep, which includes it, ran at the same commit.
"""

import argparse
import csv
import re
import shutil
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
RESULTS, BUILD = TOP / "RESULTS.md", TOP / "build"
HEAD = """# Results

`make results` writes this file from the tables of the last runs, and nothing here is edited by hand. Each section
names the day, the commit, and the versions of the kernel and of the programs on which the results depend, and says
FAILED if the command failed. Sections of 2026-11-26 name gcc, clang and QEMU instead of the programs that they used. A
command without a section did not run, wrote no table, or ran with uncommitted changes; make prove has none if make
prove-deep ran at the same commit. "Quick" is the part that `make test` runs.
Everything ran under QEMU or on the host. Nothing ran on hardware with the architectures in question.

Known gaps: no mutation test removes the I-cache and branch predictor flushes of arm, the TLB flush in flush_cpu of
arm, riscv and KVM/riscv, the flushes of riscv after the probes of ASID and VMID bits, arm64's workaround for
ThunderX, or the GINVT of mips. QEMU shows no difference without them.
"""
# The command that writes each table, in the order of the sections. FOLDED has the two columns of a long table whose
# rows are folded, see fold().
COMMANDS = {
    "test": "make test", **{f"kunit-{arch}": f"make kunit ARCH={arch}" for arch in
                            ("arm64", "arm", "riscv", "riscv32", "mips64el", "mips64", "um")},
    "kunit-arm64-san": "make kunit SAN=1", "kunit-arm64-6.12": "make kunit LINUX_VERSION=6.12",
    "prove": "make prove", "prove-deep": "make prove-deep", "litmus": "make litmus",
    "emitted": "make litmus (emitted code)", "tla": "make tla",
    "weak": "make weak", "mutants-weak": "make weak (mutants)", "mutants": "make mutants",
    **{f"kunit-mutants-{arch}": f"make kunit-mutants ARCH={arch}" for arch in ("arm64", "arm", "riscv", "mips64el")},
    "e2e-quick": "make e2e ARCH=arm64 (quick)", "e2e-arm-quick": "make e2e ARCH=arm (quick)",
    **{f"e2e{arch}": f"make e2e ARCH={arch[1:] or 'arm64'}" for arch in ("", "-arm", "-riscv", "-riscv32")},
    "e2e-mutants": "make e2e-mutants", "e2e-selftests": "make e2e-selftests ARCH=arm64",
    "e2e-selftests-riscv": "make e2e-selftests ARCH=riscv", "peers": "make peers",
    "bench-quick": "make bench (quick)", "bench": "make bench",
    "series-quick": "make series-check (quick)", "series": "make series-check", "lint": "make lint",
    "configs": "make configs", "csky": "make csky"}
FOLDED = {**{name: ("invariant", "verdict") for name in ("prove", "prove-deep", "weak")}, "peers": ("test", "result")}

Rows = list[dict[str, str]]


def fold(rows: Rows, item: str, value: str) -> Rows:
    """Fold rows that differ only in two columns: VALUE then lists the items with each value, and ITEM goes."""
    merged: dict[tuple[str, ...], dict[str, str]] = {}
    values: dict[tuple[str, ...], dict[str, list[str]]] = {}
    for row in rows:
        rest = {column: cell for column, cell in row.items() if column not in (item, value)}
        key = (*rest.values(),)
        merged[key] = rest
        values.setdefault(key, {}).setdefault(row[value], []).append(row[item])
    return [row | {value: "; ".join(f"{what}: {' '.join(items)}" for what, items in values[key].items())}
            for key, row in merged.items()]


def section(name: str, on: str) -> str:
    """A heading, what it was measured on, and the table."""
    with (BUILD / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        rows: Rows = list(csv.DictReader(file))
    if name.startswith("kunit-") and "mutants" not in name:
        rows = fold([{"suite": row["case"].split(".")[0], "cases": row["case"].replace(" ", "-"),
                       "result": row["result"]} for row in rows], "cases", "result")
        for row in rows:
            row["result"] = "; ".join(f"{len(cases.split())} {what}" for what, cases in
                                      (part.split(": ") for part in row["result"].split("; ")))
    elif name in FOLDED:
        rows = fold(rows, *FOLDED[name])
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(list(row.values()) for row in rows)] if rows else []
    table = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
    return f"## {COMMANDS[name]}\n\n{on}\n\n{table}\n"


def main() -> int:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    held = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else ""
    sections = {text.split("\n", 1)[0].removeprefix("## "): text.rstrip("\n") + "\n"
                for text in re.split(r"^(?=## )", held, flags=re.M)[1:]}
    for name, command in COMMANDS.items():
        table, on = BUILD / f"{name}.csv", BUILD / f"{name}.on"
        if not on.exists():
            continue
        if not table.exists() or on.stat().st_mtime < table.stat().st_mtime:
            print(f"no new section for {command}: its last run wrote no complete table; run it again")
            continue
        text = on.read_text(encoding="utf-8").strip()
        if re.search(r"-dirty\b", text):
            print(f"no new section for {command}: its last run had uncommitted changes; commit them, and run it again")
            continue
        sections[command] = section(name, text)
        print(f"{table.relative_to(TOP)} is in {RESULTS.name}")
        if name == "bench" and (figures := BUILD / "figures.csv").exists():
            shutil.copy(figures, TOP / "harness/series/figures.csv")
    for on in sorted(BUILD.glob("*.on")):
        if on.stem not in COMMANDS:
            print(f"no section for {on.stem}: it is a part or for another kernel, or COMMANDS of tables.py lacks it")
    quick, deep = (re.findall(r", (commit \S+), ", sections.get(name, ""))
                   for name in ("make prove", "make prove-deep"))
    if quick == deep:
        sections.pop("make prove", None)
    RESULTS.write_text("\n".join([HEAD, *(sections[command] for command in COMMANDS.values() if command in sections)]),
                       encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
