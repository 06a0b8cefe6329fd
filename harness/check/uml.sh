#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# uml.sh: the library's suite on User-mode Linux, built with gcov, and the lines that it never executed.

. "$(dirname "$0")/../common.sh"
"$harness/fetch/deps.sh" uml
lock
tree=$("$harness/overlay/tree.sh")
rm -f "$build/uml.json" "$tree"/.kunit-uml/lib/{,tests/}idgen_alloc*.gcda
step "building and running KUnit on UML (the first time, some 3 minutes on 2 cores)" \
	kunit run "$tree" .kunit-uml --kunitconfig="$harness/check/uml.kunitconfig" \
	--kunitconfig=tools/testing/kunit/configs/coverage_uml.config --make_options 'CC=ccache gcc' \
	--make_options "LDFLAGS_EXECSTACK=-z noexecstack --no-warn-rwx-segments -T $harness/check/gcov.ld" --jobs="$(nproc)" --json="$build/uml.json"
step "reading the coverage" "$harness/check/coverage.py" "$tree" .kunit-uml "$harness/check/uncovered.txt"
"$harness/check/results.py" "$build/uml.json" idgen_alloc
