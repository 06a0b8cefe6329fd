#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""bench.py TABLE OUT ROWS...: compare the measured rows with the limits of bench.toml.

ROWS are CSV files of what,size,ours,theirs. Prints the table, writes it to OUT.csv and OUT.ktap, and plots rows whose
size is a number of CPUs to OUT-*.svg. A row fails if its ratio is over the limit, if it was not measured, or if it is
not in bench.toml. --quick leaves out rows with quick = false.
"""

import csv
import math
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import ktap

Key = tuple[str, str]
COLOURS = ("#0072b2", "#e69f00", "#000000")


def wanted(table: dict[str, Any], quick: bool) -> dict[Key, float | None]:
    """The rows that must be measured, with their limits."""
    rows: dict[Key, float | None] = {}
    for row in table["row"]:
        if quick and not row.get("quick", True):
            continue
        sizes = row.get("size", [""])
        limit = row.get("limit")
        limits = limit if isinstance(limit, list) else [limit] * len(sizes)
        for kind in row.get("kinds", [""]):
            what = f"{kind}: {row['what']}" if kind else row["what"]
            rows |= dict(zip(((what, size) for size in sizes), limits, strict=True))
            if "flat" in row:
                rows |= {(f"{what}, against {sizes[0]}", size): row["flat"] for size in sizes[1:]}
    return rows


def measured(files: list[str], rows: dict[Key, float | None]) -> dict[Key, tuple[float, float]]:
    """The measured rows, and those that compare ours at two sizes."""
    found: dict[Key, tuple[float, float]] = {}
    for name in files:
        with open(name, encoding="utf-8", newline="") as file:
            for what, size, ours, theirs in csv.reader(file):
                found[what, size] = float(ours), float(theirs)
    for what, size in rows:
        if match := re.fullmatch(r"(.*), against (\d+ CPUs)", what):
            if (match[1], size) in found and (match[1], match[2]) in found:
                found[what, size] = found[match[1], size][0], found[match[1], match[2]][0]
    return found


def plot(found: dict[Key, tuple[float, float]], out: Path) -> None:
    """Plot each measurement by CPUs, with two lines for each allocator: ours and the original."""
    curves: dict[str, dict[str, list[tuple[int, float, float]]]] = {}
    for (what, size), values in found.items():
        if (match := re.fullmatch(r"(\d+) CPUs(, \d+ bits)?", size)) and ": " in what and "against" not in what:
            kind, thing = what.split(": ")
            curves.setdefault(thing + (match[2] or ""), {}).setdefault(kind, []).append((int(match[1]), *values))
    for old in out.parent.glob(f"{out.name}-*.svg"):
        old.unlink()
    for thing, kinds in curves.items():
        sizes = sorted({point[0] for points in kinds.values() for point in points})
        if len(sizes) < 3:
            continue
        heights = [height for points in kinds.values() for point in points for height in point[1:]]
        name = re.sub(r"\W+", "-", thing)
        unit = "bytes" if "bytes" in thing else "instructions"
        lines = ["set terminal svg size 800,500 background 'white'", f"set output '{out}-{name}.svg'",
                 f"set title '{thing}'", "set xlabel 'possible CPUs'", f"set ylabel '{unit}'",
                 "set logscale x", "set logscale y" if max(heights) > 10 * min(heights) else "set yrange [0:]",
                 "set key outside right", f"set xtics ({', '.join(map(str, sizes))})", "set format y '%.0s %c'",
                 "set grid", "set autoscale fix", "set offsets graph 0.03, graph 0.03, graph 0.05, graph 0.05"]
        parts = []
        # Each curve is thinner than those before it, so that curves that coincide are visible.
        for number, (kind, points) in enumerate(kinds.items()):
            lines += [f"$data{number} << END", *(f"{cpus} {ours} {theirs}" for cpus, ours, theirs in points), "END"]
            style = f"lc rgb '{COLOURS[number]}' lw {(5, 3, 1)[number]}"
            parts += [f"$data{number} using 1:2 with linespoints pt {5 + 2 * number} ps {(1.0, 0.7, 0.4)[number]} "
                      f"{style} title '{kind}, ours'",
                      f"$data{number} using 1:3 with linespoints pt {4 + 2 * number} ps {(1.3, 0.9, 0.5)[number]} "
                      f"{style} dt 2 title '{kind}, original'"]
        lines.append("plot " + ", ".join(parts))
        subprocess.run(["gnuplot"], input="\n".join(lines), text=True, check=True)


def main() -> int:
    args = [arg for arg in sys.argv[1:] if arg != "--quick"]
    rows = wanted(tomllib.loads(Path(args[0]).read_text(encoding="utf-8")), "--quick" in sys.argv)
    found = measured(args[2:], rows)
    table = []
    for what, size in rows | found:
        ours, theirs = found.get((what, size), (math.nan, math.nan))
        limit = rows.get((what, size))
        # If the original is 0, any other figure is above the limit.
        ratio = ours / theirs if theirs else math.inf if ours else 1.0
        wrong = "not measured" if (what, size) not in found else "not in bench.toml" if (what, size) not in rows else \
            "over the limit" if limit is not None and ratio > limit else ""
        table.append((what, size, f"{ours:.10g}", f"{theirs:.10g}", f"{ratio:.4f}",
                      "" if limit is None else f"{limit:g}", "not ok" if wrong else "ok", wrong))
    columns = ("what", "size", "ours", "theirs", "ratio", "limit", "result", "reason")
    for row in (columns, *table):
        print("{:76} {:18} {:>14} {:>14} {:>8} {:>6} {:6} {}".format(*row))
    plot(found, ktap.named(Path(args[1])))
    return ktap.report(Path(args[1]), columns, table)


if __name__ == "__main__":
    sys.exit(main())
