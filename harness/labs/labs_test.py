#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""labs_test.py TREE: check the jobs of lava.sh against LAVA's own schema, and kernelci.yaml by rules like KernelCI's.

The steps of a job run here, with programs in place of the board's and the kselftest runner of TREE. The suites,
kselftests, options and jobs that both files name must exist. PYTHONPATH must have LAVA's lava_common.
"""

import copy
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import]
from lava_common.schemas import validate  # type: ignore[import]
from voluptuous import Invalid  # type: ignore[import]

import ktap

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
ARCHS = ("arm64", "arm", "riscv")
# The last argument of lava.sh, with characters that are special to YAML and to sed.
KERNEL_ARGS = r'idgen_alloc.bits=asid:4,vmid:4 KSELFTEST_ARGS="-s 15" a=\1&2'
# Of what kernelci-pipeline defines, all that kernelci.yaml uses.
KERNELCI = {"kselftest", "k8s-all", "lava-broonie", "lava-collabora", "trixie-kselftest", "beaglebone-black",
            "bcm2711-rpi-4-b", "cd8180-orion-o6", "juno-uboot", "stm32mp157a-dhcor-avenger96",
            "eic7700-hifive-premier-p550", "spacemit-k1-bananapi-f3"}
# What a kselftest prints.
PASSES = ("TAP version 13\n1..3\nok 1 words\nok 2 exits\nok 3 ASIDs rolled over, 30 times, by the trace event\n"
          "# Totals: pass:3\n")


def mistakes(config: dict[str, Any]) -> list[str]:
    """What the validation of kernelci-pipeline refuses, and what its templates need."""
    jobs = config["jobs"]
    defined = KERNELCI | {*jobs, *config["fragments"]}
    found: list[str] = []

    def require(name: str, item: dict[str, Any], *keys: str) -> None:
        found.extend(f"{name}: no {key}" for key in keys if not item.get(key))

    def known(name: str, *names: str) -> None:
        found.extend(f"{name}: unknown {item}" for item in names if item not in defined)

    for name, fragment in config["fragments"].items():
        require(name, fragment, "path")
    for name, job in jobs.items():
        require(name, job, "kind", "template", "params")
        params = job.get("params", {})
        if job.get("kind") == "kbuild":
            require(name, job, "image")
            require(name, params, "arch", "compiler", "cross_compile", "defconfig")
            known(name, *params.get("fragments", []))
            continue
        require(name, job, "kcidb_test_suite")
        found.extend(f"{name}: {key}" for key in params if key == "fragments")
        if job.get("template") == "generic.jinja2":
            require(name, params, "test_method", "rootfs_ref", "collections", "job_timeout")
            known(name, params.get("rootfs_ref", ""))
        else:
            require(name, job, "image")
            require(name, params, "arch", "args")
    found += [f"{name}: not scheduled" for name in {*jobs} - {entry["job"] for entry in config["scheduler"]}]
    for entry in config["scheduler"]:
        name, event = entry["job"], entry.get("event", {})
        known(name, name, *([event["name"]] if "name" in event else []), *entry.get("platforms", []))
        require(name, event, "channel", "kind", "state")
        require(name, entry.get("runtime", {}), "name")
        known(name, entry.get("runtime", {}).get("name", ""))
        if (jobs.get(name, {}).get("template") == "generic.jinja2") != ("platforms" in entry):
            found.append(f"{name}: platforms are for kselftests")
    return found


def options(file: Path) -> set[str]:
    """The options that a configuration file sets."""
    return {line for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("CONFIG_")}


class LabsTest(unittest.TestCase):
    """Test both files."""

    def setUp(self) -> None:
        self.kernelci: dict[str, Any] = yaml.safe_load((HERE / "kernelci.yaml").read_text(encoding="utf-8"))

    def job(self, arch: str) -> str:
        """A job for LAVA."""
        command = [str(HERE / "lava.sh"), arch, "some-board", "https://localhost/idgen?a=1&b=2,3",
                   KERNEL_ARGS]
        return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout

    def test_lava_takes_the_jobs(self) -> None:
        for arch in ARCHS:
            text = self.job(arch)
            self.assertNotRegex(text.split("---")[1], "@[A-Z]+@")
            job = yaml.safe_load(text)
            validate(job)
            self.assertEqual(job["context"]["extra_kernel_args"], KERNEL_ARGS)
            # A mistake is reported.
            for key in ("deploy", "test"):
                wrong = copy.deepcopy(job)
                next(action[key] for action in wrong["actions"] if key in action)["mistake"] = 1
                with self.assertRaises(Invalid):
                    validate(wrong)

    def results(self, kselftest: str = PASSES, kunit: str = "1..1\n    ok 1 one\nok 1 s\n", log: str = "",
                without: str = "") -> dict[str, str]:
        """Run the steps as LAVA does. The test cases that they report, with their results."""
        test = yaml.safe_load(self.job("arm"))["actions"][-1]["test"]
        steps = "\n".join(test["definitions"][0]["repository"]["run"]["steps"])
        program = f"#!/bin/sh\necho '{kselftest}'\nexit {'not ok' in kselftest:d}\n"
        with tempfile.TemporaryDirectory() as name:
            top = Path(name)
            packed = top / "packed"
            shutil.copytree(Path(sys.argv[1]) / "tools/testing/selftests/kselftest", packed / "kselftest")
            shutil.copy(Path(sys.argv[1]) / "tools/testing/selftests/run_kselftest.sh", packed)
            for path, text, mode in (
                    ("packed/kselftest-list.txt", "mm:asid_rollover\n", 0o644),
                    ("packed/mm/asid_rollover", program, 0o755),
                    ("debug/kunit/idgen_alloc/results", kunit, 0o644),
                    ("debug/kunit/arm_asid/results", kunit, 0o644),
                    ("opt/none", "", 0o644),
                    ("bin/lava-test-case", f"#!/bin/sh\necho $1 $3 >>{top}/cases\n", 0o755),
                    ("bin/mount", "#!/bin/sh\n", 0o755),
                    ("bin/dmesg", f"#!/bin/sh\necho '{log}'\n", 0o755),
                    ("bin/wget", f"#!/bin/sh\ntar -C {packed} -cz .\n", 0o755)):
                (top / path).parent.mkdir(parents=True, exist_ok=True)
                (top / path).write_text(text, encoding="utf-8")
                (top / path).chmod(mode)
            if without:
                (top / without).unlink()
            steps = steps.replace("/opt", f"{top}/opt").replace("/sys/kernel/debug", f"{top}/debug")
            subprocess.run(["sh", "-ec", f"PATH={top}/bin:$PATH\n{steps}"], stdout=subprocess.DEVNULL, check=True)
            return dict(line.split() for line in (top / "cases").read_text(encoding="utf-8").splitlines())

    def test_each_case_is_reported(self) -> None:
        suites = {f"{suite}.{case}": "pass" for suite in ("idgen_alloc", "arm_asid") for case in ("one", "s")}
        program = {"asid_rollover.words": "pass", "asid_rollover.exits": "pass",
                   "asid_rollover.ASIDs-rolled-over": "pass", "asid_rollover.asid_rollover": "pass"}
        self.assertEqual(self.results(), suites | program | {"kernel-log": "pass"})
        kunit = "    ok 1 one # tries: 3\n    not ok 2 - two (2)\n  ok 3 three # SKIP why\nnot ok 1 s\n"
        found = self.results(kunit=kunit)
        self.assertEqual({case.split(".")[1]: result for case, result in found.items() if case.startswith("arm_asid.")},
                         {"one": "pass", "two--2-": "fail", "three": "skip", "s": "fail"})

    def test_a_skipped_rollover_is_a_skip(self) -> None:
        found = self.results(re.sub("over, .*", "over # SKIP 0 of 1, by the trace event", PASSES))
        self.assertEqual(found["asid_rollover.ASIDs-rolled-over"], "skip")

    def test_a_failing_case_fails(self) -> None:
        found = self.results(PASSES.replace("ok 2", "not ok 2"))
        self.assertEqual((found["asid_rollover.exits"], found["asid_rollover.asid_rollover"]), ("fail", "fail"))

    def test_what_is_missing_fails(self) -> None:
        for missing, case in (("bin/wget", "asid_rollover"), ("packed/run_kselftest.sh", "asid_rollover"),
                              ("packed/kselftest-list.txt", "asid_rollover"),
                              ("packed/mm/asid_rollover", "asid_rollover.asid_rollover"),
                              ("debug/kunit/arm_asid/results", "arm_asid")):
            with self.subTest(missing):
                self.assertEqual(self.results(without=missing).get(case), "fail")
        self.assertEqual(self.results(kunit="")["idgen_alloc"], "fail")

    def test_violations_fail_the_kernel_log(self) -> None:
        self.assertEqual(self.results(log="[ 1.0] idgen_alloc: UniqueActive violated: x")["kernel-log"], "fail")
        self.assertEqual(self.results(log="[ 1.0] Internal error: Oops: 96000004")["kernel-log"], "fail")
        (pattern,) = re.findall(r'-e "INFO: .*\|(idgen.*)"', self.job("arm"))
        self.assertRegex((TOP / "lib/idgen_alloc.c").read_text(encoding="utf-8"), pattern)

    def test_suites_and_selftests_are_there(self) -> None:
        sources = "".join(path.read_text(encoding="utf-8") for path in TOP.glob("[al]*/**/*_kunit.c"))
        for arch in ARCHS:
            suites, tests = re.findall("for (?:suite|test) in (.*?); do", self.job(arch))
            for suite in suites.split():
                self.assertTrue(f'.name = "{suite}"' in sources, suite)
            for test in tests.split():
                target, program = test.split(":")
                self.assertTrue([*(TOP / "tools/testing/selftests" / target).glob(f"**/{program}.c")], test)

    def test_options_are_those_of_the_kunitconfigs(self) -> None:
        ours = options(HERE / "idgen.config")
        for path in ("", "arch/arm/mm", "arch/riscv/mm", "arch/riscv/kvm"):
            wanted = {option for option in options(TOP / path / ".kunitconfig")
                      if re.search("KUNIT|KVM|VIRT|IDGEN", option)}
            self.assertLessEqual(wanted, ours)
        self.assertEqual({*self.kernelci["fragments"]["idgen"]["configs"]}, ours)

    def test_kunit_jobs_have_all_suites(self) -> None:
        for arch in ARCHS:
            suites = re.findall("for suite in (.*?);", self.job(arch))[0].split()
            wanted = {f"CONFIG_{suite.upper()}_KUNIT_TEST=y" for suite in suites}
            args = self.kernelci["jobs"][f"kunit-{arch}-idgen"]["params"]["args"]
            self.assertLessEqual(wanted, {option for path in re.findall("--kunitconfig=(\\S+)", args)
                                          for option in options(TOP / path / ".kunitconfig")})

    def test_kernelci_takes_the_file(self) -> None:
        self.assertEqual(mistakes(self.kernelci), [])
        # Each mistake is reported.
        wrong: list[Callable[[dict[str, Any]], object]] = [
            lambda it: it["fragments"]["idgen"].pop("path"),
            lambda it: it["jobs"]["kunit-arm-idgen"].pop("kind"),
            lambda it: it["jobs"]["kunit-arm-idgen"].pop("template"),
            lambda it: it["jobs"]["kunit-arm-idgen"].pop("kcidb_test_suite"),
            lambda it: it["jobs"]["kunit-arm-idgen"]["params"].pop("args"),
            lambda it: it["jobs"]["kbuild-gcc-14-arm-idgen"].pop("image"),
            lambda it: it["jobs"]["kbuild-gcc-14-arm-idgen"]["params"].update(fragments=["none"]),
            lambda it: it["jobs"]["kselftest-mm-idgen"].pop("params"),
            lambda it: it["jobs"]["kselftest-mm-idgen"]["params"].pop("test_method"),
            lambda it: it["jobs"]["kselftest-mm-idgen"]["params"].update(rootfs_ref="none"),
            lambda it: it["jobs"]["kselftest-mm-idgen"]["params"].update(fragments=["idgen"]),
            lambda it: it["jobs"].update(more=it["jobs"]["kunit-arm-idgen"]),
            lambda it: it["scheduler"][0].update(job="none"),
            lambda it: it["scheduler"][0].pop("event"),
            lambda it: it["scheduler"][0].pop("runtime"),
            lambda it: it["scheduler"][0]["event"].pop("channel"),
            lambda it: it["scheduler"][0]["event"].pop("kind"),
            lambda it: it["scheduler"][0]["event"].pop("state"),
            lambda it: it["scheduler"][0].update(platforms=["juno-uboot"]),
            lambda it: it["scheduler"][0]["runtime"].update(name="none"),
            lambda it: it["scheduler"][-1]["event"].update(name="none"),
            lambda it: it["scheduler"][-1]["platforms"].append("none"),
        ]
        for number, plant in enumerate(wrong):
            config = copy.deepcopy(self.kernelci)
            plant(config)
            self.assertNotEqual(mistakes(config), [], number)


if __name__ == "__main__":
    sys.exit(ktap.run_cases(LabsTest, ktap.BUILD / "labs", sys.argv[2:]))
