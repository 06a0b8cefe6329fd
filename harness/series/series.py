#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The project as series of patches against a kernel tree: git format-patch files, and one mbox for each.

What our files come to is in the repository, and only there. series.toml says which patches lead to it, in order, and
which set each belongs to; overlay.toml says which patch brings in a file or a line. A patch that changes files of earlier
ones has a file of its own, patches/NAME.patch. These are taken back from our files, the last one first; that gives what the
files are after each patch (its "stage"), which the overlay lays over the tree for one commit after the other. A set other
than the core is what its commits are on top of the core alone, by git cherry-pick.

A patch whose files do not fit the tree is left out, with a reason, and the others are made. Fixes are pieces as well, in
fixes/NAME/, and need none of our files.

As files change, their patches do. "refresh" brings them up to date, see there.
"""

import argparse
import csv
import hashlib
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import textwrap
import tomllib
from pathlib import Path
from typing import Any

from overlay import KINDS, STAMP, Overlay, expand, fixes, left_out, load

HERE = Path(__file__).resolve().parent
OURS = HERE.parents[1]
SPDX = "SPDX-License-Identifier: GPL-2.0\n\n"
# What the numbers in messages were measured on: see bench().
FIGURES = HERE / "figures.csv"


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
        self.dir = HERE / "patches"
        toml = tomllib.loads((HERE / "series.toml").read_text(encoding="utf-8"))
        self.sets: dict[str, dict[str, str]] = toml["set"]
        self.patches = [patch for patch in toml["patch"] if not patch["set"].endswith("fixes")]
        self.fixes = [patch for patch in toml["patch"] if patch["set"].endswith("fixes")]
        self.names = [patch["name"] for patch in self.patches]
        self.table = expand(load(), OURS)
        for entry in [entry for kind in KINDS for entry in self.table[kind]]:
            if entry.get("patch", self.names[0]) not in self.names:
                raise Failure(f"overlay.toml: {entry['path']}: give it patch = \"...\", one of {', '.join(self.names)}")
        for path in self.dir.glob("*.patch"):
            if path.stem not in self.names:
                raise Failure(f"{path.name}: series.toml has no patch of that name")
        self.paths = {entry["path"]: self.names.index(entry["patch"])
                      for kind in ("file", "pieces") for entry in self.table[kind] if "patch" in entry}

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

    def upto(self, at: int, missing: dict[str, list[str]]) -> dict[str, Any]:
        """The overlay's table as of a patch, without those that do not fit."""
        names = {*self.names[:at + 1]} - {*missing}
        return {**self.table, **{kind: [e for e in self.table[kind] if e.get("patch") in names] for kind in KINDS}}


