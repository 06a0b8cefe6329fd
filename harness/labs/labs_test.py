#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Check the jobs of lava.sh against LAVA's own schema, and that kernelci.yaml has the keys that KernelCI asks for.

The suites, kselftests, options and jobs that they name must exist. PYTHONPATH must have LAVA's lava_common.
"""

import copy
import re
import subprocess
import sys
import unittest
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import]
from lava_common.schemas import validate  # type: ignore[import]
from voluptuous import Invalid  # type: ignore[import]

import ktap

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
ARCHS = ("arm64", "arm", "riscv")


def options(file: Path) -> set[str]:
    """The options that a configuration file sets."""
    return {line for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("CONFIG_")}


class LabsTest(unittest.TestCase):
    """Test both files."""

    def setUp(self) -> None:
        self.kernelci: dict[str, Any] = yaml.safe_load((HERE / "kernelci.yaml").read_text(encoding="utf-8"))

    def job(self, arch: str) -> str:
        """A job for LAVA."""
        command = [str(HERE / "lava.sh"), arch, "some-board", "https://localhost/idgen", "idgen_alloc.bits=asid:4,vmid:4"]
        return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout

    def test_lava_takes_the_jobs(self) -> None:
        for arch in ARCHS:
            text = self.job(arch)
            self.assertNotRegex(text.split("---")[1], "@[A-Z]+@")
            job = yaml.safe_load(text)
            validate(job)
            # A mistake is reported.
            for key in ("deploy", "test"):
                wrong = copy.deepcopy(job)
                next(action[key] for action in wrong["actions"] if key in action)["mistake"] = 1
                with self.assertRaises(Invalid):
                    validate(wrong)

    def test_ktap_becomes_test_cases(self) -> None:
        steps = yaml.safe_load(self.job("arm"))["actions"][-1]["test"]["definitions"][0]["repository"]["run"]["steps"]
        lines = "KTAP version 1\\n    ok 1 one # tries: 3\\n    not ok 2 - two (2)\\n  ok 3 three # SKIP why\\n# ok 4 none\\n"
        said = subprocess.run(["sh", "-c", f'alias lava-test-case=echo\n{steps[0]}\nprintf "{lines}" | ktap suite.'],
                              stdout=subprocess.PIPE, text=True, check=True).stdout
        self.assertEqual(said.splitlines(), ["suite.one --result pass", "suite.two--2- --result fail", "suite.three --result skip"])

    def test_violations_fail_the_kernel_log(self) -> None:
        (pattern,) = re.findall(r'grep -E "WARNING:.*\|(idgen.*)"', self.job("arm"))
        self.assertRegex((TOP / "lib/idgen_alloc.c").read_text(encoding="utf-8"), pattern)

    def test_suites_and_selftests_are_there(self) -> None:
        sources = "".join(path.read_text(encoding="utf-8") for path in TOP.glob("[al]*/**/*_kunit.c"))
        for arch in ARCHS:
            suites, tests = re.findall(r"for (?:suite|test) in (.*); do", self.job(arch))
            for suite in suites.split():
                self.assertIn(f'.name = "{suite}"', sources)
            for test in tests.split():
                self.assertTrue([*(TOP / "tools/testing/selftests" / test.split(":")[0]).glob(f"**/{test.split(':')[1]}.c")], test)

    def test_options_are_those_of_the_kunitconfigs(self) -> None:
        ours = options(HERE / "idgen.config")
        for path in ("", "arch/arm/mm", "arch/riscv/mm", "arch/riscv/kvm"):
            wanted = {option for option in options(TOP / path / ".kunitconfig") if re.search("KUNIT|KVM|VIRT|IDGEN", option)}
            self.assertLessEqual(wanted, ours)
        self.assertEqual({*self.kernelci["fragments"]["idgen"]["configs"]}, ours)

    def test_kernelci_has_what_its_validation_asks_for(self) -> None:
        jobs, scheduled = self.kernelci["jobs"], self.kernelci["scheduler"]
        for job in jobs.values():
            self.assertLessEqual({"template", "kind", "params", *["kcidb_test_suite"] * (job["kind"] == "job")}, {*job})
            if job["kind"] == "kbuild":
                self.assertLessEqual({"arch", "compiler", "cross_compile", "defconfig", "fragments"}, {*job["params"]})
        self.assertEqual({*jobs}, {entry["job"] for entry in scheduled})
        for entry in scheduled:
            self.assertIn(entry["event"]["name"], {*jobs, "checkout"})
            self.assertEqual(entry["runtime"]["type"] == "lava", "platforms" in entry)


if __name__ == "__main__":
    result = unittest.main(exit=False, verbosity=2).result
    bad = {test.id().split()[0].split(".")[-1] for test, _ in result.failures + result.errors}
    sys.exit(ktap.report(ktap.BUILD / "labs", ("test", "result"),
                         [(name, "not ok" if name in bad else "ok") for name in unittest.defaultTestLoader.getTestCaseNames(LabsTest)]))
