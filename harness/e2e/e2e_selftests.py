#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""e2e_selftests.py ARCH CONVERTED PRISTINE: boot two kernels with the same selftests, and compare test by test.

e2e.sh builds the directories. The kernel with our files boots with few IDs as well. Tests with different results run
again on each kernel, ten times and more, as some results depend on the speed of QEMU. Fails if a test fails with our
files in a way that it does not without, or much more often (see is_same() of e2e.py), if our selftests do not report
the rollovers that they must see, if no other test passes, if the kernel prints a warning that it does not print
without, or if a boot does not complete. First the kernel's own runner runs our selftests on both.
"""

import re
import sys
from dataclasses import replace
from pathlib import Path

import e2e
import ktap
from kunit_results import COMPLAINT

SECONDS = 90
AGAIN = 10
ROUNDS = 3
MACHINES = {
    "vhe": e2e.Row(name="vhe", cpu="max,pauth-impdef=on", smp=4, memory="4G", run=[], limit=1500),
    "nvhe": e2e.Row(name="nvhe", cpu="cortex-a57", smp=4, memory="4G", run=[], limit=1500),
    "rv64": e2e.Row(name="rv64", arch="riscv", cpu="rv64,h=true", smp=4, memory="4G", run=[], limit=1500),
}
# The kernel of each boot, and its arguments.
VARIANTS = {
    "converted": ("converted", ""),
    "converted-4": ("converted", "idgen_alloc.bits=vmid:4,asid:4"),
    "original": ("pristine", ""),
}
COUNTED = r"rolled over, \d+ times, by the trace event$"
COMPUTED = r"rolled over, at least \d+ times, computed from the number of VMs, if KVM uses VMIDs$"
# What our selftests must report as their third result. Where nothing is listed, a rollover takes longer than they run.
ROLLOVERS = {
    ("converted-4", "asid_rollover"): COUNTED,
    ("converted-4", "vmid_rollover"): COUNTED,
    # 8-bit VMIDs.
    ("converted", "vmid_rollover", "nvhe"): COUNTED,
    ("original", "vmid_rollover", "nvhe"): COMPUTED,
}
RESULT = re.compile(r"^selftest (\S+): (\w+), \d+ s$")
Results = dict[str, dict[str, list[str]]]


def complaints(log: Path) -> set[str]:
    """The warnings of the kernel, without the parts that differ between boots."""
    return {re.sub(r"0x[0-9a-f]+|\d+", "N", line) for line in e2e.read(log) if COMPLAINT.search(line)}


def rollovers(log: Path) -> dict[str, str]:
    """The third result of each of our selftests."""
    found, test = {}, ""
    for line in e2e.read(log):
        if match := re.match(r"selftest (\S+) starts$", line):
            test = match[1]
        elif test.endswith("_rollover") and line.startswith("ok 3 "):
            found[test] = line.removeprefix("ok 3 ").replace("# SKIP", "skip:")
    return found


def misses(machine: str, said: dict[str, dict[str, str]]) -> list[str]:
    """The rollovers that our selftests have not reported, of what each said with each kernel."""
    return [f"{variant}/{test}" for (variant, test, *only), pattern in ROLLOVERS.items()
            if machine in (only or [machine]) and not re.search(pattern, said[variant].get(test, ""))]


def run(row: e2e.Row, images: dict[str, Path], found: Results, heard: dict[str, set[str]]) -> int:
    """Boot all variants, and add the results and the warnings. Returns the number of boots that failed."""
    wrong = 0
    for variant, (kernel, arguments) in VARIANTS.items():
        log = log_of(row.name, variant)
        result = e2e.boot(replace(row, args=arguments), images[kernel], log)
        matches = [match for match in map(RESULT.match, e2e.read(log)) if match]
        for match in matches:
            found.setdefault(match[1], {name: [] for name in VARIANTS})[variant].append(match[2])
        heard[variant] |= complaints(log)
        print(f"{row.name}, {variant}: {len(matches)} tests, {result.seconds:.0f} s", flush=True)
        # The tests are compared, so they may fail, and the kernel may print warnings.
        if any(not reason.startswith(("contents", "kernel", "invariant")) for reason in result.reasons):
            e2e.show_failure(row, result, log)
            wrong += 1
    return wrong


def log_of(name: str, variant: str) -> Path:
    """The log of a boot."""
    return e2e.OUT / f"selftests-{name}-{variant}.log"


def differing(found: Results) -> set[str]:
    """The tests that are worse with our files."""
    return {test for test, results in found.items() for variant in VARIANTS
            if not e2e.is_same(results[variant], results["original"])}


def kselftests(arch: str, images: dict[str, Path]) -> tuple[str, list[str], str, str]:
    """Boot both kernels with the row of e2e.toml that has the kernel's own runner. Returns the row of the table.

    The original kernel does not have our parameter, and does not count rollovers.
    """
    row = next(row for row in e2e.load() if row.arch == arch and row.initramfs() == "initramfs-kselftest")
    runner = [pattern for pattern in row.expect if " selftests: " in pattern]
    rows = {"converted": row, "pristine": replace(row, args=e2e.BITS.sub("", row.args), rollovers={}, expect=runner)}
    results = {kernel: e2e.boot(rows[kernel], image, log_of("kselftest", f"{arch}-{kernel}"))
               for kernel, image in images.items()}
    texts = ["; ".join(result.reasons) or f"pass, {result.seconds:.0f} s" for result in results.values()]
    bad = [kernel for kernel, result in results.items() if result.reasons]
    return f"{row.name}/run_kselftest.sh", [texts[0], "", texts[1]], "not ok" if bad else "ok", ", ".join(bad)


def main() -> int:
    """Boot the kernels on all machines, and write the table."""
    arch = sys.argv[1]
    images = {"converted": Path(sys.argv[2]), "pristine": Path(sys.argv[3])}
    table: list[tuple[object, ...]] = []

    def add(test: str, texts: list[str], result: str, reason: str) -> None:
        table.append((test, *texts, result, reason))
        print(f"{test:40} {' '.join(f'{text:24}' for text in texts)} {reason}", flush=True)

    add(*kselftests(arch, images))
    for machine, row in MACHINES.items():
        if row.arch != arch:
            continue
        found: Results = {}
        heard: dict[str, set[str]] = {variant: set() for variant in VARIANTS}
        broken = run(replace(row, run=[f"selftests {SECONDS} 1"]), images, found, heard)
        said = {variant: rollovers(log_of(machine, variant)) for variant in VARIANTS}
        unsure: set[str] = set()

        def new_complaints() -> list[str]:
            return sorted((heard["converted"] | heard["converted-4"]) - heard["original"])

        for number in range(ROUNDS):
            differ = differing(found)
            unsure |= differ
            if unsure and (differ or new_complaints()):
                again = f"selftests {SECONDS} {AGAIN} {' '.join(sorted(unsure))}"
                limit = row.limit + AGAIN * SECONDS * len(unsure)
                rerun = replace(row, name=f"{machine}-again-{number + 1}", run=[again], limit=limit)
                broken += run(rerun, images, found, heard)
        new = new_complaints()
        for line in new:
            print(f"{machine}: only the converted kernel says: {line}")
        passed = {test for test, results in found.items()
                  if "pass" in results["original"] and not test.endswith("_rollover")}
        add(f"{machine}/kernel", [""] * len(VARIANTS), "not ok" if broken or new or not passed else "ok",
            f"{broken} bad boots, {len(new)} new complaints, {len(passed)} tests pass on the original")
        missing = misses(machine, said)
        for test in sorted({test for _, test, *_ in ROLLOVERS}):
            missed = [name for name in missing if name.endswith(test)]
            add(f"{machine}/{test}/rollovers", [texts.get(test, "") for texts in said.values()],
                "not ok" if missed else "ok", f"no rollovers: {', '.join(missed)}" if missed else "")
        differ = differing(found)
        for test, results in sorted(found.items()):
            texts = [e2e.shown(results[variant]) for variant in VARIANTS]
            result = "not ok" if test in differ else "ok" if "pass" in texts[0] else "skip"
            add(f"{machine}/{test}", texts, result, "different" if test in differ else "no worse than on the original")
    name = "e2e-selftests" if arch == "arm64" else f"e2e-selftests-{arch}"
    return ktap.report(e2e.OUT.parent / name, ("test", *VARIANTS, "result", "reason"), table)


if __name__ == "__main__":
    sys.exit(main())
