#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# kunit-mutants.sh: kernels with the faults of kunit-mutants.toml, and the KUnit case that notices each. ARCH= is arm64
# unless another is named.

. "$(dirname "$0")/../common.sh"
"$harness/fetch/deps.sh" "kunit-$arch"
lock
for_arch "$arch"
tree=$("$harness/overlay/tree.sh")
dir=.kunit-$arch
[[ $arch != arm64 ]] || dir=.kunit
"$harness/check/kunit_mutants.py" "$tree" "$arch" ./tools/testing/kunit/kunit.py run --build_dir="$dir" "${kunit_for[@]}" \
	"${kunit_all[@]}" --jobs="$(nproc)"
