#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Check that each wrong version of the allocator in mutants.toml is noticed, and write the layers to build/mutants.csv.

The mutants are made in a scratch directory. The layers:

  kunit     the library's suite, built for the host
  explore   two steps of each of two CPUs, one preemption
  torture   threads, without the library's own checks; torture-tsan is the same under ThreadSanitizer
  cbmc      the quick proofs: an invariant is violated or not inductive, or the library warns. A mutant that the model
            does not fit, for example one with more accesses, is not noticed
  weak      a short program under weak memory (needs GENMC)

At least two of these layers must notice a mutant (torture and torture-tsan count as one). If mutants.toml gives a
reason as "alone", exactly one must. The unchanged files run first, and must pass in all of them, weak with each
program that a mutant names.

Two more columns say whether the same fault has its bad outcome in a model. They do not run the mutant, so they do not
count as layers that notice it. make litmus and make tla show the models without the fault.

  litmus    a litmus test (needs a kernel tree: --linux)
  tla       a configuration of idgen.tla (needs TLA2TOOLS)

Only some mutants name a program, a litmus test or a configuration. With --layer, one layer is enough, and mutants that
do not have what it needs are left out.
"""

import argparse
import csv
import os
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ktap

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
IDGEN = TOP / "tools/testing/idgen"
FILES = ("lib/idgen_alloc.c", "include/linux/idgen_alloc.h")
# Limits in seconds, of CPU time and of elapsed time. No layer needs a quarter of this CPU time.
SPINS = 120
WAIT = 1200
Mutant = dict[str, Any]
# The columns that are about a model of the fault.
MODELS = ("litmus", "tla")
# cbmc: the harness does not fit the mutant, which says nothing about the invariants.
MISFIT = re.compile("unwinding assertion|than expected|dropped and taken again|more than two CPUs|assumes too much|"
                    "no answer")
# The output of the commands that failed.
said: list[str] = []


def mutate(texts: list[str], edits: list[list[str]]) -> list[str]:
    """The texts of the files with all edits. The text that an edit replaces occurs exactly once."""
    for old, new in edits:
        if sum(text.count(old) for text in texts) != 1:
            raise SystemExit(f"error: not found exactly once: {old!r}")
        texts = [text.replace(old, new) for text in texts]
    return texts


def run(command: list[str], **options: Any) -> None:
    """Run a command that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode:
        raise SystemExit(f"error: {' '.join(command)} failed:\n{(done.stdout + done.stderr)[-3000:]}")


def fails(command: list[str], tries: int = 1, **options: Any) -> bool:
    """Whether a command fails or loops forever in one of several tries.

    A loop is detected by CPU time, which does not depend on other load. A command that merely takes long has no
    verdict.
    """
    limit = ["prlimit", f"--cpu={SPINS}"]
    try:
        for _ in range(tries):
            done = subprocess.run([*limit, *command], capture_output=True, text=True, timeout=WAIT, check=False,
                                  **options)
            if done.returncode:
                said.append(done.stdout + done.stderr)
                return True
        return False
    except subprocess.TimeoutExpired as late:
        raise SystemExit(f"error: {' '.join(command)}: no verdict in {WAIT} s; is the machine busy?") from late


def host(program: str, tries: int, *arguments: str) -> Callable[[Path, Mutant], bool]:
    """A layer that runs a program of tools/testing/idgen with each of these arguments."""
    def layer(scratch: Path, mutant: Mutant) -> bool:
        run(["make", "-s", "-C", str(IDGEN), f"O={scratch}/out", f"SRC={scratch}/idgen_alloc.c",
             f"HEADER={scratch}/idgen_alloc.h", f"TOP={TOP}", f"DEBUG={mutant.get('debug', False):d}", "CFLAGS=-O2 -w",
             f"{scratch}/out/{program}"])
        return any(fails([f"{scratch}/out/{program}", *line.split()], tries) for line in arguments)
    return layer


def judge(script: str, scratch: Path, *arguments: str) -> tuple[str, Path]:
    """Run a script of tools/testing/idgen on the mutant. Returns its output and its table."""
    table = scratch / "judge.csv"
    table.unlink(missing_ok=True)
    done = subprocess.run([str(IDGEN / script), "--csv", str(table), "--out", f"{scratch}/judge", *arguments],
                          capture_output=True, text=True, check=False,
                          env={**os.environ, "SRC": f"{scratch}/idgen_alloc.c", "HEADER": f"{scratch}/idgen_alloc.h"})
    if not table.is_file():
        raise SystemExit(f"error: {script} failed:\n{(done.stdout + done.stderr)[-3000:]}")
    if done.returncode:
        said.append(done.stdout + done.stderr)
    return done.stdout, table


def cbmc(scratch: Path, mutant: Mutant) -> bool:
    """Whether a quick proof fails, other than by a misfit of the model. Of the unchanged files, any failure counts."""
    output, _ = judge("cbmc/run.py", scratch, "--quick", *(["--first"] if mutant["edits"] else []))
    failed = re.findall(r"^not ok \d+ \S+ # \S+ \S+ (.*?) \d+$", output, re.MULTILINE | re.DOTALL)
    return any(not mutant["edits"] or (re.match("(violated|WARN|panic): ", why) and not MISFIT.search(why))
               for why in failed)


