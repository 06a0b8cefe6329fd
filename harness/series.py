#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The project as a series of patches against a kernel tree: git format-patch files, and one mbox.

What our files come to is in the repository, and only there. series.toml says which patches lead to it, in order, and
overlay.toml which of them brings in a file or a line. A patch that changes files of earlier ones has a file of its
own, series/NAME.patch. These are taken back from our files, the last one first; that gives what the files are after
each patch (its "stage"), which the overlay lays over the tree for one commit after the other.

As files change, their patches do. "refresh" brings them up to date, see there.
"""

import argparse
import csv
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import noise
from overlay import KINDS, STAMP, Overlay, expand, left_out, load

HERE = Path(__file__).resolve().parent
OURS = HERE.parent
SPDX = "SPDX-License-Identifier: GPL-2.0\n\n"


class Failure(Exception):
    """What is wrong, and what to do about it."""


def git(*args: str, cwd: Path, env: dict[str, str] | None = None, text: str | None = None, binary: bool = False) -> Any:
    """Run git, whatever the user has told it to do otherwise. Returns what it prints."""
    own = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CEILING_DIRECTORIES": str(cwd.parent)}
    keep = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    done = subprocess.run(["git", *args], cwd=cwd, env={**keep, **own, **(env or {})}, input=text and text.encode(),
                          capture_output=True, check=False)
    if done.returncode:
        raise Failure(f"git {args[0]}: {(done.stderr or done.stdout).decode(errors='replace').strip()}")
    return done.stdout if binary else done.stdout.decode()


class Description:
    """series.toml with the patch files beside it, and the overlay's table."""

    def __init__(self) -> None:
        self.dir = HERE / "series"
        toml = tomllib.loads((self.dir / "series.toml").read_text(encoding="utf-8"))
        self.cover: dict[str, Any] = toml["cover"]
        self.allocators: dict[str, list[str]] = toml["allocator"]
        self.patches: list[dict[str, Any]] = toml["patch"]
        self.names = [patch["name"] for patch in self.patches]
        self.table = expand(load(), OURS)
        for entry in [entry for kind in KINDS for entry in self.table[kind]]:
            if entry.get("patch") not in self.names:
                raise Failure(f"overlay.toml: {entry['path']}: give it patch = \"...\", one of {', '.join(self.names)}")
        for path in self.dir.glob("*.patch"):
            if path.stem not in self.names:
                raise Failure(f"{path.name}: series.toml has no patch of that name")
        self.paths = {entry["path"]: self.names.index(entry["patch"]) for entry in self.table["file"]}

    def change(self, name: str) -> Path | None:
        path = self.dir / f"{name}.patch"
        return path if path.exists() else None

    def own(self, name: str) -> None:
        """A change may only be one of our files, and of those that are there by then."""
        change = self.change(name)
        for path in re.findall(r"^\+\+\+ b/(.*)$", change.read_text(encoding="utf-8") if change else "", re.M):
            if self.paths.get(path, len(self.names)) >= self.names.index(name):
                raise Failure(f"{name}.patch: {path} is no file of ours that an earlier patch brings in")

    def stages(self, where: Path, files: Path = OURS) -> None:
        """Make where/NAME, our files (as in "files") after patch NAME, for each patch."""
        shutil.rmtree(where, ignore_errors=True)
        for at, name in reversed(list(enumerate(self.names))):
            self.own(name)
            stage = where / name
            if at == len(self.names) - 1:
                for path in self.paths:
                    (stage / path).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(files / path if (files / path).exists() else OURS / path, stage / path)
                continue
            shutil.copytree(where / self.names[at + 1], stage)
            change = self.change(self.names[at + 1])
            if change:
                try:
                    git("apply", "-R", "--whitespace=nowarn", str(change), cwd=stage)
                except Failure as failure:
                    raise Failure(f"{change.name} cannot be taken back from our files, which have changed since: "
                                  f"make series-refresh, then look at git diff harness/series\n{failure}") from None

    def upto(self, at: int) -> dict[str, Any]:
        """The overlay's table as of a patch."""
        part = {kind: [e for e in self.table[kind] if self.names.index(e["patch"]) <= at] for kind in KINDS}
        return {**self.table, **part, "rename": [r for r in self.table.get("rename", []) if self.paths[r["path"]] <= at]}


