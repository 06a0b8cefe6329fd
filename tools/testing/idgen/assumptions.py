#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Compare the assumptions of the proofs with the list in Documentation/core-api/idgen_alloc_proofs.rst.

A model names each assumption where it makes it, as in (A3). Each name must be in the list, and a model or a litmus test must name
each assumption of the list. A comment above each __CPROVER_assume() names the assumption, or says that it is the hypothesis of the
induction or a choice of the step.
"""

import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
LIST = HERE.parents[2] / "Documentation/core-api/idgen_alloc_proofs.rst"
KINDS = ("cbmc/*.[ch]", "weak/*.[ch]", "tla/*.tla", "litmus/*.litmus", "*.[ch]")


def main() -> int:
    """Print the differences."""
    listed = set(re.findall(r"^\*\*(A\d+)\*\*", LIST.read_text(), re.MULTILINE))
    files = [file for kind in KINDS for file in sorted(HERE.glob(kind))]
    named: set[str] = set()
    wrong: list[str] = []
    for file in files:
        lines = file.read_text().splitlines()
        text = "\n".join(line for line in lines if re.search(r"\*|//|#", line))
        named |= set(re.findall(r"\((A\d+)(?:, A\d+)*\)", text)) | set(re.findall(r", (A\d+)\)", text))
        for nr, line in enumerate(lines):
            above = " ".join(lines[max(nr - 3, 0):nr])
            if "__CPROVER_assume(" in line and "panic" not in above and not re.search(r"\(A\d+\)|A\d+\);|[Hh]ypothesis|Choice", above):
                wrong.append(f"{file}:{nr + 1}: an assumption that has no name")
    wrong += [f"{name}: named by a model, and not in {LIST}" for name in sorted(named - listed)]
    wrong += [f"{name}: in {LIST}, and named by no model" for name in sorted(listed - named)]
    for line in wrong:
        print(f"error: {line}", file=sys.stderr)
    print(f"assumptions: {len(listed)} listed, {len(wrong)} wrong")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
