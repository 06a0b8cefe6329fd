#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# e2e-selftests.sh: the tree's own KVM selftests (tools/testing/selftests/kvm), booted with our files and without: same
# results, on machines with and without VHE. The kernel without is built from a copy of the other's objects.

. "$(dirname "$0")/../common.sh"
"$harness/fetch/deps.sh" kunit-arm64 e2e-arm64
lock
tree=$("$harness/overlay/tree.sh") pristine=$("$harness/overlay/tree.sh" pristine)
out=$build/e2e

build_selftests() {
	make -C "$tree" O=.kunit-e2e -s "${make_for[@]}" headers_install INSTALL_HDR_PATH="$out/usr"
	make -C "$tree/tools/testing/selftests/kvm" -s -j"$(nproc)" ARCH=arm64 CROSS_COMPILE="$cross" \
		KHDR_INCLUDES="-isystem $out/usr/include" LDFLAGS=-static OUTPUT="$out/selftests"
}

# A second archive after the first is unpacked over it.
add_selftests() {
	local program name
	mkdir -p "$out/stripped"
	{
		echo 'dir /kselftests 0755 0 0'
		find "$out/selftests" -type f -perm -u+x | sort | while read -r program; do
			name=${program#"$out"/selftests/} name=${name//\//-}
			"${cross}strip" -o "$out/stripped/$name" "$program"
			echo "file /kselftests/$name $out/stripped/$name 0755 0 0"
		done
	} >"$out/selftests.list"
	for kernel in converted pristine; do
		"$tree/.kunit-e2e/usr/gen_init_cpio" "$out/selftests.list" >>"$out/$kernel/initramfs"
	done
}

"$harness/e2e/e2e-build.sh" "$tree" arm64 plain "$out/converted"
if [[ ! -d $pristine/.kunit-e2e ]]; then
	step "copying the objects" rsync -a "$tree/.kunit-e2e" "$pristine/"
	(cd "$pristine/.kunit-e2e" && rm -f "${objects[@]}" .config)
fi
"$harness/e2e/e2e-build.sh" "$pristine" arm64 plain "$out/pristine"
step "building the selftests" build_selftests
step "adding them to what is booted" add_selftests
"$harness/e2e/e2e_selftests.py" "$out/converted" "$out/pristine"
record e2e-selftests
