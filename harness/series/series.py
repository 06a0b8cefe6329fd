#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Write the project as sets of patches against a kernel tree: git format-patch files, and one mbox for each set.

The repository has our files in their final state only. series.toml lists the patches in order, and the set of each.
overlay.toml assigns files and lines to patches. A patch that changes files of earlier patches has these changes in
patches/NAME.patch. Reverting these patch files from our files, the last one first, gives the state of the files after
each patch, its "stage". The overlay lays one stage after the other over the tree, and each becomes a commit. The
commits of a set are then cherry-picked onto what it applies to: the core, or the unmodified tree.

A patch that does not fit the tree is left out and named, and the others are written. Fixes are pieces in fixes/NAME/,
and need none of our files.

"refresh" rebases the patch files when our files have changed, see refresh().
"""

import argparse
import csv
import hashlib
import io
import os
import re
import shutil
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
# The numbers for the messages, and what they were measured on. See bench().
FIGURES = HERE / "figures.csv"


class Failure(Exception):
    """An error message for the user."""


def git(*args: str, cwd: Path, env: dict[str, str] | None = None, text: str | None = None, binary: bool = False) -> Any:
    """Run git without the user's configuration. Returns its output."""
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
        """Check that a patch file changes only files of ours that earlier patches add."""
        change = self.change(name)
        for path in re.findall(r"^\+\+\+ b/(.*)$", change.read_text(encoding="utf-8") if change else "", re.M):
            if self.paths.get(path, len(self.names)) >= self.names.index(name):
                raise Failure(f"{name}.patch: no earlier patch adds {path}")

    def stages(self, where: Path, files: Path = OURS) -> None:
        """Make where/NAME for each patch NAME: our files, taken from "files", after that patch."""
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
                    raise Failure(f"{change.name} does not revert from our files, which have changed since: run "
                                  f"make series-refresh, then check git diff harness/series\n{failure}") from None

    def upto(self, at: int, missing: dict[str, list[str]]) -> dict[str, Any]:
        """The overlay's table up to a patch, without the patches that do not fit."""
        names = {*self.names[:at + 1]} - {*missing}
        return {**self.table, **{kind: [e for e in self.table[kind] if e.get("patch") in names] for kind in KINDS}}


