#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""perturb.py BASE OUT: check that our pieces fit trees that differ a little from known ones.

BASE has the files of a kernel tree that the overlay reads. Each file of pieces, the fixes included, is tried on it with
harmless changes, which the result must keep, and with a change to the code that the piece replaces, which must be
refused with the name of the function. OUT becomes a copy of BASE with all harmless changes at once, for make series.
"""

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import ktap
from overlay import expand, fitting, fixes, load
from splice import Chunk, Function, Splice, chunks

OURS = Path(__file__).resolve().parents[2]
LOCAL = re.compile(r"^\t(?:unsigned )?(?:int|long|u64|u32|pid_t)\s(?:\w+, )*(\w+)( = |;|,)", re.M)
STRANGER = "static int __maybe_unused stranger_{}(void)\n{{\n\treturn 0;\n}}\n"


def text(pieces: list[Chunk]) -> str:
    return "".join(piece.text() for piece in pieces)


def functions(pieces: list[Chunk]) -> list[int]:
    return [at for at, piece in enumerate(pieces) if Function.of(piece.code)]


def harmless(tree: str, kept: set[str]) -> Iterator[tuple[str, str]]:
    """Changes that a maintainer's tree may have: a name for each, and the file with it."""
    pieces = chunks(tree, False)
    code = functions(pieces)
    head = next(at for at, piece in enumerate(pieces) if piece.code.startswith("#include"))
    yield "an include", tree.replace(pieces[head].code, f"{pieces[head].code}#include <linux/ratelimit.h>\n", 1)
    yield "a comment", tree + "\n/* A comment. */\n"
    if match := re.search(r"^.*Copyright.*\n", tree, re.M):
        more = re.sub(r"\(C\).*", "(C) 2026 Somebody", match[0], flags=re.I)
        yield "a copyright line", tree.replace(match[0], match[0] + more, 1)
    if code:
        for what, at in (("a function before", code[0]), ("a function after", code[-1] + 1)):
            stranger = Chunk(1, "", STRANGER.format(what.rsplit(" ", maxsplit=1)[-1]))
            rest = pieces[at:at + 1]
            blank = [Chunk(max(1, rest[0].blank), rest[0].comment, rest[0].code)] if rest else []
            yield what, text([*pieces[:at], stranger, *blank, *pieces[at + 1:]])
    for name in kept:
        # A macro may have the same name.
        piece = next(piece for piece in pieces if piece.name == name and Function.of(piece.code))
        yield f"a variable in {name}()", tree.replace(
            piece.code, piece.code.replace("\n{\n", "\n{\n\tint somebodys __maybe_unused = 0;\n", 1))
        if local := LOCAL.search(piece.code):
            yield f"another name for a local of {name}()", tree.replace(
                piece.code, re.sub(rf"(?<![\w.>]){local[1]}\b(?!\()", f"{local[1]}_renamed", piece.code))


def harmful(tree: str, lost: dict[str, str]) -> Iterator[tuple[str, str]]:
    """One more statement in each function that our pieces change: the function's name, and the file with it."""
    for piece in chunks(tree, False):
        function = Function.of(piece.code)
        if function and piece.name in lost:
            yield piece.name, tree.replace(piece.code, function.head + "\tsomebody_needs_this();\n" +
                                           "".join(chunk.text() for chunk in function.body) + function.tail)


def main() -> int:
    base, out = Path(sys.argv[1]), Path(sys.argv[2])
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(base, out)
    rows = []
    forms = load("forms.toml")
    for where, table in [(OURS, fitting(expand(load(), OURS), base)), *fixes()]:
        for entry in table["pieces"]:
            path = entry["path"]
            tree, ours = (base / path).read_text(encoding="utf-8"), (where / path).read_text(encoding="utf-8")
            plain = Splice(path, tree, ours, forms.get(path, {}))
            result = plain.result()
            untouched = {piece.code for piece in chunks(result, False)}
            kept = [piece.name for piece in chunks(tree, False)
                    if piece.code in untouched and Function.of(piece.code) and tree.count(piece.code) == 1][:2]
            everything = tree
            for what, changed in harmless(tree, {*kept}):
                splice = Splice(path, changed, ours, forms.get(path, {}))
                lines = {*changed.splitlines()} - {*tree.splitlines()}
                good = bool(lines) and {*splice.result().splitlines()} >= lines and not splice.problems
                rows.append((f"{path}: {what} goes through", "ok" if good else "not ok", str(splice.problems or "")))
            for what in [what for what, _ in harmless(tree, {*kept})]:
                everything = next((changed for other, changed in harmless(everything, {*kept}) if other == what),
                                  everything)
            if where == OURS:
                (out / path).write_text(everything, encoding="utf-8")
            for name, changed in harmful(tree, plain.lost):
                splice = Splice(path, changed, ours, forms.get(path, {}))
                # A piece may replace only some of the statements of a function.
                through = "somebody_needs_this" in splice.result()
                good = through and not splice.problems or len(splice.problems) == 1 and \
                    splice.problems[0].startswith(f"{path}: {name} is not as") and \
                    "somebody_needs_this" in splice.problems[0]
                rows.append((f"{path}: a statement more in {name}() {'goes through' if through else 'is refused'}",
                             "ok" if good else "not ok", str(splice.problems or "")))
    for name, result, reason in rows:
        print(result, name, "" if result == "ok" else reason)
    return ktap.report(ktap.BUILD / "perturb", ("test", "result", "reason"), rows)


if __name__ == "__main__":
    sys.exit(main())