def identity() -> dict[str, str]:
    """Author and date of all patches are those of the repository's last commit: the same again gives the same."""
    try:
        name, email, date = git("log", "-1", "--format=%an%n%ae%n%ct", cwd=OURS).splitlines()
    except Failure as failure:
        raise Failure(f"the patches have author and date of the last commit here, and there is none: make {OURS} a git "
                      f"repository with a commit, and before that set user.name and user.email\n{failure}") from None
    return {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", name), ("EMAIL", email), ("DATE", f"{date} +0000"))}


def signer() -> str:
    """The line by which the user signs off what is sent, if SIGNOFF=1 asks for it."""
    if not os.environ.get("SIGNOFF"):
        return ""
    who = []
    for key in ("name", "email"):
        found = subprocess.run(["git", "config", f"user.{key}"], cwd=OURS, capture_output=True, text=True, check=False)
        who.append(found.stdout.strip())
        if not who[-1]:
            raise Failure(f"SIGNOFF=1 takes your name and address from git: set user.name and user.email, user.{key} is not set")
    return f"Signed-off-by: {who[0]} <{who[1]}>"


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


class Kernel:
    """The files of concern of a kernel tree as a git repository, to which patches are committed."""

    def __init__(self, repo: Path, base: Path, version: str, description: Description) -> None:
        self.repo = repo
        self.description = description
        self.who = identity()
        self.signed = signer()
        # The commit of each patch, and what is wrong with those that are not there.
        self.commits: dict[str, str] = {}
        self.missing: dict[str, list[str]] = {}
        shutil.copytree(base, repo)
        (repo / STAMP).unlink(missing_ok=True)
        self.git("init", "-q", "-b", "all")
        for key, value in (("core.abbrev", "12"), ("diff.algorithm", "histogram"), ("gc.auto", "0"), ("merge.renames", "false")):
            self.git("config", key, value)
        (repo / ".git/info/exclude").write_text(f"/{STAMP}\n")
        self.git("add", "-Af", ".")
        self.git("commit", "-q", "--allow-empty", "-m", f"Linux {version}")
        self.git("tag", "base")
        self.git("tag", "core")

    def git(self, *args: str, text: str | None = None) -> str:
        output: str = git(*args, cwd=self.repo, env=self.who, text=text)
        return output.strip()

    def commit(self, patch: dict[str, Any], overlay: Overlay) -> None:
        overlay.work_out()
        if overlay.problems:
            self.missing[patch["name"]] = overlay.problems
            return
        overlay.write(overlay.changes())
        self.git("add", "-A", ".")
        text = fill(patch["text"], self.repo)
        trailers = re.fullmatch(r".*\n\n((?:[A-Z][a-z-]+: [^\n]*\n?)+)", text, re.S)
        signed = self.signed and f"{'' if trailers else chr(10)}\n{self.signed}"
        self.git("commit", "-q", "-F", "-", text=f"{patch['subject']}\n\n{text}{signed}\n")
        self.commits[patch["name"]] = self.git("rev-parse", "HEAD")

    def commit_all(self, stages: Path) -> None:
        """All patches but the fixes, one on top of the other."""
        out = left_out(self.description.table, self.repo)
        for at, patch in enumerate(self.description.patches):
            if patch["name"] not in out:
                table = self.description.upto(at, self.missing)
                self.commit(patch, Overlay(stages / patch["name"], self.repo, table, load("forms.toml")))
                if patch["set"] == "core":
                    self.git("tag", "-f", "core")

    def compare(self, base: Path) -> None:
        """All patches together are what make apply makes."""
        applied = Overlay(OURS, base, self.description.table, load("forms.toml"))
        applied.work_out()
        own = {entry["path"] for entry in self.description.table["file"] if "patch" not in entry}
        for path, content in applied.result.items():
            place = self.repo / path
            if path not in {STAMP, *own} and (place.read_text(encoding="utf-8") if place.exists() else None) != content:
                raise Failure(f"{path} is not the same after all patches as after make apply")

    def commit_fixes(self, wanted: str) -> None:
        """The fixes of a set, but for those that the tree has."""
        pieces = {ours.name: (ours, table) for ours, table in fixes()}
        out = left_out(self.description.table, self.repo)
        for patch in [fix for fix in self.description.fixes if fix["set"] == wanted]:
            if patch["name"] in out:
                print(f"    {patch['subject']}: this tree is too old for it", file=sys.stderr)
                continue
            ours, table = pieces[patch["name"]]
            overlay = Overlay(ours, self.repo, table, load("forms.toml"))
            if overlay.there():
                print(f"    {patch['subject']}: this tree has it", file=sys.stderr)
                continue
            (self.repo / STAMP).unlink(missing_ok=True)
            self.commit(patch, overlay)
            (self.repo / STAMP).unlink(missing_ok=True)

    def take(self, wanted: str) -> list[dict[str, Any]]:
        """Have the branch "series" be one set, on top of the core if it is not that, and say which patches it has."""
        patches = [patch for patch in [*self.description.patches, *self.description.fixes]
                   if patch["set"] == wanted and patch["name"] in self.commits]
        self.git("checkout", "-q", "-f", "-B", "series", below(wanted))
        for patch in patches:
            try:
                self.git("cherry-pick", "--allow-empty", self.commits[patch["name"]])
            except Failure as failure:
                raise Failure(f"the set {wanted} does not stand on the core alone: {patch['name']}: "
                              f"{self.git('diff', '--name-only', '--diff-filter=U')}\n{failure}") from None
        return patches


def below(wanted: str) -> str:
    """What a set applies to: the core, or the tree as it was."""
    return "base" if wanted in ("core", "selftests") or wanted.endswith("fixes") else "core"


def make(base: Path, out: Path, version: str, commit: str, wanted: str) -> int:
    """Write a set for the tree whose files of concern are in BASE to OUT. Returns how many of its patches are missing."""
    description = Description()
    if wanted not in description.sets:
        raise Failure(f"SET={wanted}: there is no such set, only {', '.join(description.sets)}")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as scratch:
        new = Path(scratch, "new")
        new.mkdir()
        kernel = Kernel(new / "repo", base, version, description)
        if wanted.endswith("fixes"):
            kernel.commit_fixes(wanted)
        else:
            description.stages(Path(scratch, "stages"))
            kernel.commit_all(Path(scratch, "stages"))
            if not kernel.missing:
                kernel.compare(base)
        patches = kernel.take(wanted)
        (new / "names").write_text("".join(f"{patch['name']}\n" for patch in patches))
        if patches:
            write_mails(kernel, new, below(wanted), commit, description.sets[wanted])
        shutil.rmtree(out, ignore_errors=True)
        new.rename(out)
    kernel.repo = out / "repo"
    return summary(kernel, wanted, patches)


def write_mails(kernel: Kernel, out: Path, base: str, commit: str, cover: dict[str, str]) -> None:
    text = fill(cover["text"], kernel.repo, base)
    if commit:
        text += f"\n\nbase-commit: {commit}"
    kernel.git("config", "branch.series.description", f"{cover['subject']}\n\n{text}")
    kernel.git("format-patch", "--cover-letter", "--cover-from-description=subject", "--no-signature", "--thread",
               "-o", str(out), f"{base}..series")
    # git puts the time of day there, and the same again is to be the same. b4 cannot do with headers of two lines.
    stamp = kernel.who["GIT_AUTHOR_DATE"].split()[0]
    files = sorted(out.glob("0*.patch"))
    for file in files:
        mail = re.sub(r"(?m)^((?:Message-Id|In-Reply-To|References): <\w+)\.\d+\.git\.", rf"\g<1>.{stamp}.git.",
                      file.read_text(encoding="utf-8"), flags=re.I)
        mail = re.sub(r"(?m)^((?:From|Subject): .*)\n(?= )", r"\1", mail, count=2)
        file.write_text(re.sub(r"(?m)^Date: .*$", f"Date: {kernel.git('log', '-1', '--format=%aD')}", mail, count=1),
                        encoding="utf-8")
    (out / "series.mbox").write_bytes(b"".join(file.read_bytes() for file in files))


def summary(kernel: Kernel, wanted: str, patches: list[dict[str, Any]]) -> int:
    """A line for each patch, and what is not there."""
    commits = kernel.git("rev-list", "--reverse", f"{below(wanted)}..series").split()
    for number, (patch, commit) in enumerate(zip(patches, commits), 1):
        stat = kernel.git("diff", "--shortstat", f"{commit}~", commit)
        files, *lines = re.findall(r"(\d+) (?:file|insertion|deletion)", stat)
        both = {"insertion": "0", "deletion": "0", **{what: n for n, what in re.findall(r"(\d+) (insertion|deletion)", stat)}}
        print(f"{number:3}  {patch['subject']:64.64} {files:>3} files {both['insertion']:>6}+ {both['deletion']:>5}-")
    texts = [patch["text"] for patch in patches] + [kernel.description.sets[wanted]["text"]]
    if any("@BENCH" in text for text in texts) and stale():
        print(f"note: {stale()}", file=sys.stderr)
    mine = [patch["name"] for patch in [*kernel.description.patches, *kernel.description.fixes] if patch["set"] == wanted]
    lacks = {name: problems for name, problems in kernel.missing.items()
             if name in mine or not wanted.endswith("fixes") and name in
             [patch["name"] for patch in kernel.description.patches if patch["set"] == "core"]}
    for name, problems in lacks.items():
        print(f"error: the patch \"{name}\" does not fit this tree and is not in the series:\n  "
              + "\n  ".join(problems), file=sys.stderr)
    return len(lacks)


def stale() -> str:
    """What to say if the numbers in the messages are not of the library as it is."""
    if not FIGURES.exists():
        return "the messages have no numbers, as make bench has never written them"
    if FIGURES.read_text(encoding="utf-8").splitlines()[0].rsplit(" ", 1)[-1] != library():
        return "the library has changed since the numbers in the messages were measured; make bench writes new ones"
    return ""


def library() -> str:
    """A hash of the code that was measured, without its comments."""
    files = ("include/linux/idgen_alloc.h", "lib/idgen_alloc.c")
    code = subprocess.run(["gcc", "-w", "-fpreprocessed", "-dD", "-E", "-P", "-x", "c", *files],
                          cwd=OURS, capture_output=True, check=True).stdout
    return hashlib.sha256(code).hexdigest()[:12]


def bench(pattern: str) -> str:
    """Rows of what was measured, with what it was measured on; not those that compare ours with ours."""
    if not FIGURES.exists():
        return ""
    on, *rows = FIGURES.read_text(encoding="utf-8").splitlines()
    lines = [f"  {'':50}{'here':>10}{'before':>10}"]
    what = ""
    for row in csv.DictReader(rows):
        label = " ".join(filter(None, (row["what"], row["size"])))
        if not re.search(pattern, label) or ", against " in label:
            continue
        if row["size"] and row["what"] != what:
            lines.append(f"  {row['what']}")
        what = row["what"]
        lines.append(f"  {'  ' + row['size'] if row['size'] else what:50}"
                     f"{float(row['ours']):10.0f}{float(row['theirs']):10.0f}")
    if len(lines) == 1:
        raise Failure(f"series.toml: @BENCH {pattern}@ matches nothing in {FIGURES}")
    source = textwrap.fill(f"({on.removeprefix('# ').rsplit(',', 1)[0]})", 72, initial_indent="  ", subsequent_indent="   ")
    return "\n".join([*lines, "", source])


def fill(text: str, repo: Path, below: str = "base") -> str:
    """Put what was measured where the text has a place for it."""
    text = re.sub(r"^@BENCH (.*)@$", lambda match: bench(match[1]), text.strip(), flags=re.M)
    if "@DIFFSTAT@" in text:
        text = text.replace("@DIFFSTAT@", diffstat(repo, below))
    return text


def last_that_fits(description: Description, scratch: Path) -> tuple[str, Path]:
    """The last commit at which all patches could be taken back from our files, and the stages that gave."""
    patches = [str(path.relative_to(OURS)) for path in description.dir.glob("*.patch")]
    since = git("log", "-1", "--format=%H", "--", *patches, cwd=OURS).strip()
    for commit in [*git("log", "--format=%H", f"{since}..", cwd=OURS).split(), since]:
        old, stages = scratch / "ours", scratch / "stages"
        shutil.rmtree(old, ignore_errors=True)
        with tarfile.open(fileobj=io.BytesIO(git("archive", commit, cwd=OURS, binary=True))) as archive:
            archive.extractall(old)
        try:
            description.stages(stages, old)
        except (Failure, FileNotFoundError):
            continue
        return git("log", "-1", "--format=%h %s", commit, cwd=OURS).strip(), stages
    raise Failure(f"no commit since {since[:12]}, which changed the patches last, has files that they can be taken back from")


def hold(repo: Path, files: Path) -> None:
    """Have a work tree hold these files and no other."""
    for path in repo.iterdir():
        if path.name != ".git":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copytree(files, repo, dirs_exist_ok=True)


class Stages:
    """The stages as a git repository, in which each commit takes a patch back; see refresh()."""

    def __init__(self, out: Path, description: Description) -> None:
        self.out = out
        self.names = description.names
        self.paths = [path for path in description.paths if (OURS / path).exists()]
        self.who = identity()
        self.top = f"stages~{len(self.names) - 1}"

    def git(self, *args: str, text: str | None = None) -> str:
        output: str = git("-c", "merge.renames=false", "-c", "merge.conflictStyle=diff3", *args, cwd=self.out, env=self.who, text=text)
        return output.strip()

    def put(self, files: Path, message: str, paths: list[str] | None = None) -> None:
        """Commit that there are these files and no other."""
        for old in self.out.iterdir():
            if old.name != ".git":
                shutil.rmtree(old) if old.is_dir() else old.unlink()
        for path in paths or [str(path.relative_to(files)) for path in files.rglob("*") if path.is_file()]:
            (self.out / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(files / path, self.out / path)
        self.git("add", "-Af", ".")
        self.git("commit", "-q", "--allow-empty", "-m", message)

    def begin(self, stages: Path) -> None:
        """Commit the stages as they were, and our files as they are, and rebase the former onto the latter."""
        self.out.mkdir()
        self.git("init", "-q", "-b", "stages")
        for at, name in reversed(list(enumerate(self.names))):
            self.put(stages / name, f"take back {self.names[at + 1]}" if at + 1 < len(self.names) else "our files")
        self.git("branch", "before")
        self.git("checkout", "-q", "-B", "final", self.top)
        self.put(OURS, "our files", self.paths)
        try:
            self.git("rebase", "-q", "--empty=keep", "--onto", "final", self.top, "stages")
        except Failure:
            # at_end() says where it is.
            pass

    def at_end(self) -> None:
        """Fail unless the rebase is at its end, and onto our files."""
        give_up = f"or remove {self.out} to give up"
        if any((self.out / ".git" / state).exists() for state in ("rebase-merge", "rebase-apply")):
            raise Failure(f"cannot {self.git('log', '-1', '--format=%s', 'REBASE_HEAD')} from our files as they are: resolve this "
                          f"in {self.out}, git rebase --continue there, and make series-refresh again, {give_up}:\n"
                          f"{self.git('status', '--short', '--untracked-files=no')}\n{self.git('diff')}")
        if self.git("status", "--short"):
            raise Failure(f"{self.out} has edits that are not committed: commit them, {give_up}")
        for path in self.paths:
            if (OURS / path).read_bytes() != git("show", f"{self.top}:{path}", cwd=self.out, binary=True):
                raise Failure(f"{path} is not as in the first commit of {self.out}, which began from another: remove that")

    def forward(self, branch: str) -> str:
        """The stages of a branch as commits that each make a patch, for git range-diff."""
        commits: list[str] = []
        for at, name in enumerate(self.names):
            tree = self.git("rev-parse", f"{branch}~{at}^{{tree}}")
            commits.append(self.git("commit-tree", tree, *(["-p", commits[-1]] if commits else []), "-m", name))
        return f"{commits[0]}..{commits[-1]}"

    def compile(self) -> None:
        """The library of each stage is C. The suites and users are for make series-check."""
        with tempfile.TemporaryDirectory() as scratch:
            name = f"{scratch}/stage"
            for at, stage in enumerate(self.names):
                shutil.rmtree(name, ignore_errors=True)
                Path(name).mkdir()
                with tarfile.open(fileobj=io.BytesIO(git("archive", f"stages~{at}", cwd=self.out, binary=True))) as archive:
                    archive.extractall(name)
                done = subprocess.run(["make", "-s", "-C", OURS / "tools/testing/idgen", f"O={name}/build", f"SRC={name}/lib/idgen_alloc.c",
                                       f"HEADER={name}/include/linux/idgen_alloc.h", "syntax"], capture_output=True, text=True, check=False)
                if done.returncode:
                    raise Failure(f"after the patch \"{stage}\" the library would not compile: edit that stage in {self.out} (git rebase -i),"
                                  f" and make series-refresh again\n{done.stderr.replace(name + '/', '')}")

    def write(self, where: Path) -> None:
        """Write the patch files."""
        for at, name in enumerate(self.names):
            change = "" if not at else git("diff", "--no-renames", "--histogram", "--diff-filter=M", f"stages~{at - 1}", f"stages~{at}",
                                           cwd=self.out)
            place = where / f"{name}.patch"
            if change:
                place.write_text(SPDX + re.sub(r"^index .*\n", "", change, flags=re.M), encoding="utf-8")
            else:
                place.unlink(missing_ok=True)


def refresh(out: Path, edit: bool) -> None:
    """Bring the patch files up to date, by a rebase in OUT.

    Its commits take the patches back, the last one first, so each leaves our files as they are one patch earlier. They
    stood on our files as those were when the patches last fitted, and are rebased onto our files as they are. git merges
    what can be merged, and stops where it cannot: there the user edits OUT, and goes on with git rebase --continue. Other
    edits of a stage are the user's own rebase there; EDIT=1 makes OUT for one. Then "refresh" again (or the same run, if
    git never stopped) writes the patch files, if every stage compiles, and OUT goes.
    """
    description = Description()
    stages = Stages(out, description)
    if not (out / ".git").exists():
        with tempfile.TemporaryDirectory(dir=out.parent) as name:
            since, old = last_that_fits(description, Path(name))
            print(f"starting from {since}")
            stages.begin(old)
    stages.at_end()
    if edit:
        print(f"{out}: each commit takes a patch back; git rebase -i there, then make series-refresh")
        return
    stages.compile()
    stages.write(description.dir)
    print(stages.git("range-diff", "--no-color", stages.forward("before"), stages.forward("stages")))
    shutil.rmtree(out)


def main() -> int:
    # Scratch directories are removed, and nothing is printed.
    signal.signal(signal.SIGINT, lambda *_: sys.exit(128 + signal.SIGINT))
    parser = argparse.ArgumentParser(description="The project as series of patches.")
    what = parser.add_subparsers(dest="what", required=True)
    making = what.add_parser("make", help="write a series")
    making.add_argument("base", type=Path, help="the files of concern, as in the tree")
    making.add_argument("out", type=Path, help="the directory to write to, which is emptied")
    making.add_argument("version", help="the tree's version")
    making.add_argument("wanted", help="the set of patches")
    making.add_argument("commit", nargs="?", default="", help="the tree's commit")
    refreshing = what.add_parser("refresh", help="bring the patch files up to date")
    refreshing.add_argument("out", type=Path, help="the directory to rebase in")
    refreshing.add_argument("--edit", action="store_true", help="leave it to the user to edit")
    args = parser.parse_args()
    try:
        if args.what == "make":
            return 1 if make(args.base, args.out.resolve(), args.version, args.commit, args.wanted) else 0
        refresh(args.out.resolve(), args.edit)
    except (Failure, OSError, ValueError, KeyError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
