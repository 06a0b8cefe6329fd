#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Check lib/idgen_alloc.c with CBMC, in the configurations of the file "configs".

Each invariant of each configuration gets a verdict: "holds" within the bounds that are stated, "violated", "timeout",
"unknown" (the query ended with a violation of another), or "not asked" (without CnP, pins or unmap). They go to a CSV;
a violation's trace goes, in words, to a file of its own. Prints KTAP: a test fails if a verdict is not the one that
"configs" expects. SRC and HEADER in the environment take the place of lib/idgen_alloc.c and its header.
"""

import argparse
import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[3]
INVARIANTS = re.findall(r"\w+", re.sub(r".*enum invariant \{(.*?)\bINVARIANTS.*", r"\1", (HERE / "model.h").read_text(),
                                       flags=re.DOTALL))
SAID = re.findall(r"\bSAID_(\w+)\b", (HERE / "model.h").read_text().split("SAID_NOTHING,", 1)[1].split("}", 1)[0])

# The options that are bounds. Others are printed by name if they are not 0.
BOUNDS = ("CPUS", "CTXS", "IDS", "BITS", "SLICES", "START_GEN", "BASE", "VALUE32")
LEVELS = ("quick", "default", "deep")


@dataclass
class Setup:
    """Settings that all queries share."""
    cbmc: str
    solver: str
    source: Path
    out: Path
    limit: int
    loops: list[str]


@dataclass
class Config:
    """A line of the file "configs", with the defaults."""
    name: str
    level: str
    violated: list[str]
    harness: str
    settings: dict[str, str]

    def options(self) -> str:
        """The assumptions about hardware and kernel."""
        told = [key if value == "1" else f"{key}={value.removeprefix('OUT_').lower()}"
                for key, value in self.settings.items()
                if key not in BOUNDS and (key == "DIRECT" or value not in ("0", "OUT_NONE"))]
        return " ".join([f"{self.name}:", *told])

    def unasked(self) -> list[str]:
        """The invariants that do not apply with these options."""
        needs = {"UniqueAllCPUs": "CNP", "PinStays": "PINS", "EmptyAfterUnmap": "UNMAP"}
        return [name for name, option in needs.items() if self.settings[option] == "0"]

    def bounds(self) -> str:
        """The bounds of the verdict."""
        s = self.settings
        size = f"{s['CPUS']} CPUs, {s['CTXS']} contexts, {s['IDS']} IDs"
        if self.harness == "induction":
            return f"{size}, any number of steps and generations"
        return f"{size}, {s['SLICES']} slices from just before a rollover"


def read_configs() -> list[Config]:
    """The configurations, in the order of the file."""
    defaults: dict[str, str] = {}
    configs: list[Config] = []
    text = (HERE / "configs").read_text().replace("\\\n", " ")
    for line in text.splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] == "default":
            defaults = dict(word.split("=", 1) for word in words[1:])
            continue
        name, level, expected, harness, *settings = words
        own = dict(word.split("=", 1) for word in settings)
        violated = [] if expected == "holds" else expected.split(",")
        if set(violated) - set(INVARIANTS) or set(own) - set(defaults) or level not in LEVELS:
            raise SystemExit(f"error: configs: {name}: no such level, invariant or option")
        configs.append(Config(name, level, violated, harness, defaults | own))
    return configs


def make_headers(source: Path, header: Path, out: Path) -> None:
    """Make a header that includes shim.h for each header that the two files include."""
    shutil.rmtree(out, ignore_errors=True)
    for file in (source, header):
        for name in re.findall(r"^#include <(.*)>", file.read_text(), re.MULTILINE):
            stub = out / name
            stub.parent.mkdir(parents=True, exist_ok=True)
            stub.write_text('#include "shim.h"\n')
    shutil.copy(header, out / "linux/idgen_alloc.h")


def loops_in(source: Path) -> list[str]:
    """The loops of the C file, by CBMC's names. All are over slots; a longer one fails an unwinding assertion."""
    loops: list[str] = []
    function, nr = "", 0
    for line in source.read_text().splitlines():
        if name := re.match(r"[a-z].*?(\w+)\(", line):
            function, nr = name[1], 0
        elif re.match(r"\t+(for|while|do|for_each_\w+)\b", line):
            loops.append(f"{function}.{nr}")
            nr += 1
    return loops


