# SPDX-License-Identifier: GPL-2.0
#
# The entry points; each is one script in harness/. "make" alone lists them.

export LINUX LINUX_VERSION ARCH WITH SET SIGNOFF EDIT KUNIT_ARGS SAN DISASM

help:
	@echo 'make kunit           build an arm64 kernel with our files and run its KUnit suites'
	@echo '  LINUX=/path          with the source of that tree, which is only read'
	@echo '  LINUX_VERSION=6.12   with that linux-source of Debian (default: the newest)'
	@echo '  ARCH=arm             for that architecture: arm, riscv or riscv32 (default: arm64)'
	@echo '  SAN=1                with KASAN, UBSAN, lockdep and what else finds faults in a kernel'
	@echo '  KUNIT_ARGS=...       with more options for kunit.py'
	@echo 'make test            all there is: KUnit, UML, lint and a matrix of configurations'
	@echo 'make uml             the library suite on User-mode Linux, with line coverage'
	@echo 'make lint            checkpatch, sparse, W=1, kernel-doc, htmldocs, coccicheck, shellcheck and mypy: nothing to say'
	@echo 'make configs         our objects in the kernel'"'"'s own configurations, by gcc and clang, on five architectures'
	@echo 'make e2e             real processes and guests on QEMU at EL2; ROWS= for some rows of harness/e2e/e2e.toml'
	@echo 'make e2e-mutants     kernels that are wrong, each of which e2e must notice'
	@echo 'make e2e-selftests   the kernel'"'"'s KVM selftests, with our files and without'
	@echo 'make kunit-mutants   kernels with faults in architecture code, each of which its KUnit suite must notice; ARCH= as above'
	@echo 'make csky            the port to csky, as far as it can be checked without a compiler for it'
	@echo 'make bench           what it costs, against what it replaces, in instructions; fails if anything costs more'
	@echo '  DISASM=1             with the disassembly of both, and what is in which cache line'
	@echo 'make torture         lib/idgen_alloc.c on real threads, sanitised, and in every order of a few steps'
	@echo 'make litmus          its relaxed accesses, judged by herd7'
	@echo 'make prove           CBMC over it, its schedules and litmus tests; make prove-deep: more of CBMC'
	@echo 'make weak GENMC=/path/genmc   the C file in a few programs under weak memory, and wrong versions of it'
	@echo 'make tla TLA2TOOLS=/path/tla2tools.jar   the PlusCal model, all configurations'
	@echo 'make mutants [TLA2TOOLS=...] [GENMC=...]  wrong versions of it, each of which some layer must notice'
	@echo 'make series          the project as patches with a cover letter, by mail or for git am; LINUX= as above'
	@echo '  WITH=csky            with the patch for csky, which no compiler of Debian can build; make apply has it too'
	@echo 'make series-refresh  bring harness/series/*.patch up to date with our files'
	@echo 'make series-check    the series as its reader will look at it: each patch, several kernels'
	@echo 'make apply LINUX=/path   lay our files over that tree'
	@echo 'make clean           remove build/'

kunit kunit-mutants uml lint configs csky test prove litmus:
	@harness/check/$@.sh

series series-check:
	@harness/series/$@.sh

e2e-mutants e2e-selftests:
	@harness/e2e/$@.sh

apply:
	@harness/overlay/apply.sh

bench:
	@harness/bench/bench.sh

e2e:
	@harness/e2e/e2e.sh $(ROWS)

prove-deep:
	@harness/check/prove.sh --deep

series-refresh:
	@harness/series/series.sh refresh

torture:
	@$(MAKE) --no-print-directory -C tools/testing/idgen run

tla:
	@TLA2TOOLS="$(TLA2TOOLS)" tools/testing/idgen/tla/tla.sh

mutants:
	@TLA2TOOLS="$(TLA2TOOLS)" GENMC="$(GENMC)" harness/check/mutants.sh

weak:
	@GENMC="$(GENMC)" tools/testing/idgen/weak/run.py
	@GENMC="$(GENMC)" harness/check/mutants.py --layer weak --csv build/mutants-weak.csv

clean:
	rm -rf build

.PHONY: help kunit kunit-mutants apply uml lint configs csky bench test prove prove-deep series series-check series-refresh e2e e2e-mutants e2e-selftests torture litmus weak tla mutants clean
