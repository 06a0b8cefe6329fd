#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""peers.py CONVERTED PRISTINE LKVM TESTS GEN_INIT_CPIO: run kvm-unit-tests and Linux under lkvm, on two kernels.

peers.sh builds the directories of the kernels. Each machine runs all tests of arm/unittests.cfg that kvmtool can
start, with 20 copies of small ones at once, and eight copies of Linux with our files and few ASIDs, which must roll
over. The kernel with our files runs them with 8-bit and with 4-bit VMIDs. If a test has a result that it does not
have without our files, or fails much more often (see is_same() of e2e.py), it runs again on both kernels. The run
fails if the difference stays, if a test has no result, or if the small tests or Linux do not pass without our files.
"""

import configparser
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import e2e
import ktap

SECONDS = 240
CPUS = 4
AGAIN = 3
MACHINES = {
    "vhe": e2e.Row(name="vhe", cpu="max,pauth-impdef=on", smp=CPUS, memory="4G", run=[], limit=1500),
    "nvhe": e2e.Row(name="nvhe", cpu="cortex-a57", smp=CPUS, memory="4G", run=[], limit=1500),
}
# The kernels, and their arguments.
VARIANTS = {
    "converted-8": ("converted", "idgen_alloc.bits=vmid:8"),
    "converted-4": ("converted", "idgen_alloc.bits=vmid:4"),
    "original": ("pristine", ""),
}
# Quick tests, of which many copies run at once.
MANY = ("selftest-vectors-kernel", "selftest-vectors-user", "debug-bp")
COPIES = 20
LINUXES = 8
RESULT = re.compile(r"^peer (\S+): (\w+), \d+ s$")
Results = dict[str, dict[str, list[str]]]


def tests(directory: Path) -> dict[str, str]:
    """The names of the tests that kvmtool can start, and the arguments for lkvm."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.read(directory / "arm/unittests.cfg", encoding="utf-8")
    found = {}
    for name in parser.sections():
        section = parser[name]
        is_arm64 = section.get("arch", "arm64") == "arm64"
        if not is_arm64 or "qemu" in section.get("disabled_if", "") or "nodefault" in section.get("groups", ""):
            continue
        # A number, $MAX_SMP, or the minimum of $MAX_SMP and a number.
        smp = section.get("smp", "1")
        cpus = min([CPUS, *map(int, re.findall(r"\d+", smp))])
        arguments = section.get("test_args", "").strip("'\"")
        line = f"--nodefaults --network mode=none -c {cpus} {section.get('kvmtool_params', '')} -k /{section['file']}"
        found[name] = f"{line} -p {arguments}" if arguments else line
    if missing := {*MANY} - {*found}:
        raise SystemExit(f"error: {directory}/arm/unittests.cfg has no test {', '.join(sorted(missing))} for kvmtool")
    return found


def linux() -> str:
    """The arguments for lkvm to start Linux, whose init runs more processes than there are ASIDs."""
    init = "asid_rollover -n 20 -f 1 -x 1 -s 2 -r 5"
    # Each letter on the console is an exit.
    append = f'console=ttyS0 quiet kunit.enable=0 panic=-1 idgen_alloc.bits=asid:4 -- "{init}"'
    return f"--nodefaults --network mode=none --console serial -c 1 -m 256 -k /Image -i /guest -p {append}"


def pack(image: Path, guest: dict[str, Path], lkvm: Path, directory: Path, generator: Path) -> list[str]:
    """Add lkvm, the guests and their list to the initramfs. The kernel unpacks a second archive over the first.

    Returns the names in the list.
    """
    rows = tests(directory)
    lines = [f"{name} 1 {arguments}" for name, arguments in rows.items()]
    lines += [f"many-{name} {COPIES} {rows[name]}" for name in MANY]
    lines.append(f"linux {LINUXES} {linux()}")
    (image / "peers.list").write_text("\n".join(lines) + "\n", encoding="utf-8")
    files = guest | {"lkvm": lkvm, "peers.list": image / "peers.list"}
    files |= {flat.name: flat for flat in sorted((directory / "arm").glob("*.flat"))}
    listed = "".join(f"file /{name} {path.resolve()} 0755 0 0\n" for name, path in files.items())
    (image / "peers.cpio-list").write_text(listed, encoding="utf-8")
    command = [str(generator), str(image / "peers.cpio-list")]
    archive = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    with (image / "initramfs").open("ab") as out:
        out.write(archive)
    return [line.split()[0] for line in lines]


def run(row: e2e.Row, image: Path, results: dict[str, list[str]]) -> int:
    """Boot, and add the result of each test. Returns whether the boot failed."""
    log = e2e.OUT / f"peers-{row.name}.log"
    result = e2e.boot(row, image, log)
    matches = [match for match in map(RESULT.match, e2e.read(log)) if match]
    for match in matches:
        results.setdefault(match[1], []).append(match[2])
    print(f"{row.name}: {len(matches)} guests, {result.vmid} rollovers of VMIDs, {result.seconds:.0f} s", flush=True)
    if result.reasons:
        e2e.show_failure(row, result, log)
    return bool(result.reasons)


def verdict(name: str, results: dict[str, list[str]]) -> tuple[str, str]:
    """The verdict on a test, from its results on each kernel, and the reason."""
    if not all(e2e.is_same(results[variant], results["original"]) for variant in VARIANTS):
        return "not ok", "different, or no result"
    # Any machine passes these. If not, lkvm itself does not work, and the comparison means nothing.
    if "pass" not in results["original"] and (name == "linux" or name.startswith("many-")):
        return "not ok", "must pass"
    return "ok" if "pass" in results["original"] else "skip", "no worse than on the original"


def main() -> int:
    """Boot, compare, and write the table."""
    converted, pristine, lkvm, directory, generator = map(Path, sys.argv[1:])
    images = {"converted": converted, "pristine": pristine}
    guest = {"Image": converted / "Image", "guest": converted / "guest"}
    guest["guest"].write_bytes((converted / "initramfs").read_bytes())
    for image in images.values():
        names = pack(image, guest, lkvm, directory, generator)
    table = []
    for machine, base in MACHINES.items():
        found: Results = {variant: {} for variant in VARIANTS}

        def boots(suffix: str, only: list[str]) -> int:
            bad = 0
            for variant, (kernel, arguments) in VARIANTS.items():
                least = {"vmid": 1} if "vmid:4" in arguments and not only else {}
                row = replace(base, name=f"{machine}-{variant}{suffix}", args=arguments, rollovers=least,
                              run=[" ".join(["peers", str(SECONDS), *only])])
                bad += run(row, images[kernel], found[variant])
            return bad

        def verdicts() -> dict[str, tuple[str, str]]:
            return {name: verdict(name, {variant: found[variant].get(name, []) for variant in VARIANTS})
                    for name in names}

        broken = boots("", [])
        for number in range(AGAIN):
            if again := sorted(name for name, (_, reason) in verdicts().items() if reason.startswith("different")):
                broken += boots(f"-again-{number + 1}", again)
        table.append((f"{machine}/boots", *[""] * len(VARIANTS), "not ok" if broken else "ok", f"{broken} bad boots"))
        for name, (result, reason) in verdicts().items():
            row = [e2e.shown(found[variant].get(name, [])) for variant in VARIANTS]
            table.append((f"{machine}/{name}", *row, result, reason))
            print(f"{machine:5} {name:32} {row[0]:16} {row[1]:16} {row[2]:16} {reason if result == 'not ok' else ''}")
    return ktap.report(e2e.OUT.parent / "peers", ("test", *VARIANTS, "result", "reason"), table)


if __name__ == "__main__":
    sys.exit(main())
