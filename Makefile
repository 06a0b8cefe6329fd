# SPDX-License-Identifier: GPL-2.0
#
# The entry points, each a script in harness/. "make" alone lists them.

variables := LINUX LINUX_VERSION ARCH WITH SET SIGNOFF EDIT KUNIT_ARGS SAN DISASM ROWS TLA2TOOLS GENMC JOBS SHARD TABLES
targets := help kunit kunit-mutants test uml lint configs csky e2e e2e-mutants e2e-selftests bench torture explore kunit-host litmus \
	prove prove-deep weak tla mutants series series-refresh series-check merge apply clean distclean
takes_arch := kunit kunit-mutants e2e
takes_shard := mutants e2e configs series-check

# A typo is named before anything is fetched or built.
given := $(foreach variable,$(.VARIABLES),$(if $(findstring command line,$(origin $(variable))),$(variable)))
ifneq ($(filter-out $(variables),$(given)),)
$(error unknown variable $(filter-out $(variables),$(given)); there are $(variables))
endif
ifneq ($(filter-out $(targets),$(MAKECMDGOALS)),)
$(error unknown target $(filter-out $(targets),$(MAKECMDGOALS)); there are $(targets))
endif
ifneq ($(and $(ARCH),$(filter-out $(takes_arch),$(MAKECMDGOALS))),)
$(error only these take ARCH=: $(takes_arch))
endif
ifneq ($(and $(JOBS)$(SHARD),$(filter-out $(takes_shard),$(MAKECMDGOALS))),)
$(error only these take JOBS= and SHARD=: $(takes_shard))
endif

export $(variables)

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
	@echo 'make torture         lib/idgen_alloc.c on real threads, sanitised'
	@echo 'make explore         it in every order of a few steps'
	@echo 'make kunit-host      its KUnit suite, compiled for the host'
	@echo 'make litmus          its relaxed accesses, judged by herd7'
	@echo 'make prove           CBMC over it; make prove-deep: more of that'
	@echo 'make weak GENMC=/path/genmc   the C file in a few programs under weak memory, and wrong versions of it'
	@echo 'make tla TLA2TOOLS=/path/tla2tools.jar   the PlusCal model, all configurations'
	@echo 'make mutants [TLA2TOOLS=...] [GENMC=...]  wrong versions of it, each of which some layer must notice'
	@echo 'make series          the project as patches with a cover letter, by mail or for git am; LINUX= as above'
	@echo '  WITH=csky            with the patch for csky, which no compiler of Debian can build; make apply has it too'
	@echo 'make series-refresh  bring harness/series/*.patch up to date with our files'
	@echo 'make series-check    the series as its reader will look at it: each patch, several kernels'
	@echo '  JOBS=4 SHARD=3/8     with mutants, e2e, configs and series-check: four jobs at once; the third of eight parts'
	@echo 'make merge TABLES="a.csv b.csv"   merge the tables of all shards: build/configs-1-of-8.csv and so on'
	@echo 'make apply LINUX=/path   lay our files over that tree'
	@echo 'make clean           remove build/, but for fetched kernel sources; make distclean: these as well'

kunit kunit-mutants uml lint configs csky test:
	@harness/check/$@.sh

torture explore kunit-host litmus prove mutants:
	@harness/check/host.sh $@

prove-deep:
	@harness/check/host.sh prove --deep

tla:
	@tools/testing/idgen/tla/tla.sh

series series-check:
	@harness/series/$@.sh

series-refresh:
	@harness/series/series.sh refresh

e2e-mutants e2e-selftests:
	@harness/e2e/$@.sh

e2e:
	@harness/e2e/e2e.sh $(ROWS)

bench:
	@harness/bench/bench.sh

weak:
	@tools/testing/idgen/weak/run.py
	@harness/check/mutants.py --layer weak --csv build/mutants-weak.csv

apply:
	@harness/overlay/apply.sh

merge:
	@harness/check/ktap.py merge $(TABLES)

clean:
	@harness/clean.sh

distclean:
	@harness/clean.sh all

.PHONY: $(targets)
