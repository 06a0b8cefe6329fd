#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Lay our files over a kernel tree, all of them or none.

First the new content of all files is computed in memory, and all problems are reported at once. The tree is written to
only if there are none. The file STAMP in the tree records what was written and what was there before, so that a later
version of our files can replace an earlier one.

overlay.toml lists the files. splice.py edits kernel files, and keeps all that we do not change.
"""

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from splice import Splice

STAMP = ".idgen-overlay.json"
# The parts of the table whose entries belong to a patch.
KINDS = ("file", "pieces", "remove", "insert")
HERE = Path(__file__).resolve().parent
OURS = HERE.parents[1]
# The name in forms.toml for a file that is removed as a whole.
WHOLE = "the file"


class Overlay:
    """One tree, the files that it will hold, and the problems."""

    def __init__(self, ours: Path, tree: Path, table: dict[str, Any], forms: dict[str, Any],
                 to_learn: bool = False) -> None:
        self.ours = ours
        self.tree = tree
        self.table = fitting(expand(table, ours), tree)
        self.forms = forms
        self.to_learn = to_learn
        self.problems: list[str] = []
        # For each kernel file, the forms of what our pieces replace or remove, for --learn.
        self.lost: dict[str, dict[str, str]] = {}
        # None for a file that does not exist, or is to be removed.
        self.result: dict[str, str | None] = {}
        # "files" has the sha256 of our files. "kept" has, for kernel files, the text that "was" there and the sha256 of
        # what "is" there now.
        self.wrote: dict[str, Any] = {"files": {}, "kept": {}, "lines": []}
        self.before: dict[str, Any] = {"files": {}, "kept": {}, "lines": []}
        stamp = tree / STAMP
        if stamp.exists():
            self.before = json.loads(stamp.read_text(encoding="utf-8"))
            if "kept" not in self.before:
                raise ValueError(f"{STAMP} was written by an older version of this program: "
                                 "restore the tree, and remove it")

    def current(self, path: str) -> str | None:
        """The current content of a file, None if there is no such file."""
        if path not in self.result:
            held = self.held(path)
            if held is None:
                return None
            self.result[path] = held
        return self.result[path]

    def held(self, path: str) -> str | None:
        full = self.tree / path
        return full.read_text(encoding="utf-8") if full.is_file() else None

    def source(self, path: str) -> str | None:
        source = self.ours / path
        if not source.is_file():
            self.problems.append(f"{path}: missing in {self.ours}; restore it there")
            return None
        return source.read_text(encoding="utf-8")

    def whole_file(self, path: str) -> None:
        content = self.source(path)
        if content is None:
            return
        old = self.current(path)
        self.result[path] = content
        self.wrote["files"][path] = sha256(content)
        if old is None or sha256(old) in (sha256(content), self.before["files"].get(path)):
            return
        if path in self.before["files"]:
            what = "edited since it was laid over; keep its changes elsewhere and restore it"
        else:
            what = "exists already, and differs from ours; give a tree without it"
        self.problems.append(f"{path}: {what}")

    def splice(self, path: str, tree: str, ours: str) -> Splice:
        return Splice(path, tree, ours, self.forms.get(path, {}), learn=self.to_learn)

    def pieces(self, path: str) -> None:
        ours, tree = self.source(path), self.current(path)
        if ours is None:
            return
        if tree is None:
            self.problems.append(f"{path}: not in this tree, so it cannot be changed")
            return
        splice = self.splice(path, tree, ours)
        result = splice.result()
        self.lost[path] = splice.lost
        self.keep(path, tree, result, splice.problems)

    def there(self) -> bool:
        """Whether the tree has all that our pieces add."""
        return all(Splice(entry["path"], self.held(entry["path"]) or "", self.source(entry["path"]) or "", {}).there()
                   for entry in self.table["pieces"])

    def removal(self, path: str) -> None:
        tree = self.current(path)
        if tree is None:
            return
        splice = self.splice(path, tree, "")
        splice.lose(WHOLE, splice.hashes(tree))
        self.lost[path] = splice.lost
        self.keep(path, tree, None, splice.problems)

    def keep(self, path: str, was: str, result: str | None, problems: list[str]) -> None:
        if problems and path in self.before["kept"]:
            problems = [f"{path}: edited since it was laid over; keep its changes elsewhere and restore it"]
        self.problems += problems
        self.result[path] = result
        self.wrote["kept"].setdefault(path, {"was": was})["is"] = None if result is None else sha256(result)

    def take_back(self) -> None:
        """Undo the changes of an earlier run to kernel files, unless the files have changed since."""
        for path, kept in self.before["kept"].items():
            now = self.current(path)
            if kept["is"] == (None if now is None else sha256(now)):
                self.result[path] = kept["was"]
        for path, text in self.before["lines"]:
            now = self.current(path)
            if now is not None and now.count(text) == 1:
                self.result[path] = now.replace(text, "")

    def no_more(self, path: str) -> None:
        """Remove a file that is no longer one of ours, unless it was edited."""
        now = self.current(path)
        if now is not None and sha256(now) == self.before["files"][path]:
            self.result[path] = None

    def insertion(self, spot: dict[str, Any]) -> None:
        if "older" in spot and self.current(spot["path"]) is None:
            spot = spot["older"]
        path, text = spot["path"], spot["text"].lstrip("\n")
        now = self.current(path)
        if now is None:
            self.problems.append(f"{path}: not in this tree")
            return
        if "unless" in spot and spot["unless"] in now:
            return
        lines = now.splitlines(keepends=True)
        if "section" in spot:
            self.entries(path, lines, spot["section"], text)
            return
        self.wrote["lines"].append([path, text])
        first = text.splitlines()[0]
        if first + "\n" in lines:
            if text not in now:
                self.problems.append(f"{path}: has its own \"{first.strip()}\", which differs from ours; remove it")
            return
        side = "before" if "before" in spot else "after"
        anchor = spot[side] + "\n"
        if lines.count(anchor) != 1:
            self.problems.append(f"{path}: the line \"{spot[side].strip()}\" exists "
                                 f"{lines.count(anchor)} times, not once; add a place to overlay.toml")
            return
        lines.insert(lines.index(anchor) + (side == "after"), text)
        self.result[path] = "".join(lines)

    def entries(self, path: str, lines: list[str], section: str, text: str) -> None:
        """Insert lines into a sorted paragraph, each among those of its kind."""
        if (count := lines.count(section + "\n")) != 1:
            self.problems.append(f"{path}: the section \"{section}\" exists {count} times, not once")
            return
        first = lines.index(section + "\n")
        for line in text.splitlines(keepends=True):
            end = lines.index("\n", first)
            if line in lines[first:end]:
                continue
            kind = [at for at in range(first, end) if lines[at][:2] == line[:2]]
            lower = [at for at in kind if lines[at] < line]
            at = lower[-1] + 1 if lower else kind[0] if kind else end
            lines.insert(at, line)
        self.keep(path, self.current(path) or "", "".join(lines), [])

    def reword(self, spot: dict[str, Any]) -> None:
        """Replace a text in a kernel file that has it exactly once; make lint checks that the default kernel has it."""
        now = self.current(spot["path"]) or ""
        if now.count(spot["old"]) == 1:
            self.keep(spot["path"], now, now.replace(spot["old"], spot["new"]), [])

    def drop(self, spot: dict[str, Any]) -> None:
        """Remove a line of a kernel file."""
        path, line = spot["path"], spot["drop"] + "\n"
        now = self.current(path)
        lines = [] if now is None else now.splitlines(keepends=True)
        if lines.count(line) != 1:
            self.problems.append(f"{path}: the line \"{line.strip()}\" exists {lines.count(line)} times, not once")
            return
        lines.remove(line)
        self.keep(path, now or "", "".join(lines), [])

    def work_out(self) -> None:
        for old in self.tree.glob(".idgen-*/old"):
            self.problems.append(f"{old.parent.name}: left by a run that was killed halfway; restore the tree with "
                                 f"\"cp -a {old}/. {self.tree} && rm -r {old.parent}\"")
        self.take_back()
        for entry in self.table["file"]:
            self.whole_file(entry["path"])
        for entry in self.table["pieces"]:
            self.pieces(entry["path"])
        for entry in self.table["remove"]:
            self.removal(entry["path"])
        for spot in self.table["insert"]:
            if "drop" in spot:
                self.drop(spot)
            elif "old" in spot:
                self.reword(spot)
            else:
                self.insertion(spot)
        for path in sorted({*self.before["files"]} - {*self.wrote["files"]}):
            self.no_more(path)
        self.result[STAMP] = json.dumps(self.wrote, indent=1) + "\n"

    def changes(self) -> list[str]:
        return [path for path, content in self.result.items() if self.held(path) != content]

    def new_mode(self, path: str) -> int:
        return 0o755 if os.access(self.ours / path, os.X_OK) else 0o644

    def write(self, changed: list[str]) -> None:
        """Write all files or none: stage the new files, and keep the old ones until nothing can fail any more."""
        with contextlib.ExitStack() as at_end:
            scratch = Path(tempfile.mkdtemp(prefix=".idgen-", dir=self.tree))
            at_end.callback(clear, self.tree)
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
            # From here on, the name "old" tells work_out() that a run was killed halfway.
            old = keep.rename(scratch / "old")
            try:
                for path in changed:
                    move(new / path, self.tree / path)
            except BaseException:
                # If this fails as well, the scratch directory stays.
                put_back = at_end.pop_all()
                for path in changed:
                    move(old / path, self.tree / path)
                with put_back:
                    raise
            finally:
                # Remove empty directories, as git does.
                for path in changed:
                    with contextlib.suppress(OSError):
                        os.removedirs((self.tree / path).parent)


def move(source: Path, place: Path) -> None:
    """Move a file. If there is no source, remove the file at the destination."""
    if source.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        os.replace(source, place)
    else:
        place.unlink(missing_ok=True)


def clear(tree: Path) -> None:
    """Remove the scratch directories, including those of an interrupted clear().

    A directory "old" in one of them means that the tree must be restored from it, so rename that first.
    """
    for scratch in tree.glob(".idgen-*/"):
        if (scratch / "old").exists():
            (scratch / "old").rename(scratch / "done")
        shutil.rmtree(scratch)


def sha256(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def load(name: str = "overlay.toml") -> dict[str, Any]:
    return tomllib.loads((HERE / name).read_text(encoding="utf-8"))


def fixes() -> list[tuple[Path, dict[str, Any]]]:
    """The directories with the pieces of the fixes, and the table of each."""
    found: list[tuple[Path, dict[str, Any]]] = []
    for ours in sorted((OURS / "harness/series/fixes").iterdir()):
        if ours.is_dir():
            pieces = [{"path": str(path.relative_to(ours))} for path in sorted(ours.rglob("*")) if path.is_file()]
            found.append((ours, {"file": [], "insert": [], "optional": load()["optional"], "pieces": pieces}))
    return found


def learn(lost: dict[str, dict[str, str]], version: str) -> None:
    """Add these forms of a kernel version to forms.toml."""
    forms = load("forms.toml")
    for path, pieces in lost.items():
        for name, form in pieces.items():
            known = forms.setdefault(path, {}).setdefault(name, [])
            one = next((each for each in known if each["form"] == form), None)
            if one is None:
                known.append(one := {"kernels": [], "form": form})
            one["kernels"] = sorted({*one["kernels"], version})
    text = ["# SPDX-License-Identifier: GPL-2.0\n#\n"
            "# The known forms of the kernel code that our pieces replace or remove, one hash for each statement.\n"
            "# Written by overlay.py --learn, read by splice.py.\n"]
    for path, pieces in sorted(forms.items()):
        text.append(f"\n[{json.dumps(path)}]\n")
        for name, known in sorted(pieces.items()):
            rows = [f"{{ kernels = {json.dumps(each['kernels'])}, form = \"{each['form']}\" }}" for each in known]
            text.append(f"{json.dumps(name)} = [{(',' + chr(10) + chr(9)).join(rows)}]\n")
    (HERE / "forms.toml").write_text("".join(text), encoding="utf-8")


def expand(table: dict[str, Any], ours: Path) -> dict[str, Any]:
    """The table with each directory replaced by its files."""
    files = list(table["file"])
    for directory in table.get("directory", []):
        top = ours / directory["path"]
        leave = {*directory.get("leave", []), "__pycache__", ".mypy_cache"}
        for path in sorted(top.rglob("*")):
            if path.is_file() and not leave.intersection(path.relative_to(top).parts):
                files.append({**directory, "path": str(path.relative_to(ours))})
    return {"remove": [], "pieces": [], **table, "file": files, "directory": []}


def left_out(table: dict[str, Any], tree: Path) -> list[str]:
    """The patches for which the tree is too old, and the optional ones that WITH= does not name."""
    optional, asked = table.get("optional", {}), os.environ.get("WITH", "").split()
    if unknown := set(asked) - set(optional):
        raise ValueError(f"WITH={' '.join(unknown)}: there is no such patch, only {', '.join(optional)}")
    return [*(patch for patch in optional if patch not in asked),
            *(patch for patch, path in table.get("needs", {}).items() if not (tree / path).is_file())]


def fitting(table: dict[str, Any], tree: Path) -> dict[str, Any]:
    """The table without the patches that are left out."""
    out = left_out(table, tree)
    return {**table, **{kind: [e for e in table[kind] if e.get("patch") not in out] for kind in KINDS}}


def touched(table: dict[str, Any]) -> list[str]:
    """Every path that the overlay reads or writes in a tree."""
    spots = [s for spot in table["insert"] for s in (spot, spot.get("older", spot))]
    paths = [s["path"] for s in [*table["file"], *table["pieces"], *table["remove"], *spots]]
    return sorted({*paths, *table.get("needs", {}).values(), STAMP})


def main() -> int:
    parser = argparse.ArgumentParser(description="Lay our kernel files over a kernel tree.")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--paths", action="store_true", help="list the files that are read or written, one a line")
    what.add_argument("--learn", metavar="VERSION", help="add the forms of a tree of this version to forms.toml")
    parser.add_argument("tree", type=Path, nargs="?", help="the kernel tree")
    args = parser.parse_args()
    table = expand(load(), OURS)
    if args.paths:
        print("\n".join(sorted({*touched(table), *(entry["path"] for _, fix in fixes() for entry in fix["pieces"])})))
        return 0
    if args.tree is None:
        parser.error("name the kernel tree")
    try:
        forms, to_learn = load("forms.toml"), args.learn is not None
        overlay = Overlay(OURS, args.tree, table, forms, to_learn)
        if to_learn:
            if not args.learn:
                raise ValueError("--learn needs a version")
            if not (args.tree / "Kconfig").exists():
                raise ValueError("not a kernel source tree")
            if (args.tree / "lib/idgen_alloc.c").exists() and not overlay.before["files"]:
                raise ValueError("it has our files: give a tree without them")
            overlay.work_out()
            if overlay.problems:
                raise ValueError("\n  ".join(["our files do not fit:", *overlay.problems]))
            learn(overlay.lost, args.learn)
            for fix in [Overlay(ours, args.tree, table, forms, to_learn) for ours, table in fixes()]:
                # A fix that the tree has replaces nothing.
                if not fix.there():
                    fix.work_out()
                    learn(fix.lost, args.learn)
                    for problem in fix.problems:
                        print(f"not learnt: {problem}", file=sys.stderr)
            return 0
        overlay.work_out()
        changed = overlay.changes()
        if overlay.problems:
            print(f"{args.tree}: our files do not fit, and nothing was changed:", file=sys.stderr)
            for problem in overlay.problems:
                print(f"  {problem}", file=sys.stderr)
            return 1
        overlay.write(changed)
    except (OSError, ValueError) as error:
        outcome = "nothing was laid over"
        if any(args.tree.glob(".idgen-*/old")):
            outcome = "the old files could not be restored either; run this again for instructions"
        print(f"{args.tree}: {error}; {outcome}", file=sys.stderr)
        return 1
    print(f"{args.tree}: {len(changed)} files written, {len(overlay.result) - len(changed)} up to date")
    return 0


if __name__ == "__main__":
    sys.exit(main())
