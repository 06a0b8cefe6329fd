#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# peers.sh: run kvm-unit-tests, and Linux as a guest, with kvmtool on a kernel with our files and on one without. No
# result may be worse with them. KVM_UNIT_TESTS= and KVMTOOL= are directories, built for arm64 or sources, which are
# only read.

. "$(dirname "$0")/../common.sh"
only "" "$@"
missing() {
	cat >&2 <<-'TEXT'
		give the directories of both, built for arm64 or as sources:
		    make peers KVM_UNIT_TESTS=/path KVMTOOL=/path
		git clone https://gitlab.com/kvm-unit-tests/kvm-unit-tests.git
		git clone https://git.kernel.org/pub/scm/linux/kernel/git/will/kvmtool.git
	TEXT
	die "$1"
}
[[ -n ${KVM_UNIT_TESTS-} ]] || missing "no KVM_UNIT_TESTS="
[[ -n ${KVMTOOL-} ]] || missing "no KVMTOOL="
[[ -f $KVM_UNIT_TESTS/arm/unittests.cfg ]] || missing "KVM_UNIT_TESTS=$KVM_UNIT_TESTS has no arm/unittests.cfg"
[[ -f $KVMTOOL/Makefile || -f $KVMTOOL/lkvm-static ]] || missing "KVMTOOL=$KVMTOOL has no lkvm-static and no Makefile"
"$harness/fetch/deps.sh" kunit-arm64 e2e-arm64
lock
used[0]=$("$harness/fetch/tool.sh" qemu)
tree=$("$harness/overlay/tree.sh") pristine=$("$harness/overlay/tree.sh" pristine)
out=$build/e2e/peers
mkdir -p "$out"

is_arm64() { [[ -f $1 && $("${cross}readelf" -h "$1" 2>/dev/null) = *AArch64* ]]; }

# As a static program. Its libfdt is the kernel's.
build_kvmtool() {
	local source objects=()
	rsync -a --exclude=.git --exclude='*.[ado]' --exclude='lkvm*' "$KVMTOOL/" "$out/kvmtool/"
	mkdir -p "$out/libfdt"
	cp "$tree"/scripts/dtc/libfdt/*.[ch] "$out/libfdt/"
	for source in "$out"/libfdt/fdt*.c; do
		"${cross}gcc" -O2 -I"$out/libfdt" -c "$source" -o "${source%.c}.o"
		objects+=("${source%.c}.o")
	done
	"${cross}ar" rcs "$out/libfdt/libfdt.a" "${objects[@]}"
	make -C "$out/kvmtool" -j"$(nproc)" ARCH=arm64 CROSS_COMPILE="$cross" LIBFDT_DIR="$out/libfdt" lkvm-static
}

build_tests() {
	rsync -a --exclude=.git --exclude='*.[ado]' --exclude='*.elf' --exclude='*.flat' "$KVM_UNIT_TESTS/" \
		"$out/kvm-unit-tests/"
	(cd "$out/kvm-unit-tests" && ./configure --arch=arm64 --cross-prefix="$cross" --target=kvmtool)
	make -C "$out/kvm-unit-tests" -j"$(nproc)"
}

lkvm=$KVMTOOL/lkvm-static tests=$KVM_UNIT_TESTS
if ! is_arm64 "$lkvm"; then
	step "building kvmtool" build_kvmtool
	lkvm=$out/kvmtool/lkvm-static
	is_arm64 "$lkvm" || die "KVMTOOL=$KVMTOOL does not build for arm64"
fi
if ! grep -qs '^TARGET=kvmtool$' "$tests/config.mak" || ! is_arm64 "$tests/arm/selftest.elf" ||
	[[ ! -f $tests/arm/selftest.flat ]]; then
	step "building kvm-unit-tests" build_tests
	tests=$out/kvm-unit-tests
fi

"$harness/e2e/e2e-build.sh" "$tree" arm64 peers "$out/converted"
"$harness/e2e/e2e-build.sh" "$pristine" arm64 peers "$out/pristine"
table peers "$harness/e2e/peers.py" "$out/converted" "$out/pristine" "$lkvm" "$tests" \
	"$tree/.kunit-peers/usr/gen_init_cpio"
