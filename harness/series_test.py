#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""See that series.py refresh carries an edit of our files through all stages, or refuses it with the place.

Each edit of lib/idgen_alloc.c and its header renames a local or moves a statement. It comes out right if every stage is
what the same edit of that stage gives, and compiles. What is refused must name the patch and a file, and must leave the
patch files alone.
"""

import contextlib
import io
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import series
from series import OURS, Description, Failure, refresh

FILES = ("include/linux/idgen_alloc.h", "lib/idgen_alloc.c")
Edit = Callable[[str], str]


def functions(text: str) -> list[str]:
    return re.findall(r"^(?:static |int |void |unsigned |VISIBLE|noinline |bool )[^;={}]*\)\n\{\n.*?^\}\n", text, re.M | re.S)


def renaming(name: str, old: str, new: str) -> Edit:
    """An edit that renames a local of a function."""
    def edit(text: str) -> str:
        for function in functions(text):
            if re.search(rf"\b{name}\(", function.split("{")[0]):
                text = text.replace(function, re.sub(rf"(?<![\w.>]){old}\b(?!\()", new, function))
        return text
    return edit


def swapping(one: str, other: str) -> Edit:
    """An edit that swaps two statements, each a line, that follow one another."""
    return lambda text: text.replace(one + other, other + one)


def edits(text: str) -> Iterator[tuple[str, Edit]]:
    for function in functions(text):
        head, body = function.split("{", 1)
        name = re.findall(r"(\w+)\(", head)[0] if "__idgen_init" not in head else re.findall(r"(\w+)\(", head)[-1]
        for local in dict.fromkeys(re.findall(r"^\t(?:unsigned |const )?\w+ \*?(\w+)(?: =|;|,)", body, re.M)):
            yield f"{local} of {name}() gets another name", renaming(name, local, f"{local}_renamed")
        lines = body.splitlines(keepends=True)
        for one, other in zip(lines, lines[1:]):
            if all(re.fullmatch(r"\ta->\w+ = .*;\n", line) for line in (one, other)):
                yield f"two statements of {name}() change places", swapping(one, other)


def main() -> int:
    """Edit copies of our files, refresh a copy of the patches from them, and look."""
    passed, failures = 0, list[str]()
    with tempfile.TemporaryDirectory() as scratch:
        ours = Path(scratch, "ours")
        shutil.copytree(OURS / "harness/series", ours / "series")
        todo = [(file, what, edit) for file in FILES for what, edit in edits((OURS / file).read_text(encoding="utf-8"))]
        stages = Path(scratch, "stages")
        whole = Description
        description = Only()
        description.stages(stages)
        for number, (file, what, edit) in enumerate(todo):
            text = (OURS / file).read_text(encoding="utf-8")
            if edit(text) == text:
                continue
            verdict = tried(description, stages, Path(scratch, f"try{number}"), file, edit)
            good = not verdict.startswith("wrong")
            passed += good
            failures += [] if good else [f"{what}: {verdict}"]
            print(f"{'ok' if good else 'not ok'} {what}: {verdict}", flush=True)
        del whole
    for failure in failures:
        print(f"error: {failure}")
    print(f"{passed} passed, {len(failures)} failed, 0 skipped")
    return bool(failures) or passed < 40


if __name__ == "__main__":
    sys.exit(main())
