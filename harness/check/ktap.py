#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Write tables of results: NAME.csv, and NAME.ktap with the same tests for kunit.py parse, KernelCI and LAVA.

  ktap.py report NAME LOGS [TEST RESULT SECONDS REASON]...  write a table; LOGS/TEST.ktap or .log has a test's own cases
  COMMAND | ktap.py convert NAME          take the KTAP that COMMAND prints. If COMMAND wrote no table, write one. Its
                                          columns are named by a comment in the KTAP: # TEST # COLUMN, COLUMN
  ktap.py merge TABLE.csv...              merge the tables of all shards: build/e2e-1-of-2.csv and so on. TABLE.ktap and
                                          TABLE.on are beside each. Shards of two commits or kernels do not merge
  ktap.py merge --into NAME TABLE.csv...  merge the tables of some shards, without TABLE.on

The first column of a table names the test, with the column "size" if there is one. RESULT is "ok", "not ok" or "skip".
With SHARD=I/N in the environment, the files are NAME-I-of-N, and VARIANT= comes before that. The last line of the
output is "N passed, N failed, N skipped", as counted by kunit.py parse. A script that runs others sets KTAP= in the
environment to the path where NAME.ktap is copied.
"""

import csv
import os
import re
import sys
import unittest
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

Item = TypeVar("Item")
BUILD = Path(__file__).resolve().parents[2] / "build"
SHARD, SHARDS = map(int, (os.environ.get("SHARD") or "1/1").split("/"))
# The cases of a test, its verdict, and its name with a comment.
Block = tuple[str, str, str]


def part(items: Sequence[Item]) -> Sequence[Item]:
    """The items of a list that belong to SHARD."""
    return items[len(items) * (SHARD - 1) // SHARDS:len(items) * SHARD // SHARDS]


def blocks(ktap: str) -> list[Block]:
    """The tests of KTAP documents. Other lines are ignored."""
    return re.findall(r"((?:^ +(?:KTAP|1\.\.|ok|not ok|#) ?.*\n)*)^(ok|not ok) \d+ (.*)\n", ktap, re.M)


def document(tests: list[Block]) -> str:
    """A KTAP document."""
    return "".join([f"KTAP version 1\n1..{len(tests)}\n",
                    *(f"{cases}{verdict} {number} {name}\n" for number, (cases, verdict, name) in enumerate(tests, 1))])


def block(name: str, result: str, reason: str, cases: list[Block]) -> Block:
    """A test. If it has cases, its own verdict becomes one more case."""
    name, reason = name.replace("#", ""), " ".join(reason.split())
    verdict = result.replace("skip", "ok")
    why = f"{name} # {'SKIP ' * (result == 'skip')}{reason}".removesuffix(" # ")
    inner = document([*cases, ("", verdict, "exit status")]).replace("\n", f"\n# Subtest: {name}\n", 1) if cases else ""
    return re.sub(r"^(?=.)", "    ", inner, flags=re.M), verdict, why


def write(path: Path, tests: list[Block]) -> int:
    """Write a KTAP document, and print the totals. Returns the exit status. Only in a shard may all be skipped."""
    text = document(tests)
    counts, depth = Counter[str](), 0
    for indent, verdict, skip in re.findall(r"^( *)(ok|not ok) \d+ .*?( # SKIP.*)?$", text, re.M):
        # A line after lines that are indented more is their summary, and is not counted.
        counts["skip" if skip else verdict] += len(indent) >= depth
        depth = len(indent)
    closing = f"{counts['ok']} passed, {counts['not ok']} failed, {counts['skip']} skipped"
    for place in (f"{path}.ktap", os.environ.get("KTAP")):
        if place:
            Path(place).write_text(f"{text}# {closing}\n", encoding="utf-8")
    print(closing)
    if idle := not counts["ok"] + counts["not ok"] and not re.search(r"-\d+-of-\d+$", path.name):
        print(f"error: {path.name}: nothing ran", file=sys.stderr)
    return idle or bool(counts["not ok"])


def write_csv(path: Path, rows: Iterable[Sequence[object]]) -> None:
    """Write a table, completely or not at all."""
    new = Path(f"{path}.new")
    with new.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out, lineterminator="\n").writerows(rows)
    new.rename(f"{path}.csv")


def own_cases(log: Path) -> list[Block]:
    """The cases of a test, from its KTAP file or from its log."""
    for place in (Path(f"{log}.ktap"), Path(f"{log}.log")):
        if place.exists() and "KTAP version 1\n" in (text := place.read_text(encoding="utf-8", errors="replace")):
            return blocks(text)
    return []


def named(path: Path) -> Path:
    """The path of a table with VARIANT and SHARD."""
    return path.with_name(path.name + os.environ.get("VARIANT", "") + (f"-{SHARD}-of-{SHARDS}" if SHARDS > 1 else ""))


def report(path: Path, columns: Sequence[str], rows: Sequence[Sequence[object]], logs: Path | None = None) -> int:
    """Write a table with a column "result" and an optional column "reason"."""
    path = named(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_csv(path, [columns, *rows])
    cells = [dict(zip(columns, map(str, row), strict=True)) for row in rows]
    inner = [own_cases(logs / str(row[0])) if logs and cell["result"] != "skip" else []
             for row, cell in zip(rows, cells)]
    # A log that was cut still says at its end what failed.
    for row, cases in zip(rows, inner):
        for _, verdict, name in cases:
            if verdict == "not ok":
                print(f"not ok {row[0]}: {name}")
    return write(path, [block(f"{row[0]} {cell.get('size', '')}".strip(), cell["result"], cell.get("reason", ""), cases)
                        for row, cell, cases in zip(rows, cells, inner)])


def run_cases(cases: type[unittest.TestCase], path: Path, arguments: Sequence[str]) -> int:
    """Run the test cases of a class in the main module, and write the table. It takes no arguments."""
    if arguments:
        raise SystemExit(f"error: unknown arguments: {' '.join(arguments)}")
    result = unittest.main(argv=sys.argv[:1], exit=False, verbosity=2).result
    bad = {test.id().split()[0].split(".")[-1] for test, _ in result.failures + result.errors}
    names = unittest.defaultTestLoader.getTestCaseNames(cases)
    rows = [(name, "not ok" if name in bad else "ok") for name in names]
    return report(path, ("test", "result"), rows) or not result.wasSuccessful()


def convert(path: Path) -> int:
    """Write the KTAP of a command beside its table, and print it as it comes."""
    text = ""
    for line in sys.stdin:
        print(line, end="", flush=True)
        text += line
    tests, plan = blocks(text), re.search(r"^1\.\.(\d+)$", text, re.M)
    if not plan or len(tests) != int(plan[1]):
        raise SystemExit(f"error: {path.name}: not all tests ran, so there is no table")
    path = named(path)
    if not Path(f"{path}.csv").exists() and (head := re.search("^# (.*) # (.*)$", text, re.M)):
        rows = [(name, "skip" if said.startswith("SKIP ") else verdict, *said.split(", "))
                for _, verdict, why in tests for name, said in [why.split(" # ")]]
        write_csv(path, [(head[1], "result", *head[2].split(", ")), *rows])
    return write(path, tests)


def measured_on(tables: Iterable[Path]) -> str:
    """The last date of tables, and their commit, kernel and programs, which must agree: see table() in common.sh."""
    lines = [table.with_suffix(".on").read_text(encoding="utf-8").strip() for table in tables]
    if len({line.removesuffix("; FAILED").partition(", ")[2] for line in lines}) != 1:
        raise SystemExit("\n".join(["error: the commit, the kernel or a program of the shards differs:", *lines]))
    return max(lines).removesuffix("; FAILED") + "; FAILED" * any(line.endswith("; FAILED") for line in lines)


def merge(tables: list[Path], into: Path | None) -> int:
    """Merge tables into one. A test that is in several, such as the baseline of mutation tests, is in it once."""
    shards, of = dict[int, Path](), set[tuple[str, int]]()
    for table in tables:
        match = re.fullmatch(r"(.*)-(\d+)-of-(\d+)\.csv", table.name)
        if not match:
            raise SystemExit(f"error: {table}: not the table of a shard, as NAME-1-of-2.csv is")
        if int(match[2]) in shards:
            raise SystemExit(f"error: {table}: this shard is given twice")
        shards[int(match[2])] = table
        of.add((match[1], int(match[3])))
    if len(of) != 1:
        raise SystemExit("error: give the tables of the shards of one command")
    (name, number), = of
    if not into and (missing := {*range(1, number + 1)} - {*shards}):
        raise SystemExit(f"error: no table of shard {', '.join(map(str, sorted(missing)))} of {number}")
    on = "" if into else measured_on(shards.values())
    rows: dict[str, list[str]] = {}
    tests: dict[str, Block] = {}
    for _, table in sorted(shards.items()):
        ktap = table.with_suffix(".ktap").read_text(encoding="utf-8")
        try:
            with table.open(newline="", encoding="utf-8") as lines:
                columns, *found = csv.reader(lines)
            pairs = [*zip(found, blocks(ktap), strict=True)]
        except ValueError:
            raise SystemExit(f"error: {table}: it is empty, or its .ktap is from another run; "
                             "run this shard again") from None
        for row, test in pairs:
            if (dict(zip(columns, row)).get("result") == "not ok") != (test[1] == "not ok"):
                raise SystemExit(f"error: {table}: {row[0]} has another result in its .ktap; run this shard again")
            if row[0] not in rows or test[1] == "not ok":
                rows[row[0]], tests[row[0]] = row, test
    into = into or BUILD / name
    write_csv(into, [columns, *rows.values()])
    if on:
        Path(f"{into}.on").write_text(f"{on}\n", encoding="utf-8")
    return write(into, [*tests.values()])


def main() -> int:
    """Run the command."""
    match sys.argv[1:]:
        case ["report", name, logs, *cells]:
            rows = [cells[at:at + 4] for at in range(0, len(cells), 4)]
            return report(BUILD / name, ("check", "result", "seconds", "reason"), rows, Path(logs))
        case ["convert", name]:
            return convert(BUILD / name)
        case ["merge", *tables]:
            into = BUILD / tables[1] if tables[:1] == ["--into"] and tables[1:] else None
            try:
                return merge([*map(Path, tables[2 * bool(into):])], into)
            except FileNotFoundError as error:
                raise SystemExit(f"error: {error.filename}: no such file") from None
    raise SystemExit(f"error: unknown arguments\n\n{__doc__}")


if __name__ == "__main__":
    sys.exit(main())
