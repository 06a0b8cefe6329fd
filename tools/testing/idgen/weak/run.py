#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Check lib/idgen_alloc.c under weak memory with GenMC, in the programs of the file "programs".

GENMC in the environment is the path of GenMC. v0.9 has the kernel's memory model (LKMM) and IMM, which is between that
of C and those of hardware. Newer versions have IMM only. The CSV has a verdict for each invariant of each program:
"holds" in all executions, "violated", "unknown" (another one was violated first), "blocked" (no execution ends) or
"timeout". SRC and HEADER in the environment replace lib/idgen_alloc.c and its header. Exits with 1 unless all
invariants hold.
"""

import argparse
import csv
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[3]
OPTIONS = ("IDGEN_ALLOC_KUNIT_TEST", "IDGEN_ALLOC_NEW_ID")
HOW = """error: no GenMC: give the program as GENMC=/path/genmc
Build it from its public source (project MPI-SWS/genmc on GitHub, tag v0.9 for the kernel's memory model) with LLVM 14
or 15 (Debian 12: llvm-14-dev libclang-14-dev clang-14 libffi-dev libhwloc-dev autoconf automake; autoreconf --install;
./configure --with-llvm=/usr/lib/llvm-14 --with-clang=/usr/lib/llvm-14/bin/clang; make), in some minutes."""
INVARIANTS = sorted(set(re.findall(r"^\t+must\([^;]*, (\w+)\);", (HERE / "weak.c").read_text(), re.MULTILINE)))


def read_programs() -> dict[str, tuple[dict[str, str], list[str]]]:
    """The settings and scripts by name, in the order of the file."""
    programs: dict[str, tuple[dict[str, str], list[str]]] = {}
    defaults: dict[str, str] = {}
    for line in (HERE / "programs").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        head, _, scripts = line.replace("\t", " ").partition(" : ")
        name, *words = head.split()
        settings = dict(word.split("=") for word in words)
        if name == "default":
            defaults = settings
        elif set(settings) - set(defaults):
            raise SystemExit(f"error: programs: {name}: no such setting")
        else:
            programs[name] = (defaults | settings, scripts.split("|"))
    return programs


def make_include(source: Path, header: Path, out: Path) -> None:
    """Make a header that includes shim.h for each header that the two files include."""
    shutil.rmtree(out, ignore_errors=True)
    for file in (source, header):
        for name in re.findall(r"^#include <(.*)>", file.read_text(), re.MULTILINE):
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (out / name).write_text('#include "shim.h"\n')
    shutil.copy(header, out / "linux/idgen_alloc.h")


def code(script: str, thread: int) -> str:
    """A script in C."""
    calls = [step.split() for step in script.split(",") if step.strip()]
    return " ".join(f"{what}({', '.join([str(thread), *args])});" for what, *args in calls)


def definitions(settings: dict[str, str], scripts: list[str], source: Path, model: str) -> str:
    """The macros for weak.c."""
    macros = settings | {f"CONFIG_{name}": "0" for name in OPTIONS} | {
        "CONFIG_64BIT": "1", "CONFIG_IDGEN_ALLOC_32": settings["VALUE32"],
        "CONFIG_DEBUG_IDGEN_ALLOC": settings["DEBUG"],
        "LKMM": str(int(model == "lkmm")), "THREADS": str(len(scripts)), "SRC": f'"{source}"'}
    macros |= {f"SCRIPT{thread}": code(script, thread) for thread, script in enumerate([*scripts, "", ""][:3])}
    return "".join(f"#define {name} {value}\n" for name, value in macros.items())


def main() -> int:
    """Check each program in each memory model, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=HERE.parent / "build/weak", help="where logs go")
    parser.add_argument("--csv", type=Path, default=HERE.parent / "build/weak.csv")
    parser.add_argument("--limit", type=int, default=900, help="seconds for each run of GenMC; a timeout is a failure")
    parser.add_argument("names", nargs="*", help="only these programs")
    args = parser.parse_args()

    genmc = shutil.which(os.environ.get("GENMC") or "genmc")
    if not genmc:
        raise SystemExit(HOW)
    told = subprocess.run([genmc, "--help"], capture_output=True, text=True, check=False).stdout
    models = [model for model in ("lkmm", "imm") if f"--{model}" in told]
    programs = read_programs()
    if not models:
        raise SystemExit(f"error: GENMC={genmc}: it has neither --lkmm nor --imm: give v0.9")
    if unknown := set(args.names) - set(programs):
        raise SystemExit(f"error: no such program in {HERE}/programs: {', '.join(unknown)}")
    source = Path(os.environ.get("SRC", TOP / "lib/idgen_alloc.c")).resolve()
    header = Path(os.environ.get("HEADER", TOP / "include/linux/idgen_alloc.h")).resolve()
    out = args.out.resolve()
    make_include(source, header, out / "include")

    rows: list[tuple[str, str, str, str, str]] = []
    failed = number = 0
    names = args.names or [*programs]
    print(f"KTAP version 1\n1..{len(names) * len(models)}\n# program:model # verdict, executions, seconds", flush=True)
    for name in names:
        for model in models:
            (out / "program.h").write_text(definitions(*programs[name], source, model))
            start = time.monotonic()
            try:
                done = subprocess.run([genmc, f"--{model}", "--", "-O0", "-w", f"-I{HERE}", f"-I{out}/include",
                                       f"-I{TOP}/lib", "-include", f"{out}/program.h", str(HERE / "weak.c")],
                                      timeout=args.limit, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, text=True, check=False)
                log = done.stdout
            except subprocess.TimeoutExpired:
                log = "timeout"
            (out / f"{name}-{model}.log").write_text(log)
            executions = re.search(r"complete executions explored: (\d+)", log)
            bad = re.search(r"^Assertion violation: (.*)", log, re.MULTILINE) or \
                re.search(r"^Error detected: (.*)", log, re.MULTILINE)
            ended = "No errors were detected" in log and executions is not None
            if not ended and not bad and log != "timeout":
                raise SystemExit(f"error: GenMC failed on {name}, see {out}/{name}-{model}.log:\n{log[-2000:]}")
            seconds = f"{time.monotonic() - start:.0f}"
            count = executions[1] if executions else "-"
            other = "unknown" if bad else "timeout" if not ended else "blocked" if count == "0" else "holds"
            failed += other != "holds"
            rows += [(name, model, invariant, "violated" if bad and bad[1] == invariant else other, count)
                     for invariant in INVARIANTS]
            number += 1
            print(f"{'ok' if other == 'holds' else 'not ok'} {number} {name}:{model} # "
                  f"{f'violated: {bad[1]}' if bad else other}, {count}, {seconds}", flush=True)

    args.csv.parent.mkdir(parents=True, exist_ok=True)
    with args.csv.open("w", newline="") as table:
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(("program", "model", "invariant", "verdict", "executions"))
        writer.writerows(rows)
    print(f"# logs in {out}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
