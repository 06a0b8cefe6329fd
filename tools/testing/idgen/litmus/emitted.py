#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Check with herd7 the instructions that compilers emit for sched out and a switch against a rollover, on arm64.

gcc and clang compile emitted.c. Its two functions become a litmus test for Arm's model of mixed-size accesses, which
GenMC does not have. herd7's numbers have 63 bits, and it is quick only if words have few parts. So values have 32 bits
here, 16 of them the ID: one line of the header is changed. The bad outcome: the switch took its fast path, and the
rollover has not reserved the new value.

HERD7 names the simulator, and CLANG the compiler besides aarch64-linux-gnu-gcc. A compiler that is not installed is
skipped. SRC and HEADER name other versions of the files. The code is compiled with C atomics. The kernel's LSE atomics
are inline assembly, so only the store of sched out is as in a kernel.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[3]
COMPILERS = ("aarch64-linux-gnu-gcc", f"{os.environ.get('CLANG', 'clang')} --target=aarch64-linux-gnu")
OPTIONS = ("IDGEN_ALLOC_KUNIT_TEST", "IDGEN_ALLOC_NEW_ID", "DEBUG_IDGEN_ALLOC")
LIMIT = 600


def compile_to(directory: Path, compiler: list[str], source: Path, header: Path) -> str:
    """The assembly of emitted.c."""
    include = directory / "include"
    for file in (source, header):
        for name in re.findall(r"^#include <(.*)>", file.read_text(), re.MULTILINE):
            (include / name).parent.mkdir(parents=True, exist_ok=True)
            (include / name).write_text("")
    text, changes = re.subn(r"(#define IDGEN_ID_BITS\s+)9\n", r"\g<1>16\n", header.read_text())
    takers = re.findall(r"^\w.*?(\w+)\(struct idgen_slot \*\w+\)\n\{(?:(?!^\}).)*fetch_or", source.read_text(),
                        re.MULTILINE | re.DOTALL)
    if changes != 1 or len(takers) != 1:
        raise SystemExit("error: no ID of 9 bits in the header, or no one function that takes a slot")
    (include / "linux/idgen_alloc.h").write_text(text)
    command = [*compiler, "-O2", "-march=armv8.1-a", "-S", "-w", "-o", "-", "-DCONFIG_64BIT",
               "-DCONFIG_IDGEN_ALLOC_32=1", *(f"-DCONFIG_{option}=0" for option in OPTIONS),
               f'-DSRC="{source}"', f"-DTAKE={takers[0]}", f"-I{include}", f"-I{TOP}/lib", str(HERE / "emitted.c")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"error: {compiler[0]} failed:\n{done.stderr}")
    return done.stdout


def thread(assembly: str, nr: int) -> tuple[list[str], dict[int, int]]:
    """A function as herd7 takes it, and registers for numbers that it does not take in an instruction."""
    found = re.search(rf"^P{nr}:.*?\n(.*?)^\s*\.cfi_endproc", assembly, re.MULTILINE | re.DOTALL)
    if not found:
        raise SystemExit(f"error: no P{nr} in the assembly")
    big: dict[int, int] = {}
    lines: list[str] = []
    label = ""

    def number(match: re.Match[str]) -> str:
        value = int(match[1], 0)
        return f"#{value}" if abs(value) < 2**31 else f"W{big.setdefault(value % 2**32, 20 + len(big))}"

    for text in found[1].splitlines():
        line = re.sub(r"//.*", "", text).strip()
        if name := re.fullmatch(r"\.?(\w+):", line):
            label += f"{name[1]}: ".upper()
        elif line and not line.startswith("."):
            op, _, args = line.partition("\t")
            if op == "ret":
                op, args = "b", f"L{nr}END"
            args = re.sub(r"#?(?<!\w)(-?(?:0x[0-9a-f]+|\d+))\b", number, args).replace(".L", "L")
            op = re.sub("^b(eq|ne)$", r"b.\1", op)
            lines.append(label + f"{op} {args}".upper())
            label = ""
    return [*lines, f"{label}L{nr}END: NOP"], big


def litmus(assembly: str, name: str) -> str:
    """The litmus test."""
    threads = [thread(assembly, nr) for nr in (0, 1)]
    registers = "".join(f"{nr}:X{register}={value:#x};\n" for nr, (_, big) in enumerate(threads)
                        for value, register in big.items())
    rows = max(len(lines) for lines, _ in threads)
    columns = [lines + [""] * (rows - len(lines)) for lines, _ in threads]
    code = "".join(f" {left} | {right} ;\n" for left, right in zip(*columns))
    return (f"AArch64 {name}\n{{\nuint32_t slot[2]={{0x10001,0}}; uint32_t ctx=0x10002; uint32_t slow=2;\n"
            f"0:X0=slot; 0:X1=ctx; 0:X2=slow; 1:X0=slot;\n{registers}}}\n P0 | P1 ;\n{code}"
            "exists (slow=0 /\\ ~(slot[1]=0x10002))\n")


def main() -> int:
    """Ask for each compiler that is there."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    herd7 = shutil.which(os.environ.get("HERD7", "herd7"))
    if not herd7:
        raise SystemExit("error: no herd7: install it, or set HERD7=")
    source = Path(os.environ.get("SRC", TOP / "lib/idgen_alloc.c")).resolve()
    header = Path(os.environ.get("HEADER", TOP / "include/linux/idgen_alloc.h")).resolve()
    for file in (source, header):
        if not file.is_file():
            raise SystemExit(f"error: no file {file}: "
                             "set SRC= and HEADER= to versions of lib/idgen_alloc.c and its header")
    asked = failed = 0
    print(f"KTAP version 1\n1..{len(COMPILERS)}\n# test # observed")
    for number, compiler in enumerate(COMPILERS, 1):
        name = f"{number} emitted by {compiler.split()[0]}"
        if not shutil.which(compiler.split()[0]):
            print(f"ok {name} # SKIP it is not installed")
            continue
        with tempfile.TemporaryDirectory() as directory:
            test = Path(directory) / "emitted.litmus"
            test.write_text(litmus(compile_to(Path(directory), compiler.split(), source, header), "emitted"))
            try:
                done = subprocess.run([herd7, "-variant", "mixed", "-machsize", "short", str(test)],
                                      capture_output=True, text=True, timeout=LIMIT, check=False)
            except subprocess.TimeoutExpired as late:
                raise SystemExit(f"error: herd7 has no verdict in {LIMIT} s; is the machine busy?") from late
            verdict = re.search(r"^Observation \w+ (\w+) (.*)", done.stdout, re.MULTILINE)
            if not verdict:
                raise SystemExit(f"error: herd7 has no verdict:\n{test.read_text()}{done.stdout}{done.stderr}")
            asked += 1
            failed += verdict[1] != "Never"
            print(f"{'ok' if verdict[1] == 'Never' else 'not ok'} {name} # {verdict[1]} {verdict[2]}")
            if verdict[1] != "Never":
                print(re.sub("^", "# ", f"{test.read_text()}\n{done.stdout}", flags=re.MULTILINE))
    if not asked:
        raise SystemExit("error: no compiler for arm64: install gcc-aarch64-linux-gnu or clang")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
