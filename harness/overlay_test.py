#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What overlay.py promises about other people's trees, on trees of a few lines."""

import json
import os
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any
from unittest.mock import patch

from overlay import STAMP, Overlay, move, sha256

TABLE: dict[str, Any] = {
    "file": [{"path": "lib/new.c"}, {"path": "arch/old.c", "replaces": {"1": sha256("v1\n"), "2": sha256("v2\n")}}],
    "rename": [{"path": "arch/old.c", "word": "MASK_NEW", "older": "MASK_OLD", "header": "arch/mask.h"}],
    "insert": [
        {"path": "lib/Kconfig", "before": "config B", "text": "\nconfig OURS\n\tbool\n\n"},
        {"path": "lib/tests/Makefile", "after": "b.o", "text": "\nours.o\n",
         "older": {"path": "lib/Makefile", "after": "b.o", "text": "\ntests/ours.o\n"}},
    ],
}


class OverlayTest(unittest.TestCase):
    def setUp(self) -> None:
        environment = patch.dict(os.environ, {"WITH": ""})
        environment.start()
        self.addCleanup(environment.stop)
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.ours, self.tree = Path(scratch.name, "ours"), Path(scratch.name, "tree")
        self.put(self.ours, {"lib/new.c": "new\n", "arch/old.c": "ours MASK_NEW\n"})
        self.put(self.tree, {"arch/old.c": "v1\n", "arch/mask.h": "#define MASK_NEW\n",
                             "lib/Kconfig": "config A\n\nconfig B\n", "lib/tests/Makefile": "a.o\nb.o\n"})

    def put(self, root: Path, files: dict[str, str]) -> None:
        for path, content in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(content)

    def held(self) -> dict[str, str]:
        return {str(p.relative_to(self.tree)): p.read_text() for p in self.tree.rglob("*") if p.is_file()}

    def lay(self, table: dict[str, Any] = TABLE) -> list[str]:
        overlay = Overlay(self.ours, self.tree, table)
        overlay.work_out()
        self.assertEqual(overlay.problems, [])
        changed = overlay.changes()
        overlay.write(changed)
        return changed

    def refused(self, *names: str, table: dict[str, Any] = TABLE) -> None:
        """The overlay is refused with one problem for each name."""
        overlay = Overlay(self.ours, self.tree, table)
        overlay.work_out()
        self.assertEqual(sorted(p.split(":")[0] for p in overlay.problems), sorted(names))

    def test_lays_over(self) -> None:
        self.lay()
        held = self.held()
        self.assertEqual(held["lib/new.c"], "new\n")
        self.assertEqual(held["arch/old.c"], "ours MASK_NEW\n")
        self.assertEqual(held["lib/Kconfig"], "config A\n\nconfig OURS\n\tbool\n\nconfig B\n")
        self.assertEqual(held["lib/tests/Makefile"], "a.o\nb.o\nours.o\n")

    def test_second_time_changes_nothing(self) -> None:
        self.lay()
        self.assertEqual(self.lay(), [])

    def test_second_time_without_stamp_changes_only_the_stamp(self) -> None:
        self.lay()
        (self.tree / STAMP).unlink()
        self.assertEqual(self.lay(), [STAMP])

    def test_other_known_version_is_replaced(self) -> None:
        self.put(self.tree, {"arch/old.c": "v2\n"})
        self.lay()
        self.assertEqual(self.held()["arch/old.c"], "ours MASK_NEW\n")

    def test_older_tree_gets_older_names_and_places(self) -> None:
        (self.tree / "lib/tests/Makefile").unlink()
        self.put(self.tree, {"arch/mask.h": "#define MASK_OLD\n", "lib/Makefile": "b.o\n"})
        self.lay()
        self.assertEqual(self.held()["arch/old.c"], "ours MASK_OLD\n")
        self.assertEqual(self.held()["lib/Makefile"], "b.o\ntests/ours.o\n")

    def test_our_next_version_takes_the_place_of_the_last(self) -> None:
        self.lay()
        self.put(self.ours, {"lib/new.c": "newer\n"})
        moved = {"path": "lib/Kconfig", "before": "config A", "text": "\nconfig OURS\n\tbool \"Ours\"\n\n"}
        self.lay({**TABLE, "insert": [moved, TABLE["insert"][1]]})
        self.assertEqual(self.held()["lib/new.c"], "newer\n")
        self.assertEqual(self.held()["lib/Kconfig"], "config OURS\n\tbool \"Ours\"\n\nconfig A\n\nconfig B\n")

    def test_lays_over_again_after_checkout(self) -> None:
        pristine = self.held()
        self.lay()
        self.put(self.tree, pristine)
        self.assertEqual(sorted(self.lay()), ["arch/old.c", "lib/Kconfig", "lib/tests/Makefile"])

    def test_directory_goes_in_but_for_what_is_left(self) -> None:
        self.put(self.ours, {"tools/a/x.sh": "x\n", "tools/a/b/y.c": "y\n", "tools/a/b/here.py": "", "tools/a/__pycache__/z": ""})
        (self.ours / "tools/a/x.sh").chmod(0o755)
        self.lay({**TABLE, "directory": [{"path": "tools/a", "leave": ["here.py"]}]})
        self.assertEqual([p for p in sorted(self.held()) if p.startswith("tools/")], ["tools/a/b/y.c", "tools/a/x.sh"])
        self.assertEqual([(self.tree / "tools/a" / p).stat().st_mode & 0o777 for p in ("x.sh", "b/y.c")], [0o755, 0o644])

    def test_unknown_version_is_refused(self) -> None:
        self.put(self.tree, {"arch/old.c": "v3\n"})
        self.refused("arch/old.c")

    def test_missing_original_is_refused(self) -> None:
        (self.tree / "arch/old.c").unlink()
        self.refused("arch/old.c")

    def test_missing_spot_is_refused(self) -> None:
        self.put(self.tree, {"lib/Kconfig": "config A\n"})
        self.refused("lib/Kconfig")

    def test_ambiguous_spot_is_refused(self) -> None:
        self.put(self.tree, {"lib/Kconfig": "config B\nconfig B\n"})
        self.refused("lib/Kconfig")

    def test_all_problems_are_named(self) -> None:
        self.put(self.tree, {"arch/old.c": "v3\n", "lib/Kconfig": "", "lib/new.c": "theirs\n"})
        (self.tree / "lib/tests/Makefile").unlink()
        self.refused("arch/old.c", "lib/Kconfig", "lib/new.c", "lib/Makefile")

    def test_missing_file_of_ours_is_refused(self) -> None:
        (self.ours / "lib/new.c").unlink()
        self.refused("lib/new.c")

    def test_edited_file_of_ours_is_refused(self) -> None:
        self.lay()
        self.put(self.tree, {"lib/new.c": "new, edited\n"})
        self.refused("lib/new.c")

    def test_edited_lines_of_ours_are_refused(self) -> None:
        self.lay()
        self.put(self.tree, {"lib/Kconfig": self.held()["lib/Kconfig"].replace("\tbool", "\ttristate")})
        self.refused("lib/Kconfig")

    def test_lines_take_the_place_of_others(self) -> None:
        # One of them another, one longer, one shorter.
        spots = [{"path": "arch/lines.c", "instead": old, "text": new}
                 for old, new in (("\nb\n", "\nB\n"), ("\nc\n", "\nmore\nc\n"), ("\nd\ne\n", "\ne\n"))]
        table = {**TABLE, "insert": spots}
        before, after = "a\nb\nc\nd\ne\nf\n", "a\nB\nmore\nc\ne\nf\n"
        self.put(self.tree, {"arch/lines.c": before})
        self.lay(table)
        self.assertEqual(self.held()["arch/lines.c"], after)
        self.assertEqual(self.lay(table), [])
        (self.tree / STAMP).unlink()
        self.assertEqual(self.lay(table), [STAMP])
        self.put(self.tree, {"arch/lines.c": before})
        self.assertEqual(self.lay(table), ["arch/lines.c"])
        self.assertEqual(self.held()["arch/lines.c"], after)
        self.lay({**TABLE, "insert": [{"path": "arch/lines.c", "instead": "\nb\nc\n", "text": "\nbc\n"}]})
        self.assertEqual(self.held()["arch/lines.c"], "a\nbc\nd\ne\nf\n")

    def test_missing_or_edited_lines_to_be_replaced_are_refused(self) -> None:
        table = {**TABLE, "insert": [{"path": "lib/Kconfig", "instead": "\nconfig B\n", "text": "\nconfig C\n"}]}
        self.lay(table)
        for content in ("config A\n", "config B\nconfig B\n"):
            self.put(self.tree, {"lib/Kconfig": content})
            self.refused("lib/Kconfig", table=table)

    def test_patch_is_left_out_of_a_tree_that_is_too_old_for_it(self) -> None:
        table = {"needs": {"p": "arch/there.h"}, "file": [{"path": "arch/p.c", "patch": "p", "replaces": {"1": sha256("")}}],
                 "insert": [{"path": "arch/Kconfig", "patch": "p", "before": "config P", "text": "\nconfig OURS\n"}]}
        self.put(self.ours, {"arch/p.c": "ours\n"})
        self.assertEqual(self.lay(table), [STAMP])
        self.put(self.tree, {"arch/there.h": ""})
        self.refused("arch/p.c", "arch/Kconfig", table=table)
        self.put(self.tree, {"arch/p.c": "", "arch/Kconfig": "config P\n"})
        self.assertEqual(sorted(self.lay(table)), [STAMP, "arch/Kconfig", "arch/p.c"])

    def test_file_goes_if_it_is_one_that_we_know(self) -> None:
        table = {**TABLE, "remove": [{"path": "arch/only/gone.h", "replaces": {"1": sha256("g1\n"), "2": sha256("g2\n")}}]}
        self.put(self.tree, {"arch/only/gone.h": "g3\n"})
        self.refused("arch/only/gone.h", table=table)
        self.assertEqual(self.held()["arch/only/gone.h"], "g3\n")
        self.put(self.tree, {"arch/only/gone.h": "g2\n"})
        self.assertIn("arch/only/gone.h", self.lay(table))
        self.assertFalse((self.tree / "arch/only").exists())
        self.assertEqual(self.lay(table), [])
        (self.tree / STAMP).unlink()
        self.assertEqual(self.lay(table), [STAMP])

    def test_lines_go_into_a_file_of_ours(self) -> None:
        lines = {"path": "lib/new.c", "instead": "\nnew\n", "text": "\nnew\nand more\n"}
        table = {**TABLE, "insert": [*TABLE["insert"], lines]}
        self.lay(table)
        self.assertEqual(self.held()["lib/new.c"], "new\nand more\n")
        self.assertEqual(self.lay(table), [])
        (self.tree / STAMP).unlink()
        self.assertEqual(self.lay(table), [STAMP])
        self.lay()
        self.assertEqual(self.held()["lib/new.c"], "new\n")
        self.put(self.tree, {"lib/new.c": "new\nand other\n"})
        self.refused("lib/new.c", table=table)

    def test_optional_patch_is_left_out_unless_it_is_asked_for(self) -> None:
        table = {**TABLE, "optional": {"p": "why"}, "file": [*TABLE["file"], {"path": "arch/p.c", "patch": "p"}],
                 "remove": [{"path": "arch/only/gone.h", "patch": "p", "replaces": {"1": sha256("g\n")}}]}
        self.put(self.ours, {"arch/p.c": "p\n"})
        self.put(self.tree, {"arch/only/gone.h": "g\n"})
        self.lay(table)
        self.assertNotIn("arch/p.c", self.held())
        self.assertIn("arch/only/gone.h", self.held())
        with patch.dict(os.environ, {"WITH": "p"}):
            self.assertEqual(sorted(self.lay(table)), [STAMP, "arch/only/gone.h", "arch/p.c"])
        with patch.dict(os.environ, {"WITH": "p q"}), self.assertRaises(ValueError):
            self.lay(table)

    def test_patch_that_is_not_asked_for_any_more_goes_once_the_kernels_files_are_back(self) -> None:
        known = {"1": sha256("k1\n"), "2": sha256("k2\n")}
        files = [{"path": "arch/p/k.c", "patch": "p", "replaces": known}, {"path": "arch/p/n.c", "patch": "p"}]
        lines = {"path": "arch/Makefile", "patch": "p", "instead": "\ngone\nk\n", "text": "\nk\n"}
        table = {**TABLE, "optional": {"p": "why"},
                 "file": [*TABLE["file"], *files], "insert": [*TABLE["insert"], lines],
                 "remove": [{"path": f"arch/p/{name}.h", "patch": "p", "replaces": known} for name in ("gone", "left")]}
        kernels = {"arch/p/k.c": "k1\n", "arch/p/gone.h": "k1\n", "arch/p/left.h": "k1\n"}
        self.put(self.ours, {"arch/p/k.c": "ours\n", "arch/p/n.c": "new\n"})
        self.put(self.tree, {**kernels, "arch/Makefile": "gone\nk\n"})
        self.lay(table)
        without = self.held()
        for old_stamp in (False, True):
            with patch.dict(os.environ, {"WITH": "p"}):
                self.lay(table)
            removed = ["arch/p/gone.h", "arch/p/left.h"]
            if old_stamp:
                stamp = json.loads(self.held()[STAMP])
                del stamp["replaced"]
                self.put(self.tree, {STAMP: json.dumps(stamp)})
                removed = []
            self.refused("arch/p/k.c", *removed, table=table)
            self.put(self.tree, {"arch/p/k.c": "ours, edited\n"})
            self.refused("arch/p/k.c", *removed, table=table)
            (self.tree / "arch/p/k.c").unlink()
            self.refused("arch/p/k.c", *removed, table=table)
            if not old_stamp:
                self.put(self.tree, {"arch/p/k.c": "k1\n"})
                self.refused(*removed, table=table)
                self.put(self.tree, {"arch/p/gone.h": "k2\n"})
                self.refused("arch/p/left.h", table=table)
            self.put(self.tree, kernels)
            self.lay(table)
            self.assertEqual(self.held(), without)

    def test_file_that_is_not_ours_any_more_goes_unless_it_was_edited(self) -> None:
        self.lay()
        without = self.held()
        self.put(self.ours, {"tools/old.c": "old\n", "tools/edited.c": "old\n", "tools/none.c": "old\n"})
        dropped = [{"path": f"tools/{name}.c"} for name in ("old", "edited", "none")]
        self.lay({**TABLE, "file": [*TABLE["file"], *dropped]})
        self.put(self.tree, {"tools/edited.c": "edited\n"})
        (self.tree / "tools/none.c").unlink()
        self.lay()
        self.assertEqual(self.held(), {**without, "tools/edited.c": "edited\n"})
        self.assertEqual(self.lay(), [])
        # Where there was one of the kernel's, that has to come back.
        fewer = {**TABLE, "file": TABLE["file"][:1]}
        self.refused("arch/old.c", table=fewer)
        self.put(self.tree, {"arch/old.c": "v2\n"})
        self.assertEqual(self.lay(fewer), [STAMP])

    def test_failure_changes_nothing(self) -> None:
        known = {"1": sha256("g\n")}
        table = {**TABLE, "file": [*TABLE["file"], {"path": "tools/b/y.c"}],
                 "remove": [{"path": path, "replaces": known} for path in ("arch/only/a.h", "arch/only/b.h")]}
        self.put(self.ours, {"tools/b/y.c": "y\n"})
        self.put(self.tree, {"arch/only/a.h": "g\n", "arch/only/b.h": "g\n"})
        before, paths = self.held(), sorted(self.tree.rglob("*"))
        overlay = Overlay(self.ours, self.tree, table)
        overlay.work_out()
        changed = overlay.changes()
        self.assertEqual(len(changed), 8)
        for moves in range(len(changed)):
            left = [True] * moves + [False] + [True] * len(changed)

            def fails_once(source: Path, place: Path, left: list[bool] = left) -> None:
                if not left.pop(0):
                    raise OSError
                move(source, place)

            with patch("overlay.move", fails_once), self.assertRaises(OSError):
                overlay.write(changed)
            self.assertEqual(left, [])
            self.assertEqual(self.held(), before)
            self.assertEqual(sorted(self.tree.rglob("*")), paths)

    def test_what_cannot_be_put_back_is_kept(self) -> None:
        before = self.held()
        overlay = Overlay(self.ours, self.tree, TABLE)
        overlay.work_out()
        with patch("overlay.move", side_effect=OSError), self.assertRaises(OSError):
            overlay.write(overlay.changes())
        scratch, = self.tree.glob(".idgen-*")
        self.refused(scratch.name)
        self.assertEqual((scratch / "old/lib/Kconfig").read_text(), before["lib/Kconfig"])

    def test_run_that_was_ended_is_named(self) -> None:
        before = self.held()
        overlay = Overlay(self.ours, self.tree, TABLE)
        overlay.work_out()
        # As by a signal that cannot be caught.
        with patch("overlay.move", lambda *_: os._exit(3)):
            if not (child := os.fork()):
                overlay.write(overlay.changes())
            self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 3)
        scratch, = self.tree.glob(".idgen-*")
        self.refused(scratch.name)
        self.assertEqual({path: before[path] for path in ("arch/old.c", "lib/Kconfig", "lib/tests/Makefile")},
                         {str(p.relative_to(scratch / "old")): p.read_text() for p in scratch.glob("old/**/*") if p.is_file()})

    def test_full_disk_changes_nothing(self) -> None:
        before = self.held()
        overlay = Overlay(self.ours, self.tree, TABLE)
        overlay.work_out()
        changed = overlay.changes()
        overlay.result[changed[-1]] = "\udc80"  # cannot be encoded, so that writing the last file fails
        with self.assertRaises(ValueError):
            overlay.write(changed)
        self.assertEqual(self.held(), before)


if __name__ == "__main__":
    result = unittest.main(exit=False, verbosity=2).result
    failed = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - failed} passed, {failed} failed, 0 skipped")
    sys.exit(failed != 0)
