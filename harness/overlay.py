#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Lay our files over a kernel tree, all of them or none.

The new content of every file is worked out first, in memory, and whatever does not fit is reported in one go;
only a tree where everything fits is written to. What was written is remembered in the tree (in STAMP), so that a
later version of ours can take the place of an earlier one while somebody's edits to our files are left alone.

The table of what goes where is overlay.toml.
"""

import argparse
import contextlib
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

STAMP = ".idgen-overlay.json"
# Of what the table has, what comes with a patch.
KINDS = ("file", "remove", "insert")
HERE = Path(__file__).resolve().parent


class Overlay:
    """One tree, the files it will hold, and the reasons why it cannot."""

    def __init__(self, ours: Path, tree: Path, table: dict[str, Any]) -> None:
        self.ours = ours
        self.tree = tree
        whole = expand(table, ours)
        self.table = fitting(whole, tree)
        self.problems: list[str] = []
        # None for a file that is not there, or goes.
        self.result: dict[str, str | None] = {}
        # "files" has the sha256 of ours, "replaced" those that the kernel's may have which were replaced or removed.
        self.wrote: dict[str, Any] = {"files": {}, "replaced": {}, "lines": []}
        self.before: dict[str, Any] = {"files": {}, "replaced": {}, "lines": []}
        stamp = tree / STAMP
        if stamp.exists():
            self.before = json.loads(stamp.read_text(encoding="utf-8"))
        # Stamps did not have that from the start.
        self.before.setdefault("replaced", {e["path"]: [*e["replaces"].values()] for e in whole["file"]
                                            if "replaces" in e and e["path"] in self.before["files"]})

    def current(self, path: str) -> str | None:
        """The content that a file has by now, None if there is no such file."""
        if path not in self.result:
            held = self.held(path)
            if held is None:
                return None
            self.result[path] = held
        return self.result[path]

    def held(self, path: str) -> str | None:
        full = self.tree / path
        return full.read_text(encoding="utf-8") if full.is_file() else None

    def whole_file(self, path: str, replaces: dict[str, str]) -> None:
        source = self.ours / path
        if not source.is_file():
            self.problems.append(f"{path}: missing from {self.ours}, restore it there")
            return
        content = self.renamed(path, source.read_text(encoding="utf-8"))
        old = self.current(path)
        self.result[path] = content
        self.wrote["files"][path] = sha256(content)
        if replaces:
            self.wrote["replaced"][path] = [*replaces.values()]
        for spot in self.table["insert"]:
            if spot["path"] == path:
                self.insertion(spot)
        if old is None:
            if replaces:
                self.problems.append(f"{path}: not in this tree, so there is nothing to replace")
        elif old not in (content, self.result[path]):
            self.known(path, old, replaces)

    def removal(self, path: str, replaces: dict[str, str]) -> None:
        old = self.current(path)
        if old is not None:
            self.known(path, old, replaces)
        self.result[path] = None
        self.wrote["replaced"][path] = [*replaces.values()]

    def known(self, path: str, old: str, replaces: dict[str, str]) -> None:
        """See that what will be lost is the kernel's, or ours of an earlier run."""
        digest = sha256(old)
        if digest not in [*replaces.values(), self.before["files"].get(path)]:
            self.problems.append(f"{path}: {self.foreign(path, replaces)} (sha256 {digest})")

    def foreign(self, path: str, replaces: dict[str, str]) -> str:
        """What is wrong with a file that would be lost, and what to do about it."""
        if path in self.before["files"]:
            return "edited since it was laid over; keep its changes elsewhere and restore it"
        if replaces:
            return f"not as in Linux {' or '.join(replaces)}; what is different has to go into ours first, or to be undone"
        return "there already, and not as ours; give a tree without it"

    def renamed(self, path: str, content: str) -> str:
        for rename in self.table.get("rename", []):
            if rename["path"] != path:
                continue
            header = self.current(rename["header"])
            if header is None:
                self.problems.append(f"{rename['header']}: not in this tree, needed to spell {rename['word']} in {path}")
            elif re.search(rf"\b{rename['older']}\b", header):
                content = re.sub(rf"\b{rename['word']}\b", rename["older"], content)
        return content

    def take_back(self) -> None:
        """Undo the insertions of an earlier run, unless somebody undid or changed them since."""
        for path, text, *instead in self.before["lines"]:
            now, old = self.current(path), "".join(instead)
            if now is not None and laid(now, text, old):
                self.result[path] = exchanged(now, text, old)

    def no_more(self, path: str) -> None:
        """Of what an earlier run did, but this one does not: ours goes, unless edited; the kernel's has to be back."""
        now = self.current(path)
        digest = None if now is None else sha256(now)
        if path not in self.before["replaced"]:
            if digest == self.before["files"][path]:
                self.result[path] = None
        elif digest not in self.before["replaced"][path]:
            self.problems.append(f"{path}: replaced or removed by an earlier run, and not in this one; was that one with WITH=? "
                                 f"Give it again, or restore what was there; if it is as it should be, remove {STAMP}")

    def insertion(self, spot: dict[str, Any]) -> None:
        if "older" in spot and self.current(spot["path"]) is None:
            spot = spot["older"]
        path, text = spot["path"], spot["text"].lstrip("\n")
        side = "before" if "before" in spot else "after"
        now = self.current(path)
        if now is None:
            self.problems.append(f"{path}: not in this tree")
            return
        if "instead" in spot:
            self.replacement(path, now, text, spot["instead"].lstrip("\n"))
            return
        self.wrote["lines"].append([path, text])
        first = text.splitlines()[0]
        lines = now.splitlines(keepends=True)
        if first + "\n" in lines:
            if text not in now:
                self.problems.append(f"{path}: has its own \"{first.strip()}\", differing from ours; remove it")
            return
        anchor = spot[side] + "\n"
        if lines.count(anchor) != 1:
            self.problems.append(f"{path}: the line \"{spot[side].strip()}\" is there "
                                 f"{lines.count(anchor)} times, not once; add a spot to overlay.toml")
            return
        lines.insert(lines.index(anchor) + (side == "after"), text)
        self.result[path] = "".join(lines)

    def replacement(self, path: str, now: str, text: str, old: str) -> None:
        self.wrote["lines"].append([path, text, old])
        if laid(now, text, old):
            return
        if times(now, old) != 1:
            self.problems.append(f"{path}: what begins with \"{old.splitlines()[0].strip()}\" is there "
                                 f"{times(now, old)} times, not once; add a spot to overlay.toml")
            return
        self.result[path] = exchanged(now, old, text)

    def work_out(self) -> None:
        for old in self.tree.glob(".idgen-*/old"):
            self.problems.append(f"{old.parent.name}: of a run that was ended halfway; have the tree as before it by "
                                 f"\"cp -a {old}/. {self.tree} && rm -r {old.parent}\"")
        self.take_back()
        for entry in self.table["file"]:
            self.whole_file(entry["path"], entry.get("replaces", {}))
        for entry in self.table["remove"]:
            self.removal(entry["path"], entry["replaces"])
        for spot in self.table["insert"]:
            if spot["path"] not in self.wrote["files"]:
                self.insertion(spot)
        concerned, were = ({*run["files"], *run["replaced"]} for run in (self.wrote, self.before))
        for path in sorted(were - concerned):
            self.no_more(path)
        self.result[STAMP] = json.dumps(self.wrote, indent=1) + "\n"

    def changes(self) -> list[str]:
        return [path for path, content in self.result.items() if self.held(path) != content]

    def new_mode(self, path: str) -> int:
        return 0o755 if os.access(self.ours / path, os.X_OK) else 0o644

    def write(self, changed: list[str]) -> None:
        """All of it, or none: what comes is staged, and what it replaces is kept, until nothing can fail any more."""
        with contextlib.ExitStack() as at_end:
            scratch = Path(tempfile.mkdtemp(prefix=".idgen-", dir=self.tree))
            at_end.callback(shutil.rmtree, scratch)
            new, keep = scratch / "new", scratch / "keep"
            keep.mkdir()
            for path in changed:
                content, place = self.result[path], self.tree / path
                if content is not None:
                    (new / path).parent.mkdir(parents=True, exist_ok=True)
                    (new / path).write_text(content, encoding="utf-8")
                    (new / path).chmod(place.stat().st_mode & 0o777 if place.exists() else self.new_mode(path))
                if place.exists():
                    (keep / path).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(place, keep / path, follow_symlinks=False)
            # From here on, work_out() knows a run that was ended by it.
            old = keep.rename(scratch / "old")
            try:
                for path in changed:
                    move(new / path, self.tree / path)
            except BaseException:
                # If this fails as well, it stays.
                put_back = at_end.pop_all()
                for path in changed:
                    move(old / path, self.tree / path)
                with put_back:
                    raise
            finally:
                # As git does: no directory stays that has nothing in it.
                for path in changed:
                    with contextlib.suppress(OSError):
                        os.removedirs((self.tree / path).parent)


