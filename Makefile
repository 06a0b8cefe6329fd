# SPDX-License-Identifier: GPL-2.0
#
# The entry points, each a script in harness/. "make" alone lists them.

targets := help kunit kunit-mutants test unit lint configs csky e2e e2e-mutants e2e-selftests peers bench torture \
	explore kunit-host litmus prove prove-deep weak tla mutants series series-refresh series-check merge results apply \
	clean distclean

# The variables, and the targets that take each.
takes_LINUX_VERSION := kunit kunit-mutants test lint configs csky e2e e2e-mutants e2e-selftests peers bench litmus \
	mutants series series-check
takes_LINUX := $(takes_LINUX_VERSION) apply
takes_WITH := $(takes_LINUX)
takes_ARCH := kunit kunit-mutants e2e e2e-selftests
takes_JOBS := mutants e2e configs series-check
takes_SHARD := $(takes_JOBS)
takes_KUNIT_ARGS := kunit
takes_SAN := kunit
takes_ROWS := e2e
takes_LTP := e2e
takes_KVM_UNIT_TESTS := peers
takes_KVMTOOL := peers
takes_DISASM := bench
takes_GENMC := weak mutants
takes_TLA2TOOLS := tla mutants
takes_SET := series
takes_SIGNOFF := series
takes_EDIT := series-refresh
takes_TABLES := merge
variables := $(sort $(patsubst takes_%,%,$(filter takes_%,$(.VARIABLES))))

# A typo is named before anything is fetched or built.
given := $(foreach variable,$(.VARIABLES),$(if $(findstring command line,$(origin $(variable))),$(variable)))
ifneq ($(filter-out $(variables),$(given)),)
$(error unknown variable $(filter-out $(variables),$(given)); there are $(variables))
endif
ifneq ($(filter-out $(targets),$(MAKECMDGOALS)),)
$(error unknown target $(filter-out $(targets),$(MAKECMDGOALS)); there are $(targets))
endif
# ARCH=, JOBS= and SHARD= count in the environment too. Other variables there may be for other targets.
$(foreach variable,$(sort $(given) ARCH JOBS SHARD),\
	$(if $(and $($(variable)),$(filter-out $(takes_$(variable)),$(MAKECMDGOALS))),\
	$(error $(variable)=$($(variable)) from the $(origin $(variable)): \
	only these take $(variable)=: $(takes_$(variable)))))

$(foreach variable,SAN SIGNOFF EDIT DISASM,\
	$(if $(filter-out 1,$($(variable))),$(error $(variable)=$($(variable)): give 1, or leave it out)))

export $(variables)

help:
	@sed -n 's/^#help \{0,1\}//p' Makefile

#help Times are for 2 cores; "first" is with an empty build/. Where no time is given, none was measured.
#help "Before and after" compares a kernel without our files to one with them.
#help
#help Kernel builds and boots                                            time
#help   kunit          KUnit suites of the library and its users         1 min, first 8 min
#help   kunit-mutants  mutation tests of the architectures' suites
#help   e2e            real processes and guests on QEMU at EL2
#help   e2e-mutants    mutation tests of the e2e suite                    15 min
#help   e2e-selftests  the kernel's own KVM and mm selftests and ours,
#help                  before and after; ARCH=riscv                       arm64 1 h, riscv 15 min
#help   peers          kvm-unit-tests and Linux under kvmtool, before and 9 min
#help                  after; needs KVM_UNIT_TESTS= and KVMTOOL=
#help   bench          instructions and bytes, before and after           11 min
#help   test           everything quick enough: what CI runs              37 min
#help   unit           only the part of test for harness/: input,         1 min
#help                  overlay, series
#help Static checks
#help   lint           checkpatch, sparse, W=1, kernel-doc, htmldocs,     3 min
#help                  coccicheck, shellcheck, mypy
#help   configs        our objects in the kernel's own configurations     10 to 40 s each, 40 of them
#help   csky           the conversion of csky, without a compiler for it  2 min
#help The C file on the host
#help   kunit-host     the library's KUnit suite                          seconds
#help   torture        real threads, sanitised                            over 5 min
#help   explore        all orders of a few steps of two CPUs              1 to 3 min
#help   litmus         litmus tests, by herd7                             seconds
#help   prove          CBMC; prove-deep has more configurations           5 min
#help   weak           GenMC under weak memory, with mutants; needs GENMC=
#help   tla            the PlusCal model; needs TLA2TOOLS=
#help   mutants        mutation tests of all these; TLA2TOOLS=, GENMC=
#help Patches
#help   series         a set of patches with a cover letter               seconds
#help   series-refresh rebase the patches onto our files, after a change
#help   series-check   git am, b4, checkpatch, and builds of each patch   quick part, in test: 4 min
#help   apply          lay our files over the tree LINUX=
#help Other
#help   results        write RESULTS.md and the series' figures from     seconds
#help                  the tables of the last runs
#help   merge          merge the tables of all shards: TABLES='build/e2e-1-of-2.csv ...'
#help   clean          remove build/, except fetched kernel sources; distclean removes these too
#help
#help Options
#help   LINUX=/path            take the kernel source from this tree, which is only read (apply writes to it)
#help   LINUX_VERSION=6.12     take this linux-source of Debian, or the newest of forky, sid or experimental
#help   ARCH=arm               kunit, kunit-mutants, e2e, e2e-selftests: the default is arm64; a wrong value lists all
#help   SAN=1                  kunit: with KASAN, UBSAN, lockdep (arm64)
#help   KUNIT_ARGS=...         kunit: options for kunit.py
#help   ROWS='NAME...'         e2e: only these rows of harness/e2e/e2e.toml, in a table of their own
#help   LTP=/path              e2e: run mmapstress01 of LTP, built or as sources, in the rows ltp and riscv-ltp
#help   DISASM=1               bench: show the code of both, and which variables a switch reads
#help   SET=fixes              series: this set; harness/series/README.md lists them
#help   SIGNOFF=1              series: add your Signed-off-by
#help   EDIT=1                 series-refresh: stop for edits
#help   JOBS=4 SHARD=3/8       mutants, e2e, configs, series-check: four jobs at once; the third of eight parts
#help   WITH=csky              include that patch, which is left out by default
#help   GENMC=, TLA2TOOLS=     paths of tools that Debian does not have

kunit kunit-mutants lint configs csky test:
	@harness/check/$@.sh

unit:
	@harness/check/test.sh unit

torture explore kunit-host litmus prove prove-deep weak tla mutants:
	@harness/check/host.sh $@

series series-check:
	@harness/series/$@.sh

series-refresh:
	@harness/series/series.sh refresh

e2e:
	@harness/e2e/e2e.sh $(ROWS)

peers:
	@harness/e2e/peers.sh

e2e-mutants e2e-selftests:
	@harness/e2e/e2e.sh $(@:e2e-%=%)

bench:
	@harness/bench/bench.sh

results:
	@harness/check/tables.py

apply:
	@harness/overlay/apply.sh

merge:
	@harness/check/ktap.py merge $(TABLES)

clean:
	@harness/clean.sh

distclean:
	@harness/clean.sh all

.PHONY: $(targets)
# One run at a time uses build/.
.NOTPARALLEL:
