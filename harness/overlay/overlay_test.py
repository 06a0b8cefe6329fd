#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Test overlay.py and splice.py on trees of a few lines."""

import os
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any
from unittest.mock import patch

import ktap
from overlay import STAMP, WHOLE, Overlay, move
from splice import Splice

KERNELS = """// SPDX-License-Identifier: GPL-2.0
/* What it is. */

#include <linux/bits.h>
#include <linux/mm.h>

/* How many. */
static unsigned int bits;
static int lock;

#define MASK(x) \\
	((x) & 1)

/* Which it is. */
static int search(int id)
{
	for (; id < 4; id++) {
		if (id == lock)
			return id;
	}
	return -1;
}

/* Not about it. */
int other(int a)
{
	return a + bits;
}

/* The switch. */
void switch_to(int id)
{
	int found;

	/* First this. */
	if (id)
		prepare(id);

	found = search(id);
	if (found < 0)
		goto out;

	/* Then this. */
	do_switch(id);
out:
	after();
}
initcall(other);
"""

OURS = """// SPDX-License-Identifier: GPL-2.0-only
/* Pieces. */

#include <linux/idgen.h>

/* tree: bits */
static struct alloc ids;
/* gone: lock MASK */

static int find(void)
{
	return 1;
}
/* gone: search */

void switch_to(int id)
{
	/* tree: prepare */

	find();

	/* tree: do_switch */
	/* tree: after */
}
"""

RESULT = """// SPDX-License-Identifier: GPL-2.0
/* What it is. */

#include <linux/bits.h>
#include <linux/idgen.h>
#include <linux/mm.h>

/* How many. */
static unsigned int bits;
static struct alloc ids;

static int find(void)
{
	return 1;
}

/* Not about it. */
int other(int a)
{
	return a + bits;
}

/* The switch. */
void switch_to(int id)
{
	/* First this. */
	if (id)
		prepare(id);

	find();

	/* Then this. */
	do_switch(id);
	after();
}
initcall(other);
"""


def forms_of(path: str, *kernels: str) -> dict[str, Any]:
    """The forms that --learn writes for these versions of a file."""
    forms: dict[str, Any] = {}
    for version, tree in enumerate(kernels):
        splice = Splice(path, tree, OURS, {})
        splice.result()
        splice.lose(WHOLE, splice.hashes(tree))
        for name, form in splice.lost.items():
            forms.setdefault(name, []).append({"kernels": [str(version)], "form": form})
    return forms


OLDER = KERNELS.replace("return -1;", "return 0;")
FORMS = {"arch/old.c": forms_of("arch/old.c", KERNELS, OLDER)}
TABLE: dict[str, Any] = {
    "file": [{"path": "lib/new.c"}],
    "pieces": [{"path": "arch/old.c"}],
    "insert": [
        {"path": "lib/Kconfig", "before": "config B", "text": "\nconfig OURS\n\tbool\n\n"},
        {"path": "lib/tests/Makefile", "after": "b.o", "text": "\nours.o\n",
         "older": {"path": "lib/Makefile", "after": "b.o", "text": "\ntests/ours.o\n"}},
    ],
}

# Changes that a maintainer's tree can have. Each must be accepted and kept.
HARMLESS = {
    "a comment above an include": ("#include <linux/mm.h>", "/* Why. */\n#include <linux/mm.h>"),
    "another include": ("#include <linux/mm.h>", "#include <linux/log2.h>\n#include <linux/mm.h>"),
    "an include fewer": ("#include <linux/mm.h>\n", ""),
    "a copyright line": ("/* What it is. */", "/*\n * What it is.\n * Copyright\n */"),
    "a comment at the end": ("initcall(other);\n", "initcall(other);\n\n/* The end. */\n"),
    "a function before": ("/* Which it is. */", "int more(void)\n{\n\treturn 2;\n}\n\n/* Which it is. */"),
    "a function after": ("/* The switch. */", "int more(void)\n{\n\treturn 2;\n}\n\n/* The switch. */"),
    "a variable": ("static unsigned int bits;", "static unsigned int bits;\nstatic int more;"),
    "a macro": ("#define MASK(x)", "#define MORE 1\n#define MASK(x)"),
    "a kept function": ("return a + bits;", "return a - bits;"),
    "a local of a kept function": ("int other(int a)\n{\n\treturn a", "int other(int b)\n{\n\treturn b"),
    "the comment of a kept function": ("/* Not about it. */", "/* Not about that. */"),
    "the initcall": ("initcall(other);", "late_initcall(other);"),
    "the value of a kept variable": ("static unsigned int bits;", "static unsigned int bits = 8;"),
    "a kept statement": ("\tif (id)\n\t\tprepare(id);", "\tif (id > 1)\n\t\tprepare(id);"),
    "the comment of a kept statement": ("/* First this. */", "/* First that. */"),
    "the comment of a replaced function": ("/* The switch. */", "/*\n * The switch.\n */"),
    "an attribute of a kept variable": ("static unsigned int bits;", "static unsigned int bits __read_mostly;"),
}
# Harmless changes to code that is removed.
LOST = {
    "a comment of a removed function": ("/* Which it is. */", "/* Which of them. */"),
    "a comment in a removed function": ("\treturn -1;", "\t/* None. */\n\treturn -1;"),
    "a removed function, wrapped otherwise": ("static int search(int id)", "static int\nsearch(int id)"),
    "space in a removed macro": ("((x) & 1)", "((x)  &  1)"),
    "a form of another kernel": ("return -1;", "return 0;"),
}
# Changes that must be refused: the function that the message names, and a part of the message.
REFUSED = {
    "a statement of a removed function": ("return -1;", "return -2;", "search", "return -2;"),
    "one more in a removed function":
        ("\t\tif (id == lock)", "\t\tcheck();\n\t\tif (id == lock)", "search", "check();"),
    "one fewer in a removed function": ("\treturn -1;\n", "", "search", "1 known statement"),
    "the arguments of a removed function": ("search(int id)\n", "search(int id, int n)\n", "search", "int n"),
    "a removed macro": ("((x) & 1)", "((x) & 3)", "MASK", "& 3"),
    "a removed variable": ("static int lock;", "static long lock;", "lock", "static long lock;"),
    "a removed variable's value": ("static int lock;", "static int lock = 1;", "lock", "= 1"),
    "a statement of a replaced function": ("found < 0", "found <= 0", "switch_to", "found <= 0"),
    "one more in a replaced function":
        ("\tfound = search(id);", "\taudit(id);\n\tfound = search(id);", "switch_to", "audit(id);"),
    "one more before a kept statement":
        ("\t/* Then this. */", "\tbarrier();\n\t/* Then this. */", "switch_to", "barrier();"),
    "one more at the end": ("\tafter();\n", "\tafter();\n\tand_then();\n", "switch_to", "and_then();"),
    "a local": ("\tint found;", "\tlong found;", "switch_to", "long found;"),
    "a signature": ("void switch_to(int id)", "void switch_to(long id)", "switch_to", "long id"),
    "a kept statement that is gone": ("\tdo_switch(id);\n", "", "", "do_switch"),
    "a kept statement that is there twice": ("\tafter();\n", "\tafter();\n\tafter();\n", "", "after"),
    "a function that is gone": ("void switch_to(int id)", "void switch_to_it(int id)", "", "has switch_to 0 times"),
    "a variable that is gone": ("static int lock;\n", "", "", "lock"),
    "an anchor that is gone": ("static unsigned int bits;", "static unsigned int nr;", "", "bits"),
}


class OverlayTest(unittest.TestCase):
    def setUp(self) -> None:
        environment = patch.dict(os.environ, {"WITH": ""})
        environment.start()
        self.addCleanup(environment.stop)
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.ours, self.tree = Path(scratch.name, "ours"), Path(scratch.name, "tree")
        self.put(self.ours, {"lib/new.c": "new\n", "arch/old.c": OURS})
        self.put(self.tree, {"arch/old.c": KERNELS, "lib/Kconfig": "config A\n\nconfig B\n",
                             "lib/tests/Makefile": "a.o\nb.o\n"})

    def put(self, root: Path, files: dict[str, str]) -> None:
        for path, content in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(content)

    def held(self) -> dict[str, str]:
        return {str(p.relative_to(self.tree)): p.read_text() for p in self.tree.rglob("*") if p.is_file()}

    def overlay(self, table: dict[str, Any] = TABLE) -> Overlay:
        overlay = Overlay(self.ours, self.tree, table, FORMS)
        overlay.work_out()
        return overlay

    def lay(self, table: dict[str, Any] = TABLE) -> list[str]:
        overlay = self.overlay(table)
        self.assertEqual(overlay.problems, [])
        changed = overlay.changes()
        overlay.write(changed)
        return changed

    def refused(self, *names: str, table: dict[str, Any] = TABLE) -> None:
        """The overlay is refused with one problem for each name."""
        self.assertEqual(sorted(p.split(":")[0] for p in self.overlay(table).problems), sorted(names))

    def test_harmless_changes_go_through_and_are_kept(self) -> None:
        for what, (old, new) in {**HARMLESS, **LOST}.items():
            with self.subTest(what):
                self.assertEqual(KERNELS.count(old), 1)
                splice = Splice("old.c", KERNELS.replace(old, new), OURS, FORMS["arch/old.c"])
                expected = RESULT.replace(old, new)
                if what == "a macro":
                    expected = RESULT.replace("static int find", "#define MORE 1\n\nstatic int find")
                if what == "a function before":
                    expected = RESULT.replace("/* Not about", new.removesuffix("/* Which it is. */") + "/* Not about")
                if what == "a variable":
                    expected = RESULT.replace("alloc ids;", "alloc ids;\nstatic int more;")
                if what in LOST:
                    expected = RESULT
                self.assertEqual((splice.result(), splice.problems), (expected, []))

    def test_changes_to_what_is_lost_are_refused(self) -> None:
        for what, (old, new, name, said) in REFUSED.items():
            with self.subTest(what):
                self.assertEqual(KERNELS.count(old), 1)
                self.put(self.tree, {"arch/old.c": KERNELS.replace(old, new)})
                before = self.held()
                problems = self.overlay().problems
                self.assertEqual(len(problems), 1, problems)
                self.assertIn(f"arch/old.c: {name} is not as" if name else "arch/old.c: has", problems[0])
                self.assertIn(said, problems[0])
                self.assertEqual(self.held(), before)

    def test_of_two_functions_the_one_with_what_is_named_is_meant(self) -> None:
        tree = "#if A\nvoid f(void)\n{\n\ta();\n\tb();\n}\n#else\nvoid f(void)\n{\n}\n#endif\n"
        for ours, named in (("a", 1), ("c", 0)):
            body = f"\t/* tree: {ours} */\n\tmore();\n\t/* tree: ... */\n"
            splice = Splice("f.c", tree, f"void f(void)\n{{\n{body}}}\n", {})
            self.assertEqual(splice.result(), tree.replace("\ta();\n", "\ta();\n\tmore();\n" if named else "\ta();\n"))
            self.assertEqual(len(splice.problems), 1 - named, splice.problems)
            self.assertEqual(Splice("f.c", splice.result(), splice.ours, {}).there(), bool(named))

    def test_unknown_form_is_learnt(self) -> None:
        tree, ours = "void f(void)\n{\n\ta();\n\tb();\n}\n", "void f(void)\n{\n\tc();\n}\n"
        for learn in (False, True):
            splice = Splice("f.c", tree, ours, {"f": [], "g": []}, learn=learn)
            splice.result()
            self.assertEqual(([*splice.lost], len(splice.problems)), (["f"], 1 - learn))
        # A function that has to be there is missed nevertheless.
        missing = Splice("f.c", tree, ours + "\n" + ours.replace("f(", "g("), {"f": [], "g": []}, learn=True)
        missing.result()
        self.assertEqual(missing.problems, ["f.c: has g 0 times, not once"])

    def test_what_a_fix_brought_in_goes_if_it_is_there(self) -> None:
        fixed = "void f(void)\n{\n\ta();\n\twhile (fix()) {\n\t\tb();\n\t}\n\tc();\n}\n"
        ours = "void f(void)\n{\n\t/* tree: ... */\n\t/* gone if there: fix */\n\t/* tree: ... */\n}\n"
        lost = Splice("f.c", fixed, ours, {})
        lost.result()
        forms = {"f": [{"kernels": ["1"], "form": lost.lost["f"]}]}
        without = "void f(void)\n{\n\ta();\n\tc();\n}\n"
        for tree in (fixed, without):
            splice = Splice("f.c", tree, ours, forms)
            self.assertEqual((splice.result(), splice.problems), (without, []))

    def test_lays_over(self) -> None:
        self.lay()
        held = self.held()
        self.assertEqual(held["lib/new.c"], "new\n")
        self.assertEqual(held["arch/old.c"], RESULT)
        self.assertEqual(held["lib/Kconfig"], "config A\n\nconfig OURS\n\tbool\n\nconfig B\n")
        self.assertEqual(held["lib/tests/Makefile"], "a.o\nb.o\nours.o\n")

    def test_second_time_changes_nothing(self) -> None:
        self.lay()
        self.assertEqual(self.lay(), [])

    def test_older_tree_gets_older_places(self) -> None:
        (self.tree / "lib/tests/Makefile").unlink()
        self.put(self.tree, {"lib/Makefile": "b.o\n"})
        self.lay()
        self.assertEqual(self.held()["lib/Makefile"], "b.o\ntests/ours.o\n")

    def test_our_next_version_takes_the_place_of_the_last(self) -> None:
        self.lay()
        self.put(self.ours, {"lib/new.c": "newer\n", "arch/old.c": OURS.replace("return 1;", "return 2;")})
        moved = {"path": "lib/Kconfig", "before": "config A", "text": "\nconfig OURS\n\tbool \"Ours\"\n\n"}
        self.lay({**TABLE, "insert": [moved, TABLE["insert"][1]]})
        self.assertEqual(self.held()["lib/new.c"], "newer\n")
        self.assertEqual(self.held()["arch/old.c"], RESULT.replace("return 1;", "return 2;"))
        self.assertEqual(self.held()["lib/Kconfig"], "config OURS\n\tbool \"Ours\"\n\nconfig A\n\nconfig B\n")

    def test_lays_over_again_after_checkout(self) -> None:
        pristine = self.held()
        self.lay()
        self.put(self.tree, pristine)
        self.assertEqual(sorted(self.lay()), ["arch/old.c", "lib/Kconfig", "lib/tests/Makefile"])

    def test_directory_goes_in_but_for_what_is_left(self) -> None:
        self.put(self.ours, {"tools/a/x.sh": "x\n", "tools/a/b/y.c": "y\n", "tools/a/b/here.py": "",
                             "tools/a/__pycache__/z": ""})
        (self.ours / "tools/a/x.sh").chmod(0o755)
        self.lay({**TABLE, "directory": [{"path": "tools/a", "leave": ["here.py"]}]})
        self.assertEqual([p for p in sorted(self.held()) if p.startswith("tools/")], ["tools/a/b/y.c", "tools/a/x.sh"])
        modes = [(self.tree / "tools/a" / p).stat().st_mode & 0o777 for p in ("x.sh", "b/y.c")]
        self.assertEqual(modes, [0o755, 0o644])

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
        self.put(self.tree, {"arch/old.c": OLDER.replace("return 0;", ""), "lib/Kconfig": "", "lib/new.c": "theirs\n"})
        (self.tree / "lib/tests/Makefile").unlink()
        self.refused("arch/old.c", "lib/Kconfig", "lib/new.c", "lib/Makefile")

    def test_missing_file_of_ours_is_refused(self) -> None:
        (self.ours / "lib/new.c").unlink()
        self.refused("lib/new.c")

    def test_edited_file_of_ours_is_refused(self) -> None:
        self.lay()
        self.put(self.tree, {"lib/new.c": "new, edited\n"})
        self.refused("lib/new.c")

    def test_edited_pieces_are_refused(self) -> None:
        self.lay()
        self.put(self.tree, {"arch/old.c": RESULT.replace("return 1;", "return 2;")})
        self.refused("arch/old.c")
        self.assertIn("edited since", self.overlay().problems[0])

    def test_edited_lines_of_ours_are_refused(self) -> None:
        self.lay()
        self.put(self.tree, {"lib/Kconfig": self.held()["lib/Kconfig"].replace("\tbool", "\ttristate")})
        self.refused("lib/Kconfig")

    def test_line_is_dropped(self) -> None:
        table = {**TABLE, "insert": [{"path": "lib/Kconfig", "drop": "config A"}]}
        self.lay(table)
        self.assertEqual(self.held()["lib/Kconfig"], "\nconfig B\n")
        self.assertEqual(self.lay(table), [])
        self.lay({**TABLE, "insert": []})
        self.assertEqual(self.held()["lib/Kconfig"], "config A\n\nconfig B\n")
        self.put(self.tree, {"lib/Kconfig": "config A\nconfig A\n"})
        self.refused("lib/Kconfig", table=table)

    def test_text_is_replaced_where_it_is_found_once(self) -> None:
        """Also in a file that pieces change."""
        spots = [{"path": path, "old": "config A", "new": "config C"} for path in ("lib/Kconfig", "lib/none")]
        table = {**TABLE, "insert": [*spots, {"path": "arch/old.c", "old": "return 1;", "new": "return 3;"}]}
        before = self.held()
        self.lay(table)
        self.assertEqual(self.held()["lib/Kconfig"], "config C\n\nconfig B\n")
        self.assertEqual(self.held()["arch/old.c"], RESULT.replace("return 1;", "return 3;"))
        self.assertEqual(self.lay(table), [])
        self.lay({**TABLE, "insert": [], "pieces": [], "file": []})
        for path in ("lib/Kconfig", "arch/old.c"):
            self.assertEqual(self.held()[path], before[path])
        self.put(self.tree, {"lib/Kconfig": "config A\nconfig A\n"})
        self.lay(table)
        self.assertEqual(self.held()["lib/Kconfig"], "config A\nconfig A\n")

    def test_entries_are_sorted_into_their_section(self) -> None:
        spots = [{"path": "MAINTAINERS", "section": name, "text": text}
                 for name, text in (("ONE", "\nF:\tlib/b.c\nF:\tlib/d.c\n"), ("TWO", "\nF:\tlib/b.c\n"))]
        table = {**TABLE, "insert": spots}
        before = "ONE\nL:\tlist\nF:\tlib/a.c\nF:\tlib/c.c\nX:\tno\n\nTWO\nL:\tlist\n\n"
        self.put(self.tree, {"MAINTAINERS": before})
        self.lay(table)
        self.assertEqual(self.held()["MAINTAINERS"],
                         "ONE\nL:\tlist\nF:\tlib/a.c\nF:\tlib/b.c\nF:\tlib/c.c\nF:\tlib/d.c\nX:\tno\n\n"
                         "TWO\nL:\tlist\nF:\tlib/b.c\n\n")
        self.assertEqual(self.lay(table), [])
        self.lay({**TABLE, "insert": []})
        self.assertEqual(self.held()["MAINTAINERS"], before)
        self.put(self.tree, {"MAINTAINERS": "ONE\n\n"})
        self.refused("MAINTAINERS", table=table)

    def test_patch_is_left_out_of_a_tree_that_is_too_old_for_it(self) -> None:
        table = {"needs": {"p": "arch/there.h"}, "file": [], "pieces": [{"path": "arch/p.c", "patch": "p"}],
                 "insert": [{"path": "arch/Kconfig", "patch": "p", "before": "config P", "text": "\nconfig OURS\n"}]}
        self.put(self.ours, {"arch/p.c": "int ours;\n"})
        self.assertEqual(self.lay(table), [STAMP])
        self.put(self.tree, {"arch/there.h": ""})
        self.refused("arch/p.c", "arch/Kconfig", table=table)
        self.put(self.tree, {"arch/p.c": "", "arch/Kconfig": "config P\n"})
        self.assertEqual(sorted(self.lay(table)), [STAMP, "arch/Kconfig", "arch/p.c"])

    def test_file_goes_if_it_is_one_that_we_know(self) -> None:
        table = {**TABLE, "pieces": [], "remove": [{"path": "arch/old.c"}]}
        self.put(self.tree, {"arch/old.c": KERNELS.replace("return -1;", "return -2;")})
        self.refused("arch/old.c", table=table)
        for content in (OLDER, KERNELS + "\n/* The end. */\n"):
            self.put(self.tree, {"arch/old.c": content})
            self.assertIn("arch/old.c", self.lay(table))
            self.assertFalse((self.tree / "arch").exists())
            self.assertEqual(self.lay(table), [])
            self.lay({**table, "remove": []})
            self.assertEqual(self.held()["arch/old.c"], content)

    def test_optional_patch_is_left_out_unless_it_is_asked_for(self) -> None:
        table = {**TABLE, "optional": {"p": "why"}, "file": [*TABLE["file"], {"path": "arch/p.c", "patch": "p"}],
                 "pieces": [{"path": "arch/old.c", "patch": "p"}]}
        self.put(self.ours, {"arch/p.c": "p\n"})
        pristine = self.held()
        self.lay(table)
        without = self.held()
        self.assertNotIn("arch/p.c", without)
        self.assertEqual(without["arch/old.c"], KERNELS)
        with patch.dict(os.environ, {"WITH": "p"}):
            self.assertEqual(sorted(self.lay(table)), [STAMP, "arch/old.c", "arch/p.c"])
            self.assertEqual(self.held()["arch/old.c"], RESULT)
        self.lay(table)
        self.assertEqual(self.held(), without)
        self.lay({"file": [], "insert": []})
        self.assertEqual({path: content for path, content in self.held().items() if path != STAMP}, pristine)
        with patch.dict(os.environ, {"WITH": "p q"}), self.assertRaises(ValueError):
            self.lay(table)

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

    def test_failure_changes_nothing(self) -> None:
        table = {**TABLE, "file": [*TABLE["file"], {"path": "tools/b/y.c"}], "remove": [{"path": "arch/only/a.h"}]}
        self.put(self.ours, {"tools/b/y.c": "y\n"})
        self.put(self.tree, {"arch/only/a.h": ""})
        before, paths = self.held(), sorted(self.tree.rglob("*"))
        overlay = self.overlay(table)
        changed = overlay.changes()
        self.assertEqual(len(changed), 7)
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
        overlay = self.overlay()
        with patch("overlay.move", side_effect=OSError), self.assertRaises(OSError):
            overlay.write(overlay.changes())
        scratch, = self.tree.glob(".idgen-*")
        self.refused(scratch.name)
        self.assertEqual((scratch / "old/lib/Kconfig").read_text(), before["lib/Kconfig"])

    def test_interrupted_clean_up_leaves_a_whole_tree(self) -> None:
        overlay = self.overlay()
        with patch("shutil.rmtree", side_effect=KeyboardInterrupt), self.assertRaises(KeyboardInterrupt):
            overlay.write(overlay.changes())
        self.assertEqual(self.held()["arch/old.c"], RESULT)
        scratch, = self.tree.glob(".idgen-*/")
        self.put(self.ours, {"lib/new.c": "newer\n"})
        self.lay()
        self.assertEqual(self.held()["lib/new.c"], "newer\n")
        self.assertFalse(scratch.exists())

    def test_run_that_was_ended_is_named(self) -> None:
        before = self.held()
        overlay = self.overlay()
        # As by a signal that cannot be caught.
        with patch("overlay.move", lambda *_: os._exit(3)):
            if not (child := os.fork()):
                overlay.write(overlay.changes())
            self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 3)
        scratch, = self.tree.glob(".idgen-*")
        self.refused(scratch.name)
        old = scratch / "old"
        self.assertEqual({path: before[path] for path in ("arch/old.c", "lib/Kconfig", "lib/tests/Makefile")},
                         {str(p.relative_to(old)): p.read_text() for p in old.rglob("*") if p.is_file()})

    def test_full_disk_changes_nothing(self) -> None:
        before = self.held()
        overlay = self.overlay()
        changed = overlay.changes()
        overlay.result[changed[-1]] = "\udc80"  # cannot be encoded, so that writing the last file fails
        with self.assertRaises(ValueError):
            overlay.write(changed)
        self.assertEqual(self.held(), before)


if __name__ == "__main__":
    sys.exit(ktap.run_cases(OverlayTest, ktap.BUILD / "overlay", sys.argv[1:]))