def litmus(tree: Path) -> Callable[[Path, Mutant], bool | None]:
    """Whether a litmus test allows the bad outcome."""
    def layer(_: Path, mutant: Mutant) -> bool | None:
        if "litmus" not in mutant:
            return None
        done = subprocess.run([str(IDGEN / "litmus/run.sh"), mutant["litmus"]], capture_output=True, text=True,
                              check=False, env={**os.environ, "LINUX": str(tree)})
        if not (observed := re.search(r" # \w+, (Never|Sometimes), ", done.stdout)):
            raise SystemExit(f"error: {mutant['litmus']}: no verdict:\n{done.stdout}{done.stderr}")
        return observed[1] == "Sometimes"
    return layer


def weak(scratch: Path, mutant: Mutant) -> bool | None:
    """Whether GenMC finds a violation, or that no execution ends. Any failure counts for the unchanged files."""
    if not mutant.get("weak"):
        return None
    _, table = judge("weak/run.py", scratch, *mutant["weak"].split())
    with table.open(newline="") as rows:
        verdicts = {row["verdict"] for row in csv.DictReader(rows)}
    return bool(verdicts & {"violated", "blocked"} if mutant["edits"] else verdicts - {"holds"})


def tla(scratch: Path, mutant: Mutant) -> bool | None:
    """Whether the model violates the invariant that the configuration states."""
    return None if "tla" not in mutant else not fails([str(IDGEN / "tla/tla.sh"), mutant["tla"]],
                                                      env={**os.environ, "OUT": f"{scratch}/tla"})


def main() -> int:
    """Try all mutants, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--linux", type=Path, metavar="TREE", help="kernel tree, for litmus")
    parser.add_argument("--layer", action="append", help="only this one; may be given more than once")
    parser.add_argument("names", nargs="*", help="only these mutants")
    args = parser.parse_args()

    layers: dict[str, Callable[[Path, Mutant], bool | None]] = {
        "kunit": host("kunit", 1, ""),
        "explore": host("explore", 1, "-l 2 -k 1"),
        "torture": host("torture", 2, "-t 1", "-t 1 -c 5 -k -m both", "-t 5 -b 9 -m broadcast"),
        "torture-tsan": host("torture-tsan", 1, "-t 1", "-t 1 -c 5 -k -m both"),
        "cbmc": cbmc,
    }
    if args.linux:
        layers |= {"litmus": litmus(args.linux.resolve())}
    if os.environ.get("GENMC"):
        layers |= {"weak": weak}
    if os.environ.get("TLA2TOOLS"):
        layers |= {"tla": tla}
    if unknown := set(args.layer or ()) - set(layers):
        parser.error(f"no such layer, or what it needs was not given: {', '.join(unknown)}")
    layers = {name: layer for name, layer in layers.items() if not args.layer or name in args.layer}
    listed = tomllib.loads((HERE / "mutants.toml").read_text())
    if unknown := set(args.names) - set(listed):
        parser.error(f"no such mutant: {', '.join(unknown)}")

    names = ktap.part([name for name in listed if not args.names or name in args.names])
    programs = sorted({listed[name]["weak"] for name in names if "weak" in listed[name]})
    mutants: dict[str, Mutant] = {"unchanged": {"edits": [], "weak": " ".join(programs)}}
    mutants |= {name: listed[name] for name in names}
    originals = [(TOP / name).read_text() for name in FILES]
    changed = {name: mutate(originals, mutant["edits"]) for name, mutant in mutants.items()}
    rows: list[tuple[str, ...]] = []
    tools = {"weak": "GENMC", "tla": "TLA2TOOLS"}
    print("mutants of", *FILES, "by layer",
          *(f"(no {name} without {tool})" for name, tool in tools.items() if name not in layers))
    for name, mutant in mutants.items():
        found: dict[str, bool] = {}
        told = [f"{name:30}"]
        with tempfile.TemporaryDirectory() as directory:
            scratch = Path(directory)
            for file, text in zip(FILES, changed[name]):
                (scratch / Path(file).name).write_text(text)
            for layer, notices in layers.items():
                start = time.monotonic()
                caught = notices(scratch, mutant)
                if caught is not None:
                    found[layer] = caught
                    verdict = ("holds", "bad outcome") if layer in MODELS else ("-", "caught")
                    told.append(f"{layer}:{verdict[caught]} ({time.monotonic() - start:.0f} s)")
        if not found:
            continue
        # Only GenMC can notice these.
        if "weak" in mutant and "alone" in mutant and "weak" not in found and not args.layer:
            rows.append((name, *("" for _ in layers), "skip", "only weak can notice it, which needs GENMC"))
            print(f"{name:30} skipped: no GENMC", flush=True)
            continue
        noticed = {layer.split("-")[0] for layer, caught in found.items() if caught and layer not in MODELS}
        enough = 0 if not {*found} - {*MODELS} else 1 if args.layer or "alone" in mutant else 2
        wrong = "not clean" if name == "unchanged" and noticed else \
            "noticed by too few" if name != "unchanged" and len(noticed) < enough else \
            "not alone" if "alone" in mutant and len(noticed) > 1 else \
            "a model of the fault has no bad outcome" if not all(found.get(model, True) for model in MODELS) else ""
        rows.append((name, *("" if layer not in found else "yes" if found[layer] else "no" for layer in layers),
                     "not ok" if wrong else "ok", wrong))
        print(*told, flush=True)
        if name == "unchanged":
            print(*(text[-3000:] for text in said), sep="\n", end="", flush=True)

    for name, *_, wrong in rows:
        if wrong:
            print(f"error: {name}: {wrong}", file=sys.stderr)
    columns = (f"same fault in {layer}" if layer in MODELS else layer for layer in layers)
    return ktap.report(ktap.BUILD / "mutants", ("mutant", *columns, "result", "reason"), rows)


if __name__ == "__main__":
    sys.exit(main())
