# SPDX-License-Identifier: GPL-2.0
"""How much of a file's diff is not what the patch is about: lines of functions, or of comments between them, that
have nothing to do with the allocator that moves out.

A file is a row of pieces: a function with the comment above it, a declaration, a group of includes. A piece is about
the allocator if its code speaks of the old one's state or of the new one, or is for the preprocessor alone. A changed
line of any other is noise. So are comments that stand alone, and blank lines count for nothing.
"""

import difflib
import re

NEW = r"\bidgen_"


def pieces(text: str) -> list[list[str]]:
    """The top-level pieces: blank lines part them, but for those within braces and within comments."""
    rows: list[list[str]] = [[]]
    comment, depth = False, 0
    for line in text.splitlines():
        if line.strip():
            rows[-1].append(line)
        elif not comment and not depth:
            rows.append([])
        comment = "*/" not in line and (comment or line.lstrip().startswith("/*"))
        if not comment:
            depth += line.count("{") - line.count("}")
    return [row for row in rows if row]


def code(piece: list[str]) -> str:
    return re.sub(r"/\*.*?\*/|//[^\n]*", "", "\n".join(piece), flags=re.S)


def about(piece: list[str], words: list[str]) -> bool:
    text = code(piece)
    lines = [line for line in text.splitlines() if line.strip()]
    return bool(re.search("|".join([NEW, *(rf"\b{word}\b" for word in words)]), text)) or \
        bool(lines) and all(line.startswith("#") for line in lines)


def report(path: str, old: str, new: str, words: list[str]) -> str:
    """One line: how many lines of the diff there are, and how many of them are noise."""
    sides = []
    for text in (old, new):
        lines: list[tuple[str, bool]] = []
        for piece in pieces(text):
            kind = about(piece, words)
            lines += [(line, kind) for line in piece]
        sides.append(lines)
    before, after = sides
    match = difflib.SequenceMatcher(None, [line for line, _ in before], [line for line, _ in after], autojunk=False)
    changed = [row for tag, a, b, c, d in match.get_opcodes() if tag != "equal" for row in before[a:b] + after[c:d]]
    left = [line for line, kind in changed if not kind]
    return f"  {path}: {len(left)} of {len(changed)} changed lines"
