#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Test that series.py refresh carries an edit of our files through all stages, or refuses it and names the place.

Each edit of lib/idgen_alloc.c renames a local variable or swaps two statements. The expected result is the same edit of
every stage. Any other result must be refused, by git or because a stage does not compile. The patch files that are
written must give the stages again.
"""

import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import ktap
import series
from series import OURS, Description, Failure, Stages

FILES = ("include/linux/idgen_alloc.h", "lib/idgen_alloc.c")
LOCALS = re.compile(r"^\t(?!return|goto)(?:unsigned |const |struct )?\w+ \**(\w+(?:, \**\w+)*)(?: =|;)", re.M)
SWAPPED = re.compile(r"\t(a->|bitmap_|kfree|memset|raw_spin_lock_init).*;\n")
Edit = Callable[[str], str]


def functions(text: str) -> list[tuple[str, str]]:
    """The functions of a C file by their names."""
    found = re.findall(r"^(?![ \t/#*]|struct\b)[^;={}\n]*(?:\n[ \t][^;={}\n]*)*\)\n\{\n(?:.*\n)*?\}\n", text, re.M)
    return [(re.findall(r"(\w+)\(", function.split("{")[0])[0], function) for function in found]


def renaming(name: str, local: str) -> Edit:
    def edit(text: str) -> str:
        for other, function in functions(text):
            if other == name:
                text = text.replace(function, re.sub(rf"(?<![\w.>\"%]){local}\b(?!\()", f"{local}_renamed", function))
        return text
    return edit


def swapping(one: str, other: str) -> Edit:
    return lambda text: text.replace(one + other, other + one)


def edits(text: str) -> Iterator[tuple[str, Edit]]:
    for name, function in functions(text):
        body = function.split("{", 1)[1]
        locals_of = [word for names in LOCALS.findall(body) for word in re.findall(r"\w+", names)]
        for local in dict.fromkeys(locals_of):
            yield f"{local} of {name}() gets another name", renaming(name, local)
        lines = body.splitlines(keepends=True)
        for one, other in zip(lines, lines[1:]):
            if SWAPPED.fullmatch(one) and SWAPPED.fullmatch(other):
                yield f"two statements of {name}() change places: {one.strip()}", swapping(one, other)


def tried(description: Description, old: Path, scratch: Path, edit: Edit) -> str:
    """Try an edit of our files. Returns "right", "refused: ..." or what is wrong."""
    path = FILES[1]
    ours = scratch / "ours"
    for file in description.paths:
        (ours / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(OURS / file, ours / file)
    (ours / path).write_text(edit((ours / path).read_text(encoding="utf-8")), encoding="utf-8")
    with patch.object(series, "OURS", ours), patch("series.identity", lambda: identity):
        stages = Stages(scratch / "stages", description)
        try:
            stages.begin(old)
            stages.at_end()
        except Failure as failure:
            said = str(failure)
            named = re.search(r"cannot revert ([\w-]+) from our files", said)
            return f"refused: {named[1]}" if named and path in said else f"wrong: it does not say where: {said}"
    for at, name in enumerate(description.names):
        right = edit((old / name / path).read_text(encoding="utf-8"))
        if series.git("show", f"stages~{at}:{path}", cwd=stages.out) != right:
            with patch.object(series, "OURS", OURS):
                try:
                    stages.compile()
                except Failure as failure:
                    return f"refused: {str(failure).splitlines()[0]}"
            return f"wrong: after {name}, {path} compiles, but is wrong"
    written = scratch / "written"
    written.mkdir()
    stages.write(written)
    with patch.object(description, "dir", written):
        description.stages(scratch / "again", ours)
    if any((scratch / "again" / name / path).read_text(encoding="utf-8")
           != edit((old / name / path).read_text(encoding="utf-8")) for name in description.names):
        return "wrong: the patch files do not give the stages back"
    return "right"


def main() -> int:
    verdicts: dict[str, int] = {"right": 0, "refused": 0}
    rows = []
    whole = Description()
    # Only the files of the library, to be quick.
    whole.paths = {path: at for path, at in whole.paths.items() if path in FILES}
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        with patch.object(whole, "change", lambda patch_name: library_part(scratch, whole.dir / f"{patch_name}.patch")):
            whole.stages(scratch / "old")
            text = (OURS / FILES[1]).read_text(encoding="utf-8")
            for what, edit in edits(text):
                if edit(text) == text:
                    continue
                verdict = tried(whole, scratch / "old", scratch / "try", edit)
                shutil.rmtree(scratch / "try")
                result = "ok" if verdict.split(":")[0] in verdicts else "not ok"
                verdicts[verdict.split(":")[0]] = verdicts.get(verdict.split(":")[0], 0) + 1
                rows.append((what, result, verdict))
                print(result, what, verdict, flush=True)
    both = f"{verdicts['right']} right in all stages, {verdicts['refused']} refused"
    rows.append(("both are seen", "ok" if len(rows) >= 40 and all(verdicts.values()) else "not ok", both))
    print(*rows[-1])
    return ktap.report(ktap.BUILD / "series-refresh", ("test", "result", "reason"), rows)


def library_part(scratch: Path, place: Path) -> Path | None:
    """The part of a patch file that changes the library."""
    if not place.exists():
        return None
    parts = re.split(r"^(?=diff )", place.read_text(encoding="utf-8"), flags=re.M)
    mine = [part for part in parts if any(part.startswith(f"diff --git a/{file} ") for file in FILES)]
    (scratch / place.name).write_text("".join(mine), encoding="utf-8")
    return scratch / place.name if mine else None


identity = series.identity()

if __name__ == "__main__":
    sys.exit(main())