def identity() -> dict[str, str]:
    """The author and date of all patches: those of the last commit here, so that the output is reproducible."""
    try:
        name, email, date = git("log", "-1", "--format=%an%n%ae%n%ct", cwd=OURS).splitlines()
    except Failure as failure:
        raise Failure("the patches take author and date from the last commit here, and there is none: set "
                      f"user.name and user.email, and commit {OURS} to a git repository\n{failure}") from None
    return {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", name), ("EMAIL", email), ("DATE", f"{date} +0000"))}


def signer() -> str:
    """The user's Signed-off-by line, if SIGNOFF=1 asks for it."""
    if not os.environ.get("SIGNOFF"):
        return ""
    who = []
    for key in ("name", "email"):
        found = subprocess.run(["git", "config", f"user.{key}"], cwd=OURS, capture_output=True, text=True, check=False)
        who.append(found.stdout.strip())
        if not who[-1]:
            raise Failure("SIGNOFF=1 takes your name and address from git: "
                          f"set user.name and user.email, user.{key} is not set")
    return f"Signed-off-by: {who[0]} <{who[1]}>"


def diffstat(repo: Path, base: str) -> str:
    """The number of lines for each purpose."""
    kinds = [("tests", r"_kunit\.c$|^tools/testing/|\.kunitconfig$"), ("documentation", r"^Documentation/"),
             *((f"arch/{arch}", f"^arch/{arch}/") for arch in ("arm64", "arm", "riscv", "mips", "csky")),
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
    """A git repository with the files of a kernel tree that our patches touch."""

    def __init__(self, repo: Path, base: Path, version: str, description: Description) -> None:
        self.repo = repo
        self.description = description
        self.who = identity()
        self.signed = signer()
        # The commit of each patch, and the problems of the patches that do not fit.
        self.commits: dict[str, str] = {}
        self.missing: dict[str, list[str]] = {}
        shutil.copytree(base, repo)
        (repo / STAMP).unlink(missing_ok=True)
        self.git("init", "-q", "-b", "all")
        for key, value in (("core.abbrev", "12"), ("diff.algorithm", "histogram"), ("gc.auto", "0"),
                           ("merge.renames", "false")):
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
        """Commit all patches except the fixes."""
        out = left_out(self.description.table, self.repo)
        for at, patch in enumerate(self.description.patches):
            if patch["name"] not in out:
                table = self.description.upto(at, self.missing)
                self.commit(patch, Overlay(stages / patch["name"], self.repo, table, load("forms.toml")))
                if patch["set"] == "core":
                    self.git("tag", "-f", "core")

    def compare(self, base: Path) -> None:
        """Check that all patches together give the same files as make apply."""
        applied = Overlay(OURS, base, self.description.table, load("forms.toml"))
        applied.work_out()
        own = {entry["path"] for kind in KINDS for entry in self.description.table[kind] if "patch" not in entry}
        for path, content in applied.result.items():
            place = self.repo / path
            if path not in {STAMP, *own} and (place.read_text(encoding="utf-8") if place.exists() else None) != content:
                raise Failure(f"{path} is not the same after all patches as after make apply")

    def commit_fixes(self, wanted: str) -> None:
        """Commit the fixes of a set, except those that the tree has."""
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
        """Make the branch "series" of the patches of one set, and return them."""
        patches = [patch for patch in [*self.description.patches, *self.description.fixes]
                   if patch["set"] == wanted and patch["name"] in self.commits]
        self.git("checkout", "-q", "-f", "-B", "series", below(wanted))
        for patch in patches:
            try:
                self.git("cherry-pick", "--allow-empty", self.commits[patch["name"]])
            except Failure as failure:
                raise Failure(f"the set {wanted} does not apply to the core alone: {patch['name']}: "
                              f"{self.git('diff', '--name-only', '--diff-filter=U')}\n{failure}") from None
        return patches


def below(wanted: str) -> str:
    """What a set applies to: the core, or the unmodified tree."""
    return "base" if wanted in ("core", "selftests") or wanted.endswith("fixes") else "core"


def make(base: Path, out: Path, version: str, commit: str, wanted: str) -> int:
    """Write a set to OUT, for the tree whose files are in BASE. Returns how many patches do not fit."""
    description = Description()
    if wanted not in description.sets:
        raise Failure(f"SET={wanted}: there is no such set, only {', '.join(description.sets)}")
    if out.exists() and not (out.is_dir() and (not any(out.iterdir()) or (out / "names").is_file())):
        raise Failure(f"{out} would be replaced, and is not from make series: give another directory")
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
    # git uses the current time here, which would not be reproducible. b4 cannot parse folded headers.
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
    """Print a line for each patch, and the patches that do not fit."""
    commits = kernel.git("rev-list", "--reverse", f"{below(wanted)}..series").split()
    for number, (patch, commit) in enumerate(zip(patches, commits), 1):
        stat = kernel.git("diff", "--shortstat", f"{commit}~", commit)
        files = re.findall(r"(\d+) file", stat)[0]
        both = {"insertion": "0", "deletion": "0"}
        both |= {what: n for n, what in re.findall(r"(\d+) (insertion|deletion)", stat)}
        print(f"{number:3}  {patch['subject']:64.64} {files:>3} files {both['insertion']:>6}+ {both['deletion']:>5}-")
    texts = [patch["text"] for patch in patches] + [kernel.description.sets[wanted]["text"]]
    if any("@BENCH" in text for text in texts) and stale():
        print(f"note: {stale()}", file=sys.stderr)
    mine = [patch["name"] for patch in [*kernel.description.patches, *kernel.description.fixes]
            if patch["set"] == wanted]
    lacks = {name: problems for name, problems in kernel.missing.items()
             if name in mine or not wanted.endswith("fixes") and name in
             [patch["name"] for patch in kernel.description.patches if patch["set"] == "core"]}
    for name, problems in lacks.items():
        print(f"error: the patch \"{name}\" does not fit this tree and is not in the series:\n  "
              + "\n  ".join(problems), file=sys.stderr)
    if not patches and not lacks and not wanted.endswith("fixes"):
        print(f"error: the set {wanted} is empty: this tree is too old for it", file=sys.stderr)
    return len(lacks)


def stale() -> str:
    """A note if the numbers in the messages were measured on another version of the library."""
    if not FIGURES.exists():
        return "the messages have no numbers: run make bench, then make results"
    if FIGURES.read_text(encoding="utf-8").splitlines()[0].rsplit(" ", 1)[-1] != library():
        return "the library has changed since the numbers in the messages were measured: " \
            "run make bench, then make results"
    return ""


def library() -> str:
    """A hash of the code that was measured, without its comments."""
    files = ("include/linux/idgen_alloc.h", "lib/idgen_alloc.c")
    code = subprocess.run(["gcc", "-w", "-fpreprocessed", "-dD", "-E", "-P", "-x", "c", *files],
                          cwd=OURS, capture_output=True, check=True).stdout
    return hashlib.sha256(code).hexdigest()[:12]


def bench(pattern: str) -> str:
    """The rows of figures.csv that compare ours with the original, and what they were measured on."""
    if not FIGURES.exists():
        return ""
    on, *rows = FIGURES.read_text(encoding="utf-8").splitlines()
    lines = [f"  {'':50}{'here':>10}{'before':>10}"]
    what = ""

    def shown(number: str) -> str:
        value = float(number)
        return f"{value:10.{0 if value >= 10 or value.is_integer() else 2}f}"

    for row in csv.DictReader(rows):
        label = " ".join(filter(None, (row["what"], row["size"])))
        if not re.search(pattern, label) or ", against " in label:
            continue
        if row["size"] and row["what"] != what:
            lines.append(f"  {row['what']}")
        what = row["what"]
        lines.append(f"  {'  ' + row['size'] if row['size'] else what:50}"
                     f"{shown(row['ours'])}{shown(row['theirs'])}")
    if len(lines) == 1:
        raise Failure(f"series.toml: @BENCH {pattern}@ matches nothing in {FIGURES}")
    source = textwrap.fill(f"({on.removeprefix('# ').rsplit(',', 1)[0]})", 72,
                           initial_indent="  ", subsequent_indent="   ")
    return "\n".join([*lines, "", source])


def fill(text: str, repo: Path, below: str = "base") -> str:
    """Replace the placeholders in a text."""
    text = re.sub(r"^@BENCH (.*)@$", lambda match: bench(match[1]), text.strip(), flags=re.M)
    if "@DIFFSTAT@" in text:
        text = text.replace("@DIFFSTAT@", diffstat(repo, below))
    return text


def last_that_fits(description: Description, scratch: Path) -> tuple[str, Path]:
    """The last commit at which all patches revert from our files, and its stages."""
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
    raise Failure(f"the patches do not revert from our files in any commit since {since[:12]}, "
                  "which last changed the patches")


class Stages:
    """The stages as a git repository, in which each commit reverts a patch; see refresh()."""

    def __init__(self, out: Path, description: Description) -> None:
        self.out = out
        self.names = description.names
        self.paths = [path for path in description.paths if (OURS / path).exists()]
        self.who = identity()
        self.top = f"stages~{len(self.names) - 1}"

    def git(self, *args: str, text: str | None = None) -> str:
        output: str = git("-c", "merge.renames=false", "-c", "merge.conflictStyle=diff3", *args,
                          cwd=self.out, env=self.who, text=text)
        return output.strip()

    def put(self, files: Path, message: str, paths: list[str] | None = None) -> None:
        """Commit a state with these files and no others."""
        for old in self.out.iterdir():
            if old.name != ".git":
                shutil.rmtree(old) if old.is_dir() else old.unlink()
        for path in paths or [str(path.relative_to(files)) for path in files.rglob("*") if path.is_file()]:
            (self.out / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(files / path, self.out / path)
        self.git("add", "-Af", ".")
        self.git("commit", "-q", "--allow-empty", "-m", message)

    def begin(self, stages: Path) -> None:
        """Commit the old stages and our current files, and rebase the former onto the latter."""
        out = self.out
        # An interrupted run leaves no OUT.
        with tempfile.TemporaryDirectory(dir=out.parent) as scratch:
            self.out = Path(scratch, "new")
            self.out.mkdir()
            self.git("init", "-q", "-b", "stages")
            for at, name in reversed(list(enumerate(self.names))):
                self.put(stages / name, f"revert {self.names[at + 1]}" if at + 1 < len(self.names) else "our files")
            self.git("branch", "before")
            self.git("checkout", "-q", "-B", "final", self.top)
            self.put(OURS, "our files", self.paths)
            self.out = self.out.rename(out)
        try:
            self.git("rebase", "-q", "--empty=keep", "--onto", "final", self.top, "stages")
        except Failure:
            # at_end() reports the conflict.
            pass

    def at_end(self) -> None:
        """Fail unless the rebase is complete and onto our current files."""
        give_up = f"or remove {self.out} to give up"
        if any((self.out / ".git" / state).exists() for state in ("rebase-merge", "rebase-apply")):
            stage = self.git("log", "-1", "--format=%s", "REBASE_HEAD")
            raise Failure(f"cannot {stage} from our files: resolve the conflict in {self.out}, "
                          f"run git rebase --continue there and make series-refresh again, {give_up}:\n"
                          f"{self.git('status', '--short', '--untracked-files=no')}\n{self.git('diff')}")
        if self.git("status", "--short"):
            raise Failure(f"{self.out} has uncommitted edits: commit them, {give_up}")
        for path in self.paths:
            if (OURS / path).read_bytes() != git("show", f"{self.top}:{path}", cwd=self.out, binary=True):
                raise Failure(f"{path} has changed since {self.out} was made: remove {self.out}")

    def forward(self, branch: str) -> str:
        """The stages of a branch as commits that each apply a patch, for git range-diff."""
        commits: list[str] = []
        for at, name in enumerate(self.names):
            tree = self.git("rev-parse", f"{branch}~{at}^{{tree}}")
            commits.append(self.git("commit-tree", tree, *(["-p", commits[-1]] if commits else []), "-m", name))
        return f"{commits[0]}..{commits[-1]}"

    def compile(self) -> None:
        """Check that the library compiles at each stage, and that no conflict marker is left.

        make series-check compiles the rest.
        """
        marker = re.compile(r"^(<{7}|={7}|>{7})( |$)", re.MULTILINE)
        edit = f"edit that stage in {self.out} (git rebase -i), and run make series-refresh again"
        with tempfile.TemporaryDirectory() as scratch:
            name = f"{scratch}/stage"
            for at, stage in enumerate(self.names):
                shutil.rmtree(name, ignore_errors=True)
                Path(name).mkdir()
                packed = git("archive", f"stages~{at}", cwd=self.out, binary=True)
                with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
                    archive.extractall(name)
                for file in Path(name).rglob("*.*"):
                    if file.is_file() and marker.search(file.read_text(encoding="utf-8")):
                        path = file.relative_to(name)
                        raise Failure(f"after the patch \"{stage}\" {path} has a conflict marker: {edit}")
                make = ["make", "-s", "-C", str(OURS / "tools/testing/idgen"), f"O={name}/build",
                        f"SRC={name}/lib/idgen_alloc.c", f"HEADER={name}/include/linux/idgen_alloc.h", "syntax"]
                done = subprocess.run(make, capture_output=True, text=True, check=False)
                if done.returncode:
                    raise Failure(f"after the patch \"{stage}\" the library does not compile: {edit}\n"
                                  + done.stderr.replace(name + "/", ""))

    def write(self, where: Path) -> None:
        """Write the patch files."""
        for at, name in enumerate(self.names):
            change = "" if not at else git("diff", "--no-renames", "--histogram", "--diff-filter=M",
                                           f"stages~{at - 1}", f"stages~{at}", cwd=self.out)
            place = where / f"{name}.patch"
            if change:
                place.write_text(SPDX + re.sub(r"^index .*\n", "", change, flags=re.M), encoding="utf-8")
            else:
                place.unlink(missing_ok=True)


def refresh(out: Path, edit: bool) -> None:
    """Rebase the patch files onto our files, in the git repository OUT.

    Each commit there reverts a patch, the last patch first, so it gives our files as they were one patch earlier. The
    commits are made on the files of the last commit at which all patches reverted, and rebased onto our current files.
    If git stops at a conflict, the user edits OUT and runs git rebase --continue. To edit a stage otherwise, EDIT=1
    leaves OUT for a rebase by the user. If every stage compiles, "refresh" then writes the patch files and removes OUT.
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
        print(f"{out}: each commit reverts a patch; run git rebase -i there, then make series-refresh")
        return
    stages.compile()
    stages.write(description.dir)
    print(stages.git("range-diff", "--no-color", stages.forward("before"), stages.forward("stages")))
    shutil.rmtree(out)


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the project as sets of patches.")
    what = parser.add_subparsers(dest="what", required=True)
    making = what.add_parser("make", help="write a series")
    making.add_argument("base", type=Path, help="a directory with the files of the tree")
    making.add_argument("out", type=Path, help="the directory to write to; its old contents are removed")
    making.add_argument("version", help="the tree's version")
    making.add_argument("wanted", help="the set of patches")
    making.add_argument("commit", nargs="?", default="", help="the tree's commit")
    refreshing = what.add_parser("refresh", help="rebase the patch files onto our files")
    refreshing.add_argument("out", type=Path, help="the directory to rebase in")
    refreshing.add_argument("--edit", action="store_true", help="leave the repository for edits")
    args = parser.parse_args()
    try:
        if args.what == "make":
            # 3: some patches do not fit, and the others were written.
            return 3 if make(args.base, args.out.resolve(), args.version, args.commit, args.wanted) else 0
        refresh(args.out.resolve(), args.edit)
    except (Failure, OSError, ValueError, KeyError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
