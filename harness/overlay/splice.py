# SPDX-License-Identifier: GPL-2.0
"""Put our pieces into a C file of the kernel, and keep every other line.

A file of pieces is in this repository at the path of the kernel file. It has only what a conversion or a fix changes. A
piece is one item at the top level of a C file: a function, a variable, a type, a macro, an include, an initcall. It
replaces the kernel's piece of the same name. If the kernel has none, it is inserted after the piece before it. Comments
on lines of their own are directives:

    /* tree: NAME */             keep the kernel's piece NAME; the next piece goes after it
    /* tree comment: NAME */     keep the comment above NAME, even if NAME is replaced or removed
    /* gone: NAME NAME... */     remove these pieces and the comments above them; the next piece goes there

In the body of a function:

    /* tree: WORD */             keep the kernel's statement that has this word, and the comment above it
    /* tree comment: WORD */     keep only that comment
    /* tree code: WORD */        keep only that statement
    /* tree head: WORD */        keep only the line that opens that block
    /* tree: ... */              keep all statements up to the next one that is named, or to the end
    /* tree without: TEXT */     keep the statement that has this text, without the text
    /* gone: WORD */             remove that statement, and all between the last one that is named and it
    /* gone head: WORD */        the same, but of a block only the line that opens it
    /* gone if there: WORD */    the same as gone, if there is such a statement; for what a fix has added

A word in the first line of a block names the whole block. A function of ours without a comment keeps the kernel's
comment.

Code that is removed or replaced must have a known form. forms.toml stores a form as one hash for each statement,
without white space and comments. So changes elsewhere do not matter. A change to code that we replace is refused, and
named by function and statement. "overlay.py --learn" adds the forms of a tree.
"""

import difflib
import hashlib
import re
from dataclasses import dataclass, field
from typing import Any

DIRECTIVE = re.compile(
    r"[ \t]*/\* (tree|tree comment|tree code|tree head|tree without|gone|gone head|gone if there): (.*?) \*/\n")
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])+'", re.S)


class Refused(Exception):
    """A kernel piece is missing or ambiguous."""


def masked(text: str) -> str:
    """The text with comments replaced by blanks and quoted text by x. Lines stay the same."""
    return COMMENT.sub(lambda m: re.sub(r"[^\n]", " " if m[0][0] == "/" else "x", m[0]), text)


def squeezed(code: str) -> str:
    """Code without comments and white space, for comparisons."""
    return re.sub(r"\s+", "", COMMENT.sub(lambda m: m[0] if m[0][0] in "\"'" else "", code))


@dataclass
class Chunk:
    """Some lines of code, the comment above them, and the blank lines above that."""
    blank: int
    comment: str
    code: str = ""
    name: str = ""
    # The number of statements of the block that this one opens, itself included.
    size: int = 1

    def text(self) -> str:
        return "\n" * self.blank + self.comment + self.code

    def has(self, word: str) -> bool:
        return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", masked(self.code)) is not None


def chunks(text: str, inside: bool) -> list[Chunk]:
    """Cut text into pieces or, inside a function, statements."""
    found: list[Chunk] = []
    rest, plain = text.splitlines(keepends=True), masked(text).splitlines(keepends=True)
    at, chunk = 0, Chunk(0, "")

    def done() -> None:
        nonlocal chunk
        found.append(chunk)
        chunk = Chunk(0, "")

    while at < len(rest):
        if not rest[at].strip():
            if chunk.comment:
                done()
            chunk.blank += 1
            at += 1
        elif not plain[at].strip():
            chunk.comment += rest[at]
            while "*/" not in rest[at] and not rest[at].lstrip().startswith("//"):
                at += 1
                chunk.comment += rest[at]
            at += 1
            # The licence line is a comment of its own.
            if "SPDX-License-Identifier" in chunk.comment:
                done()
        else:
            first = at
            at += 1
            if plain[first].lstrip().startswith("#"):
                while rest[at - 1].endswith("\\\n"):
                    at += 1
            else:
                while not whole("".join(plain[first:at]), inside) and at < len(rest):
                    at += 1
            chunk.code = "".join(rest[first:at])
            done()
    if chunk.comment:
        done()
    for each in found:
        each.name = "" if inside else name_of(each.code)
    if inside:
        measure(found)
    return found


