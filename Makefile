# SPDX-License-Identifier: GPL-2.0
#
# The entry points; each is one script in harness/. "make" alone lists them.

export LINUX LINUX_VERSION KUNIT_ARGS

help:
	@echo 'make kunit           build an arm64 kernel with our files and run its KUnit suites'
	@echo '  LINUX=/path          with the source of that tree, which is only read'
	@echo '  LINUX_VERSION=6.12   with that linux-source of Debian (default: the newest)'
	@echo '  KUNIT_ARGS=...       with more options for kunit.py'
	@echo 'make test            all there is: KUnit, UML, lint and a matrix of configurations'
	@echo 'make uml             the library suite on User-mode Linux, with line coverage'
	@echo 'make lint            checkpatch, sparse, W=1, kernel-doc, shellcheck and mypy: nothing to say'
	@echo 'make apply LINUX=/path   lay our files over that tree'
	@echo 'make clean           remove build/'

kunit apply uml lint test:
	@harness/$@.sh

clean:
	rm -rf build

.PHONY: help kunit apply uml lint test clean
