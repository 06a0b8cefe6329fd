#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""sync.py FROM LAID TREE WANTED HELD: make TREE hold the files of FROM, with those of LAID replacing theirs.

WANTED and HELD list the source files of FROM and TREE, one path a line. Other files in TREE, such as build directories,
stay. Only files that differ are replaced, so make rebuilds nothing else. A file is replaced by a new one, never written
to, so files may be hard links. They are if FROM is a sibling of TREE, and never if FROM is the user's tree.
"""

import filecmp
import os
import shutil
import sys
from pathlib import Path


def put(source: Path, place: Path, link: bool) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    new = place.with_name(f".idgen-{place.name}")
    new.unlink(missing_ok=True)
    if link and not source.is_symlink():
        os.link(source, new)
    else:
        shutil.copy2(source, new, follow_symlinks=False)
    os.replace(new, place)


def same_stat(source: Path, place: Path) -> bool:
    """Whether a file is our copy of another, or a link to it."""
    try:
        ours, theirs = os.lstat(place), os.lstat(source)
    except FileNotFoundError:
        return False
    return (ours.st_mode, ours.st_size, ours.st_mtime_ns) == (theirs.st_mode, theirs.st_size, theirs.st_mtime_ns)


def main() -> None:
    source, laid, tree = (Path(arg) for arg in sys.argv[1:4])
    wanted, held = (set(Path(arg).read_text(encoding="utf-8").splitlines()) for arg in sys.argv[4:6])
    over = {str(path.relative_to(laid)) for path in laid.rglob("*") if path.is_file()}
    link = source.parent == tree.parent
    for path in wanted - over:
        if not same_stat(source / path, tree / path):
            put(source / path, tree / path, link)
    for path in over:
        if not ((tree / path).is_file() and filecmp.cmp(laid / path, tree / path, shallow=False)):
            put(laid / path, tree / path, False)
            os.utime(tree / path)
    for path in held - wanted - over:
        (tree / path).unlink(missing_ok=True)


if __name__ == "__main__":
    main()