def whole(plain: str, inside: bool) -> bool:
    """Whether these lines are a complete piece or statement, or the first or last line of a block."""
    plain = plain.rstrip()
    if plain.count("(") != plain.count(")"):
        return False
    if inside:
        return plain[-1] in ";{}" or re.fullmatch(r"\s*(case\b.*|\w+\s*):", plain, re.S) is not None
    # A function ends at a brace in the first column. Ours may be unbalanced, as kept statements bring their own braces.
    return plain.splitlines()[-1][0] == "}" or plain.count("{") == plain.count("}") and plain[-1] in ";}"


def measure(found: list[Chunk]) -> None:
    """Set the size of the block of each statement."""
    for at, chunk in enumerate(found):
        depth = 0
        for size, other in enumerate(found[at:], 1):
            plain = masked(other.code)
            depth += plain.count("{") - plain.count("}")
            if depth <= 0:
                chunk.size = size if chunk.code.rstrip().endswith("{") else 1
                break


def name_of(code: str) -> str:
    plain = masked(code).strip()
    if not plain:
        return ""
    if match := re.match(r"#\s*(?:define\s+(\w+)|include\s+(\S+))", code):
        return match[1] or match[2]
    if plain.startswith("#"):
        return plain
    head = re.split(r"[{=;]", plain, maxsplit=1)[0].strip()
    if match := re.search(r"\b(?:DEFINE|DECLARE)_(\w+)\(([^()]*)\)", head):
        return match[2].split(",")[-1 if "PER_CPU" in match[1] else 0].strip()
    if re.fullmatch(r"\w+\(\w+\)", head) or re.fullmatch(r"(struct|union|enum)\s+\w+", head):
        return head
    if "(" in head:
        before = head.split("(", maxsplit=1)[0]
    else:
        before = re.sub(r"(\s+__\w+)+$", "", head.split("[", maxsplit=1)[0].strip())
    words: list[str] = re.findall(r"\w+", before)
    return words[-1] if words else ""


@dataclass
class Function:
    """A function: the head, the statements, and the closing brace."""
    head: str
    body: list[Chunk]
    tail: str

    @classmethod
    def of(cls, code: str) -> "Function | None":
        match = re.fullmatch(r"([^{]*?\)[^{]*\n\{\n)(.*\n|)(\}\n)", code, re.S)
        return cls(match[1], chunks(match[2], True), match[3]) if match else None