def move(source: Path, place: Path) -> None:
    """Where nothing is to be moved there, nothing is to be there."""
    if source.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        os.replace(source, place)
    else:
        place.unlink(missing_ok=True)


def times(content: str, lines: str) -> int:
    """How often these lines, whole ones, are in it."""
    return len(re.findall("^" + re.escape(lines), content, re.M))


def exchanged(content: str, lines: str, others: str) -> str:
    return re.sub("^" + re.escape(lines), lambda _: others, content, flags=re.M)


def laid(content: str, text: str, old: str) -> bool:
    """Whether it has our text once, in the place of the old one. Either may be part of the other."""
    return times(content, text) == 1 and (times(text, old) > 0 or not times(content, old))


def sha256(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def load() -> dict[str, Any]:
    return tomllib.loads((HERE / "overlay.toml").read_text(encoding="utf-8"))


def expand(table: dict[str, Any], ours: Path) -> dict[str, Any]:
    """The table with the files of its directories, one by one."""
    files = list(table["file"])
    for directory in table.get("directory", []):
        top = ours / directory["path"]
        leave = {*directory.get("leave", []), "__pycache__"}
        for path in sorted(top.rglob("*")):
            if path.is_file() and not leave.intersection(path.relative_to(top).parts):
                files.append({**directory, "path": str(path.relative_to(ours))})
    return {"remove": [], **table, "file": files, "directory": []}


def left_out(table: dict[str, Any], tree: Path) -> list[str]:
    """The patches for which the tree is too old, and those that nobody has asked for."""
    optional, asked = table.get("optional", {}), os.environ.get("WITH", "").split()
    if unknown := set(asked) - set(optional):
        raise ValueError(f"WITH={' '.join(unknown)}: there is no such patch, only {', '.join(optional)}")
    return [*(patch for patch in optional if patch not in asked),
            *(patch for patch, path in table.get("needs", {}).items() if not (tree / path).is_file())]


def fitting(table: dict[str, Any], tree: Path) -> dict[str, Any]:
    """The table without them."""
    out = left_out(table, tree)
    return {**table, **{kind: [e for e in table[kind] if e.get("patch") not in out] for kind in KINDS}}


def touched(table: dict[str, Any]) -> list[str]:
    """Every path that the overlay reads or writes in a tree."""
    spots = [s for spot in table["insert"] for s in (spot, spot.get("older", spot))]
    paths = [s["path"] for s in [*table["file"], *table["remove"], *spots]] + [r["header"] for r in table.get("rename", [])]
    return sorted({*paths, *table.get("needs", {}).values(), STAMP})


def main() -> int:
    parser = argparse.ArgumentParser(description="Lay our kernel files over a kernel tree.")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="say whether it would fit, change nothing")
    what.add_argument("--paths", action="store_true", help="list the paths concerned, one a line")
    parser.add_argument("tree", type=Path, nargs="?", help="the kernel tree")
    args = parser.parse_args()
    table = expand(load(), HERE.parent)
    if args.paths:
        print("\n".join(touched(table)))
        return 0
    if args.tree is None:
        parser.error("name the kernel tree")
    try:
        overlay = Overlay(HERE.parent, args.tree, table)
        overlay.work_out()
        changed = overlay.changes()
        if overlay.problems:
            print(f"{args.tree}: our files do not fit, and nothing was changed:", file=sys.stderr)
            for problem in overlay.problems:
                print(f"  {problem}", file=sys.stderr)
            return 1
        if not args.check:
            overlay.write(changed)
    except (OSError, ValueError) as error:
        outcome = "nothing was laid over"
        if any(args.tree.glob(".idgen-*/old")):
            outcome = "what was there could not be put back either: run this again, it says how to"
        print(f"{args.tree}: {error}; {outcome}", file=sys.stderr)
        return 1
    verb = "would be written" if args.check else "written"
    print(f"{args.tree}: {len(changed)} files {verb}, {len(overlay.result) - len(changed)} as they should be")
    return 0


if __name__ == "__main__":
    sys.exit(main())