def context(number: int) -> str:
    """The letter of a context, or nothing for a number that is no context."""
    return "ABCDEFGH"[number:number + 1]


def words(what: str, cpu: int, x: int, y: int) -> str:
    """A step of the harness in words. See say() in model.h."""
    value = "taken" if not y else f"{y}:{x}" if x else f"{y}:- (scheduled out)"
    return {
        "START": f"at first {context(x)} has {f'ID {y}' if y else 'no ID'}",
        "SWITCH": f"CPU{cpu} starts a switch to {context(x)}",
        "OUT": f"CPU{cpu} starts a sched out",
        "PIN": f"CPU{cpu} starts to pin {context(x)}",
        "UNPIN": f"CPU{cpu} starts to unpin {context(x)}",
        "EXIT": f"{context(x)} ends, and another starts in its place",
        "WRITE": f"CPU{cpu} writes its register: it runs {context(x)} with ID {y}",
        "WAITS": f"CPU{cpu} takes the slow path",
        "LOCK": f"CPU{cpu} takes the lock",
        "UNLOCK": f"CPU{cpu} drops the lock",
        "TAKE": f"CPU{cpu} rolls over: it takes a slot, which was {value}",
        "FLUSH": f"CPU{cpu} flushes TLB {x}",
        "VALUE": f"CPU{cpu} gives the context the value {value}",
        "SET": f"CPU{cpu} sets its slot to {value}",
        "CLEAR": f"CPU{cpu} clears its register",
        "UNMAP": f"a page of {context(x)} is unmapped: the entry of its table is cleared",
        "UNMAP_ID": f"the ID to invalidate is read: {x}",
        "TLBI": f"TLBI by that ID in TLB {x}",
        "WALK": f"CPU{cpu} walks: there is an entry of {context(x)} under ID {y}",
        "BAD": f"{INVARIANTS[x] if x < len(INVARIANTS) else x} is violated",
        "FAST": f"CPU{cpu} sets its slot to {value} (fast path)",
        "MARK": f"CPU{cpu} sets its slot to {value} (sched out)",
    }[what]


def story(trace: list[dict[str, Any]]) -> list[str]:
    """The trace of a violation in words, a line for each step."""
    lines: list[str] = []
    for step in trace:
        if step.get("stepType") == "assignment" and step.get("lhs") == "said" and not step.get("hidden"):
            said = int(step["value"]["binary"], 2)
            kind, cpu, x, y = said & 255, said >> 8 & 255, said >> 16 & 255, said >> 24
            if 0 < kind <= len(SAID):
                lines.append(words(SAID[kind - 1], cpu, x, y))
    return lines


def misfit(trace: list[dict[str, Any]]) -> list[str]:
    """The line of the induction's invariant that does not hold. The state before the step satisfies all of them."""
    for step in trace:
        if step.get("lhs") == "ok" and step["value"].get("data") == "FALSE":
            where = step["sourceLocation"]
            text = Path(where["file"]).read_text().splitlines()[int(where["line"]) - 1].strip()
            if text.startswith("ok &="):
                return [f"{Path(where['file']).name}:{where['line']}: {text}"]
    return []


@dataclass
class Answer:
    """The verdict of CBMC on a configuration."""
    verdicts: dict[str, str]
    lines: list[str]
    seconds: float
    trouble: str