@dataclass
class Splice:
    """A kernel file and a file of pieces."""
    path: str
    tree: str
    ours: str
    forms: dict[str, list[dict[str, Any]]]
    problems: list[str] = field(default_factory=list)
    # For --learn: forms that are not known are no problem.
    learn: bool = False
    # The form of what is removed or replaced in each piece, for --learn.
    lost: dict[str, str] = field(default_factory=dict)

    def result(self) -> str:
        pieces = chunks(self.tree, False)
        # A new piece goes after this one.
        last = -1
        for ours in self.of_ours():
            directive = DIRECTIVE.fullmatch(ours.comment) if not ours.code else None
            try:
                if directive:
                    last = self.follow(directive, pieces, last)
                elif ours.name.startswith("<"):
                    self.include(pieces, ours)
                elif ours.name[0] not in "#\"" and self.theirs(pieces, ours):
                    last = self.find(pieces, ours.name, ours.code)
                    self.replace(pieces[last], ours)
                else:
                    last += 1
                    pieces.insert(last, ours)
            except Refused as refused:
                self.problems.append(f"{self.path}: {refused}")
        return "".join(piece.text() for piece in pieces if piece.comment or piece.code)

    def there(self) -> bool:
        """Whether the kernel's functions already have all our statements."""
        pieces = chunks(self.tree, False)
        theirs = {name: squeezed("".join(piece.code for piece in pieces if piece.name == name)) for name in
                  {piece.name for piece in pieces}}
        return all(squeezed(statement.code) in theirs.get(ours.name, "") for ours in self.of_ours() if ours.code
                   for statement in (Function.of(ours.code) or Function("", [ours], "")).body)

    def of_ours(self) -> list[Chunk]:
        """Our pieces and directives, without the comment at the head of the file."""
        found = chunks(re.sub(f"^(?=/){DIRECTIVE.pattern}", r"\g<0>\n", self.ours, flags=re.M), False)
        for before, chunk in zip(found, found[1:]):
            chunk.blank -= not before.code and bool(DIRECTIVE.fullmatch(before.comment))
        after = next((at for at, chunk in enumerate(found)
                      if chunk.code or DIRECTIVE.fullmatch(chunk.comment)), len(found))
        return found[after:]

    def theirs(self, pieces: list[Chunk], ours: Chunk) -> bool:
        """Whether our piece is to replace a piece of the kernel. True also if the tree lacks the latter."""
        return ours.name in self.forms or any(piece.name == ours.name for piece in pieces) or \
            re.search(DIRECTIVE.pattern, ours.code) is not None

    def find(self, pieces: list[Chunk], name: str, ours: str = "") -> int:
        at = [i for i, piece in enumerate(pieces) if piece.name == name]
        # An #if and its #else may both have the function. Take the one with all statements that our piece names.
        if len(at) > 1:
            words = [match[2] for match in DIRECTIVE.finditer(ours) if match[2] != "..."]
            at = [i for i in at if all(pieces[i].has(word) for word in words)]
        if len(at) != 1:
            raise Refused(f"has {name} {len(at)} times, not once")
        return at[0]

    def follow(self, directive: re.Match[str], pieces: list[Chunk], last: int) -> int:
        what, names = directive.groups()
        if what == "tree":
            return self.find(pieces, names)
        if what == "tree comment":
            at = self.find(pieces, names)
            pieces.insert(at, Chunk(pieces[at].blank, pieces[at].comment))
            pieces[at + 1].comment = ""
            pieces[at + 1].blank = 1
            return at
        for name in names.split():
            at = self.find(pieces, name)
            self.lose(name, self.hashes(pieces[at].code))
            if at + 1 < len(pieces):
                pieces[at + 1].blank = max(pieces[at].blank, pieces[at + 1].blank)
            del pieces[at]
            last = at - 1
        return last

    def include(self, pieces: list[Chunk], ours: Chunk) -> None:
        """Insert an include in alphabetical order among those of its directory."""
        if any(piece.name == ours.name for piece in pieces):
            return
        group = [i for i, piece in enumerate(pieces) if piece.code.startswith("#")
                 and piece.name.split("/")[0] == ours.name.split("/")[0]]
        if not group:
            raise Refused(f"includes nothing from {ours.name.split('/')[0][1:]}/")
        lower = [i for i in group if pieces[i].name < ours.name]
        at = lower[-1] + 1 if lower else group[0]
        new = Chunk(0, "", ours.code, ours.name)
        if not lower:
            # The comment above the first include is the head of the file.
            new.blank, new.comment = pieces[at].blank, pieces[at].comment
            pieces[at].blank, pieces[at].comment = 0, ""
        pieces.insert(at, new)

    def replace(self, piece: Chunk, ours: Chunk) -> None:
        piece.comment = ours.comment or piece.comment
        mine, theirs = Function.of(ours.code), Function.of(piece.code)
        if not mine or not theirs:
            if squeezed(piece.code) != squeezed(ours.code):
                self.lose(piece.name, self.hashes(piece.code))
                piece.code = ours.code
            return
        lost: list[str] = []
        head = theirs.head
        if squeezed(mine.head) != squeezed(theirs.head):
            lost.append(theirs.head)
            head = mine.head
        text, left = self.body(ours.code, theirs.body)
        lost += [chunk.code for chunk in left]
        self.lose(piece.name, self.hashes("".join(lost)))
        piece.code = head + text + theirs.tail

    def body(self, ours: str, theirs: list[Chunk]) -> tuple[str, list[Chunk]]:
        """Our body with the kernel's statements that it names, and the statements that it does not keep."""
        lines = ours[ours.index("\n{\n") + 3:ours.rindex("}\n")].splitlines(keepends=True)
        rows: list[tuple[str, str, int, int]] = []
        at = 0
        for line in lines:
            if not (directive := DIRECTIVE.fullmatch(line)):
                rows.append((line, "", at, at))
            elif directive[2] == "...":
                rows.append(("", "...", at, at))
            else:
                first, end = self.named(directive[1], directive[2], theirs, at)
                rows.append((directive[2], directive[1], first, end))
                at = end
        text, kept = "", set[int]()
        for number, (line, what, first, end) in enumerate(rows):
            if what == "...":
                end = next((row[2] for row in rows[number + 1:] if row[1] not in ("", "...")), len(theirs))
                text += "".join(chunk.text() for chunk in theirs[first:end])
            elif not what:
                text += line
            elif what == "tree comment":
                text += theirs[first].comment
            elif what == "tree without":
                text += theirs[first].comment + gap(line).sub("", theirs[first].code)
            elif not what.startswith("gone"):
                text += theirs[first].comment if what != "tree code" else ""
                text += theirs[first].code + "".join(chunk.text() for chunk in theirs[first + 1:end])
            if what == "..." or what.startswith("tree"):
                kept |= {*range(first, end)}
        return text, [chunk for i, chunk in enumerate(theirs) if i not in kept]

    def named(self, what: str, word: str, theirs: list[Chunk], at: int) -> tuple[int, int]:
        """The range of the statements that a directive names."""
        def has(chunk: Chunk) -> bool:
            return gap(word).search(chunk.code) is not None if what == "tree without" else chunk.has(word)
        found = [i for i, chunk in enumerate(theirs) if has(chunk)]
        if what == "gone if there" and not found:
            return at, at
        # The next statement matches even if others have the word as well.
        if at in found:
            found = [at]
        if len(found) != 1 or found[0] < at:
            raise Refused(f"has \"{word}\" in {len(found)} statements of the function, not in one, or in a wrong order")
        size = {"tree comment": 0, "tree head": 1, "tree without": 1, "gone head": 1}.get(what, theirs[found[0]].size)
        return found[0], found[0] + size

    def hashes(self, code: str) -> list[tuple[str, str]]:
        """The statements of the code, each with its hash."""
        parts = re.findall(r".*?[;{}]\s*|.+$", COMMENT.sub(lambda m: m[0] if m[0][0] in "\"'" else " ", code), re.S)
        return [(hashlib.sha256(squeezed(part).encode()).hexdigest()[:8], " ".join(part.split()))
                for part in parts if part.strip()]

    def lose(self, name: str, parts: list[tuple[str, str]]) -> None:
        form = " ".join(digest for digest, _ in parts)
        if not form:
            return
        self.lost[name] = form
        known = self.forms.get(name, [])
        if self.learn or form in (each["form"] for each in known):
            return
        kernels = ", ".join(sorted({kernel for each in known for kernel in each["kernels"]})) or "any known version"
        best = max((difflib.SequenceMatcher(None, each["form"].split(), form.split()) for each in known),
                   key=lambda match: match.ratio(), default=None)
        said = [f"{self.path}: {name} is not as in Linux {kernels}: check what the difference means for our piece"]
        for tag, a, b, c, d in best.get_opcodes() if best else []:
            if tag in ("delete", "replace"):
                before = f" after \"{parts[c - 1][1]}\"" if c else ""
                said.append(f"      - {b - a} known statement{'s' * (b - a > 1)}{before}")
            if tag in ("insert", "replace"):
                said += [f"      + {text}" for _, text in parts[c:d]]
        self.problems.append("\n".join(said))


def gap(text: str) -> re.Pattern[str]:
    """Match the text with any white space between its tokens and after it."""
    return re.compile(r"\s*".join(map(re.escape, re.findall(r"\w+|[^\w\s]", text))) + r"\s*")
