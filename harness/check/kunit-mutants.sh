#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# kunit-mutants.sh: boot kernels with the faults of kunit-mutants.toml, each of which a KUnit case must notice. ARCH=
# defaults to arm64.

. "$(dirname "$0")/../common.sh"
only "" "$@"
list=$harness/check/kunit-mutants.toml
grep -qx "arch = \"$arch\"" "$list" ||
	die "ARCH=$arch: there are only mutants for $(sed -n 's/^arch = "\(.*\)"$/\1/p' "$list" | sort -u | paste -sd ' ')"
"$harness/fetch/deps.sh" "kunit-$arch"
lock
for_arch "$arch"
tree=$("$harness/overlay/tree.sh")
table "kunit-mutants-$arch" "$harness/check/kunit_mutants.py" "$tree" "$arch" ./tools/testing/kunit/kunit.py run \
	--build_dir="$kunit_dir" "${kunit_for[@]}" "${kunit_all[@]}" "${boot_for[@]}" --jobs="$(nproc)"