def ask(config: Config, step: str, who: int, setup: Setup) -> Answer:
    """Run CBMC on a configuration, or on one step of one CPU for the induction."""
    settings = config.settings | ({"STEP": step, "WHO": str(who)} if step else {})
    command = [setup.cbmc, str(HERE / f"{config.harness}.c"), f"-I{HERE}", f"-I{setup.out}/include", f"-I{TOP}/lib",
               "-DCONFIG_64BIT", "-DCONFIG_IDGEN_ALLOC_KUNIT_TEST=0", "-DCONFIG_DEBUG_IDGEN_ALLOC=0",
               f"-DCONFIG_IDGEN_ALLOC_32={settings['VALUE32']}", f"-DCONFIG_IDGEN_ALLOC_NEW_ID={settings['NEW_ID']}",
               f'-DSRC="{setup.source}"', *(f"-D{key}={value}" for key, value in settings.items()),
               "--no-standard-checks", "--unwinding-assertions", "--unwind", str(2 ** int(settings["BITS"]) + 1),
               # CBMC does not know that the addresses in the conditions are constant.
               "--unwindset", ",".join(f"{loop}:{int(settings['CPUS']) + 1}" for loop in setup.loops),
               "--drop-unused-functions", "--stop-on-fail", "--json-ui", "--trace"]
    # CaDiCaL takes a third of the time of CBMC's own solver, but not for small formulas, as they are written to a file.
    if config.level != "quick":
        command += ["--external-sat-solver", setup.solver]
    log = setup.out / f"{config.name}{step}{who or ''}.json"
    # CPU time, which does not depend on other load.
    limit = ["prlimit", f"--cpu={setup.limit}:{setup.limit + 10}"]
    with log.open("w") as out, subprocess.Popen([*limit, *command], stdout=out, stderr=subprocess.STDOUT) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = usage.ru_utime + usage.ru_stime
    # The limit can end the solver, which is a process of its own.
    if process.returncode == -signal.SIGXCPU or seconds >= setup.limit:
        return Answer(dict.fromkeys(INVARIANTS, "timeout"), [], seconds, f"no answer in {setup.limit} s")
    verdicts = dict.fromkeys(INVARIANTS, "unknown")
    try:
        messages = json.loads(log.read_text())
    except json.JSONDecodeError:
        messages = []
    if {"cProverStatus": "success"} in messages:
        return Answer(dict.fromkeys(INVARIANTS, "holds"), [], seconds, "")
    failed = [message for message in messages if message.get("status") == "failed"]
    if not failed:
        errors = [f"{Path(where['file']).name}:{where['line']}: {message['messageText']}" for message in messages
                  if message.get("messageType") == "ERROR" and (where := message.get("sourceLocation"))]
        raise SystemExit("\n".join([*errors, f"error: CBMC failed on {config.name}, see {log}"]))
    what = failed[0]["description"]
    lines = [f"{what} ({step or config.harness})", *story(failed[0]["trace"])]
    if what not in INVARIANTS:
        return Answer(verdicts, [*lines, *misfit(failed[0]["trace"])], seconds, what)
    verdicts[what] = "violated"
    return Answer(verdicts, lines, seconds, "")


def ask_all(config: Config, setup: Setup) -> Answer:
    """The verdict of CBMC on a configuration. The steps of an induction are separate queries."""
    if config.harness != "induction":
        return ask(config, "", 0, setup)
    seconds = 0.0
    steps = [(step, who) for step in ("SLOW", "REST", "WITHIN") for who in range(int(config.settings["CPUS"]))]
    pairs = [("PAIRS", 0)] if int(config.settings["CPUS"]) > 2 else []
    for step, who in (("INIT", 0), ("REACH", 0), *pairs, *steps):
        answer = ask(config, step, who, setup)
        seconds += answer.seconds
        if step == "REACH" and answer.trouble in ("", "reach") and "violated" not in answer.verdicts.values():
            answer.trouble = "" if answer.trouble else "assumes too much"
        if answer.trouble or "violated" in answer.verdicts.values():
            break
    return Answer(answer.verdicts, answer.lines, seconds, answer.trouble)


def judge(config: Config, setup: Setup) -> Answer:
    """The verdict on a configuration, including the invariants that do not apply."""
    answer = ask_all(config, setup)
    answer.verdicts |= dict.fromkeys(config.unasked(), "not asked")
    return answer


