#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""kunit_mutants.py TREE ARCH KUNIT...: boot kernels with the faults of kunit-mutants.toml, and check that KUnit fails.

TREE is a kernel tree with our files, KUNIT the kunit.py command that builds and boots it. The unchanged kernel goes
first, on each CPU that is used, and must pass. Each fault must fail the case that is named, and may fail others.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import ktap
from mutants import mutate

HERE = Path(__file__).resolve().parent


def failed_cases(command: list[str], tree: Path, cpu: str) -> set[str]:
    """Build and boot. Returns the suites and cases that failed."""
    more = [f"--qemu_args=-cpu {cpu}"] if cpu else []
    done = subprocess.run([*command, *more], cwd=tree, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)
    if "Testing complete" not in done.stdout:
        raise SystemExit(f"error: no results:\n{done.stdout[-3000:]}")
    return set(re.findall(r"\[FAILED\] (\w+)", done.stdout))


def main() -> int:
    """Go through the list."""
    tree, arch, command = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    mutants: dict[str, dict[str, Any]] = tomllib.loads((HERE / "kunit-mutants.toml").read_text(encoding="utf-8"))
    mutants = {name: mutant for name, mutant in mutants.items() if mutant["arch"] == arch}
    texts = {mutant["file"]: (tree / mutant["file"]).read_text(encoding="utf-8") for mutant in mutants.values()}
    changed = {name: mutate([texts[mutant["file"]]], mutant["edits"])[0] for name, mutant in mutants.items()}
    rows = []
    for cpu in dict.fromkeys(mutant.get("cpu", "") for mutant in mutants.values()):
        found = failed_cases(command, tree, cpu)
        rows.append((f"unchanged {cpu}".strip(), "", "not ok" if found else "ok", ", ".join(sorted(found))))
        print(f"unchanged {cpu}: {', '.join(sorted(found)) or 'nothing fails'}", flush=True)
    for name, mutant in mutants.items():
        place = tree / mutant["file"]
        # The file may be a hard link.
        place.unlink()
        place.write_text(changed[name], encoding="utf-8")
        try:
            found = failed_cases(command, tree, mutant.get("cpu", ""))
        finally:
            place.write_text(texts[mutant["file"]], encoding="utf-8")
        noticed, cases = mutant["case"] in found, ", ".join(sorted(found))
        rows.append((name, mutant["case"], "ok" if noticed else "not ok", cases))
        print(f"{name}: {cases}" if noticed else f"{name}: error: not noticed by {mutant['case']}: {cases}", flush=True)
    return ktap.report(ktap.BUILD / f"kunit-mutants-{arch}", ("mutant", "case", "result", "reason"), rows)


if __name__ == "__main__":
    sys.exit(main())