def identity() -> dict[str, str]:
    """Author and date of all patches. The date is the repository's last commit's: the same again gives the same."""
    who = {}
    for key in ("name", "email"):
        found = subprocess.run(["git", "config", f"user.{key}"], cwd=OURS, capture_output=True, text=True, check=False)
        who[key] = found.stdout.strip()
        if not who[key]:
            raise Failure(f"git does not know whose patches these are: git config --global user.{key} ...")
    date = git("log", "-1", "--format=%ct", cwd=OURS).strip() + " +0000"
    return {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", who["name"]), ("EMAIL", who["email"]), ("DATE", date))}


def diffstat(repo: Path, base: str) -> str:
    """Lines by what they are for: what a reviewer has to look at, and what tests it."""
    kinds = [("tests", r"_kunit\.c$|^tools/testing/|\.kunitconfig$"), ("documentation", r"^Documentation/"),
             *((f"arch/{arch}", f"^arch/{arch}/") for arch in ("arm64", "arm", "riscv", "csky")),
             ("lib/ and include/", r"^(lib|include)/"), ("other", "")]
    total = {kind: [0, 0] for kind, _ in kinds}
    for line in git("diff", "--numstat", base, "HEAD", cwd=repo).splitlines():
        added, removed, path = line.split("\t")
        kind = next(kind for kind, pattern in kinds if re.search(pattern, path))
        total[kind][0] += int(added)
        total[kind][1] += int(removed)
    return "\n".join(f"  {kind:18} {added:6} added {removed:6} removed"
                     for kind, (added, removed) in total.items() if added or removed)


def make(base: Path, out: Path, version: str, commit: str) -> None:
    """Write the series for the tree whose files of concern are in BASE to OUT."""
    description = Description()
    who = identity()
    stages, repo = out / "stages", out / "repo"
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as scratch:
        description.stages(Path(scratch, "stages"))
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(Path(scratch, "stages"), stages)
        shutil.copytree(stages, out / "stages.orig")

    shutil.copytree(base, repo)
    (repo / STAMP).unlink(missing_ok=True)
    git("init", "-q", "-b", "series", cwd=repo)
    for key, value in (("core.abbrev", "12"), ("diff.algorithm", "histogram"), ("gc.auto", "0")):
        git("config", key, value, cwd=repo)
    (repo / ".git/info/exclude").write_text(f"/{STAMP}\n")
    git("add", "-Af", ".", cwd=repo)
    git("commit", "-q", "-m", f"Linux {version}", cwd=repo, env=who)
    git("tag", "base", cwd=repo)
    out_of_it = left_out(description.table, repo)
    for at, patch in enumerate(description.patches):
        if patch["name"] in out_of_it:
            continue
        overlay = Overlay(stages / patch["name"], repo, description.upto(at))
        overlay.work_out()
        if overlay.problems:
            raise Failure("\n  ".join([f"Linux {version} is out of range, patch \"{patch['subject']}\":", *overlay.problems]))
        overlay.write(overlay.changes())
        git("add", "-A", ".", cwd=repo)
        message = f"{patch['subject']}\n\n{fill(patch['text'], repo, description)}\n"
        git("commit", "-q", "-s", "-F", "-", cwd=repo, env=who, text=message)
    (out / "names").write_text("".join(f"{name}\n" for name in description.names if name not in out_of_it))
    cover = fill(description.cover["text"], repo, description).replace("@VERSION@", version)
    for patch in description.patches:
        if "cover" in patch:
            says = patch["cover"]["without" if patch["name"] in out_of_it else "with"].strip()
            cover = cover.replace(f"@{patch['name'].upper()}@", says)
    if commit:
        cover += f"\n\nbase-commit: {commit}"
    git("config", "branch.series.description", f"{description.cover['subject']}\n\n{cover}", cwd=repo)
    files = git("format-patch", "--cover-letter", "--cover-from-description=subject", "--no-signature", "-o", str(out),
                "base", cwd=repo, env=who).split()
    (out / "series.mbox").write_bytes(b"".join(Path(path).read_bytes() for path in files))


def bench(pattern: str) -> str:
    """Rows of what was measured, if it was; not those that compare ours with ours."""
    place = OURS / "build/bench.csv"
    if not place.exists():
        return "  (make bench has not been run where this was made)"
    lines = [f"  {'':50}{'here':>10}{'before':>10}"]
    what = ""
    with place.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            label = " ".join(filter(None, (row["what"], row["size"])))
            if not re.search(pattern, label) or ", against " in label:
                continue
            if row["size"] and row["what"] != what:
                lines.append(f"  {row['what']}")
            what = row["what"]
            lines.append(f"  {'  ' + row['size'] if row['size'] else what:50}"
                         f"{float(row['ours']):10.0f}{float(row['theirs']):10.0f}")
    if len(lines) == 1:
        raise Failure(f"series.toml: @BENCH {pattern}@ matches nothing in {place}")
    return "\n".join(lines)


def fill(text: str, repo: Path, description: Description) -> str:
    """Put what was measured where the text has a place for it."""
    text = re.sub(r"^@BENCH (.*)@$", lambda match: bench(match[1]), text.strip(), flags=re.M)
    if "@DIFFSTAT@" in text:
        text = text.replace("@DIFFSTAT@", diffstat(repo, "base"))
    if "@NOISE@" in text:
        text = text.replace("@NOISE@", "\n".join(
            noise.report(path, git("show", f"base:{path}", cwd=repo), git("show", f"HEAD:{path}", cwd=repo), words)
            for path, words in description.allocators.items()))
    return text


def last_that_fits(description: Description, scratch: Path) -> Path:
    """The stages of our files as of the last commit at which all patches could be taken back from them."""
    for commit in git("log", "--format=%H", "-n", "200", cwd=OURS).split():
        old, stages = scratch / "ours", scratch / "stages"
        shutil.rmtree(old, ignore_errors=True)
        with tarfile.open(fileobj=io.BytesIO(git("archive", commit, cwd=OURS, binary=True))) as archive:
            archive.extractall(old)
        try:
            description.stages(stages, old)
        except Failure:
            continue
        print(f"starting from {git('log', '-1', '--format=%h %s', commit, cwd=OURS).strip()}")
        return stages
    raise Failure("there is no recent commit that the patches can be taken back from; write them anew")


def merged(mine: Path, old: Path, new: Path) -> str:
    """The file "mine", with what was done to "old" to get "new". Where both are changed, it stays as it is."""
    for path in (mine, old, new):
        if not path.exists():
            return new.read_text(encoding="utf-8") if new.exists() else ""
    merge: str = git("merge-file", "-p", "--ours", str(mine), str(old), str(new), cwd=mine.parent)
    return merge


def refresh(out: Path) -> None:
    """Bring the patch files up to date.

    What was changed in a stage (in our own files, which are the last one; or by hand in OUT/stages, as make series
    left them) is changed in all the stages before it as well, where they have those lines. The patch files are then
    written anew. Look at them: what a merge cannot know is which patch a new line belongs to. It comes in with the
    first, and to have it come in with another, take it out of OUT/stages/PATCH for the patch before that one.
    """
    description = Description()
    names = description.names
    with tempfile.TemporaryDirectory(dir=out.parent) as name:
        scratch = Path(name)
        edited = (out / "stages").exists() and (out / "stages.orig").exists() and subprocess.run(
            ["diff", "-rq", out / "stages", out / "stages.orig"], stdout=subprocess.DEVNULL, check=False).returncode
        old = out / "stages.orig" if edited else last_that_fits(description, scratch)
        new = scratch / "new"
        shutil.copytree(out / "stages" if edited else old, new)
        for patch in names:
            (new / patch).mkdir(exist_ok=True)
        for path in description.paths:
            (new / names[-1] / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(OURS / path, new / names[-1] / path)
        changes: dict[str, str] = {}
        for at in reversed(range(len(names))):
            below, above = (names[max(at - 1, 0)], names[at])
            for path in description.paths if at else []:
                mine = new / below / path
                if not mine.exists() or (old / below / path).exists() and \
                        mine.read_bytes() == (old / below / path).read_bytes():
                    content = merged(old / below / path, old / above / path, new / above / path)
                    mine.parent.mkdir(parents=True, exist_ok=True)
                    mine.write_text(content, encoding="utf-8")
            changes[above] = between(scratch, new / below, new / above) if at else ""
        for patch, change in changes.items():
            place = description.dir / f"{patch}.patch"
            if change:
                place.write_text(SPDX + change, encoding="utf-8")
            else:
                place.unlink(missing_ok=True)
    description.stages(out / "stages")
    shutil.rmtree(out / "stages.orig", ignore_errors=True)
    shutil.copytree(out / "stages", out / "stages.orig")


def between(scratch: Path, before: Path, after: Path) -> str:
    """The difference of two stages as a patch."""
    for side, stage in (("a", before), ("b", after)):
        shutil.rmtree(scratch / side, ignore_errors=True)
        shutil.copytree(stage, scratch / side)
    diff = subprocess.run(["git", "diff", "--no-index", "--no-prefix", "--histogram", "a", "b"], cwd=scratch,
                          capture_output=True, text=True, check=False)
    if diff.returncode > 1:
        raise Failure(f"git diff: {diff.stderr}")
    return re.sub(r"^index .*\n", "", diff.stdout, flags=re.M)


def main() -> int:
    parser = argparse.ArgumentParser(description="The project as a series of patches.")
    what = parser.add_subparsers(dest="what", required=True)
    making = what.add_parser("make", help="write the series")
    making.add_argument("base", type=Path, help="the files of concern, as in the tree")
    making.add_argument("out", type=Path, help="the directory to write to, which is emptied")
    making.add_argument("version", help="the tree's version")
    making.add_argument("commit", nargs="?", default="", help="the tree's commit")
    what.add_parser("refresh", help="bring the patch files up to date").add_argument("out", type=Path)
    args = parser.parse_args()
    try:
        if args.what == "make":
            make(args.base, args.out.resolve(), args.version, args.commit)
        else:
            refresh(args.out.resolve())
    except (Failure, OSError, ValueError, KeyError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