def as_expected(config: Config, answer: Answer) -> bool:
    """Whether the verdicts are as expected."""
    if answer.trouble:
        return False
    found = [name for name, verdict in answer.verdicts.items() if verdict == "violated"]
    if config.violated:
        return bool(found) and set(found) <= set(config.violated)
    return all(verdict == "holds" for verdict in answer.verdicts.values() if verdict != "not asked")


def main() -> int:
    """Check all configurations of a set, and write the table."""
    # Ctrl-C does not wait for the configurations that are left.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--quick", action="store_true", help="those that find most mutants, soon")
    which.add_argument("--deep", action="store_true", help="all")
    parser.add_argument("--out", type=Path, default=HERE.parent / "build/prove", help="where traces and logs go")
    parser.add_argument("--csv", type=Path, default=HERE.parent / "build/prove.csv")
    parser.add_argument("--limit", type=int, default=1800, help="CPU seconds for each query; a timeout is a failure")
    parser.add_argument("--first", action="store_true", help="end with the first that is not as expected")
    parser.add_argument("--jobs", type=int, default=1, help="queries at a time")
    parser.add_argument("names", nargs="*", help="only these, of any set")
    args = parser.parse_args()

    level = "quick" if args.quick else "deep" if args.deep else "default"
    configs = [config for config in read_configs()
               if (config.name in args.names if args.names else LEVELS.index(config.level) <= LEVELS.index(level))]
    if set(args.names) - {config.name for config in configs} or not configs:
        raise SystemExit(f"error: no such configuration; see {HERE}/configs")
    cbmc = shutil.which(os.environ.get("CBMC", "cbmc"))
    if not cbmc:
        raise SystemExit("error: no CBMC 6 (Debian 13 has it): have cbmc in PATH, or set CBMC=")
    solver = shutil.which("cadical")
    if not solver and any(config.level != "quick" for config in configs):
        raise SystemExit("error: no CaDiCaL: install the package cadical, or have cadical in PATH")
    source = Path(os.environ.get("SRC", TOP / "lib/idgen_alloc.c")).resolve()
    header = Path(os.environ.get("HEADER", TOP / "include/linux/idgen_alloc.h")).resolve()
    make_headers(source, header, args.out / "include")
    if "(*new_id)(" not in header.read_text():
        for config in configs:
            config.settings["NEW_ID"] = "0"
    setup = Setup(cbmc, solver or "", source, args.out.resolve(), args.limit, loops_in(source))

    rows: list[tuple[str, str, str, str, str]] = []
    failed = 0
    print(f"KTAP version 1\n1..{len(configs)}\n# configuration # harness expected verdict seconds", flush=True)
    with ThreadPoolExecutor(args.jobs) as pool:
        answers = pool.map(lambda config: judge(config, setup), configs)
        for number, (config, answer) in enumerate(zip(configs, answers), 1):
            good = as_expected(config, answer)
            failed += not good
            rows += [(config.options(), name, verdict, config.bounds(), f"{answer.seconds:.0f}")
                     for name, verdict in answer.verdicts.items()]
            found = [name for name, verdict in answer.verdicts.items() if verdict == "violated"]
            verdict = answer.trouble or ("violated: " + ",".join(found) if found else "holds")
            print(f"{'ok' if good else 'not ok'} {number} {config.name} # {config.harness} "
                  f"{','.join(config.violated) or 'holds'} {verdict} {answer.seconds:.0f}", flush=True)
            if answer.lines:
                (args.out / f"{config.name}.txt").write_text("\n".join(answer.lines) + "\n")
                if not good:
                    print(*(f"#   {line}" for line in answer.lines), sep="\n")
            if args.first and not good:
                pool.shutdown(cancel_futures=True)
                break

    args.csv.parent.mkdir(parents=True, exist_ok=True)
    new = args.csv.with_suffix(".new")
    with new.open("w", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(("options", "invariant", "verdict", "bounds", "seconds"))
        writer.writerows(rows)
    os.replace(new, args.csv)
    print(f"# {args.csv}, traces in {args.out}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
