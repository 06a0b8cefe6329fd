#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Compare the assumptions of the proofs with the list in Documentation/core-api/idgen_alloc_proofs.rst.

A model names each assumption where it makes it, as in (A3). Each name must be in the list, and a model or a litmus test
must name each assumption of the list. The comment of each __CPROVER_assume() and __VERIFIER_assume() names the
assumption, or says that it is the hypothesis of the induction or a choice of the step. It ends just above the
statement, or above the loop or condition that the statement is in. With "here and below", it also covers the next
statements up to an empty line.
"""

import argparse
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
LIST = HERE.parents[2] / "Documentation/core-api/idgen_alloc_proofs.rst"
KINDS = ("cbmc/*.[ch]", "weak/*.[ch]", "tla/*.tla", "litmus/*.litmus", "*.[ch]")


def named_above(lines: list[str], nr: int) -> bool:
    """Whether the comment of the statement in a line names an assumption."""
    above, between = nr - 1, False
    while re.match(r"\s*((for|if) \(.*\)( \{)?|__CPROVER_assume\(.*\);)$", lines[above]):
        between |= "assume" in lines[above]
        above -= 1
    end = above
    while lines[end].rstrip().endswith("*/") and "/*" not in lines[above]:
        above -= 1
    comment = " ".join(lines[above:end + 1])
    return comment.rstrip().endswith("*/") and (not between or "here and below" in comment) and \
        bool(re.search(r"\(A\d+\)|[Hh]ypothesis|Choice", comment))


def main() -> int:
    """Print the differences."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    listed = set(re.findall(r"^\*\*(A\d+)\*\*", LIST.read_text(), re.MULTILINE))
    files = [file for kind in KINDS for file in sorted(HERE.glob(kind))]
    named: set[str] = set()
    wrong: list[str] = []
    for file in files:
        lines = file.read_text().splitlines()
        text = "\n".join(line for line in lines if re.search(r"\*|//|#", line))
        named |= {name for group in re.findall(r"\((A\d+(?:, A\d+)*)\)", text) for name in group.split(", ")}
        for nr, line in enumerate(lines):
            # After a panic there is nothing to assume.
            if re.search("__(CPROVER|VERIFIER)_assume\\(", line) and '"panic: "' not in lines[nr - 1] and \
                    not named_above(lines, nr):
                wrong.append(f"{file}:{nr + 1}: an assumption that has no name")
    wrong += [f"{name}: named by a model, and not in {LIST}" for name in sorted(named - listed)]
    wrong += [f"{name}: in {LIST}, and named by no model" for name in sorted(listed - named)]
    for line in wrong:
        print(f"error: {line}", file=sys.stderr)
    print(f"assumptions: {len(listed)} listed, {len(wrong)} wrong")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
