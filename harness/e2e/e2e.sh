#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# [JOBS=N] [SHARD=I/N] e2e.sh [--quick] [ROW...]: run real processes and guests. Builds the kernels for the rows of e2e.toml,
# which e2e.py boots on QEMU. ARCH= defaults to arm64.
#
# e2e.sh mutants [NAME...]: boot kernels with the faults of e2e-mutants.toml, each of which e2e must notice. They are built in
# a tree of their own, with hard links to the other tree and a copy of its objects.
#
# e2e.sh selftests: boot the kernel's own KVM selftests with our files and without, on machines with and without VHE. The
# results must be the same. The kernel without our files is built from a copy of the other's objects.

. "$(dirname "$0")/../common.sh"
out=$build/e2e

rows() {
	local table=e2e-$arch kernels needed kernel built
	[[ $arch != @(mips*|um) ]] || die "ARCH=$arch: there are no rows for it"
	set -- --arch="$arch" "$@"
	export SHARD=$shard
	kernels=$("$harness/e2e/e2e.py" --kernels "$@")
	while read -r needed _; do
		"$harness/fetch/deps.sh" "kunit-$needed" "e2e-$needed"
	done <<<"$kernels"
	lock
	mkdir -p "$out"
	[[ $arch != riscv32 ]] || cp "$("$harness/fetch/tool.sh" opensbi)" "$out/"
	tree=$("$harness/overlay/tree.sh")
	while read -r needed kernel built; do
		"$harness/e2e/e2e-build.sh" "$tree" "$needed" "$kernel" "$out/$built" </dev/null
	done <<<"$kernels"
	spread "${table%-arm64}" "$harness/e2e/e2e.py" "$@"
	record "${table%-arm64}"
}

link() {
	mkdir -p "$mutants"
	rsync -a --delete --link-dest="$tree" --exclude='/.kunit*' --exclude='/.*-matrix' --exclude='/.lint*' "$tree/" "$mutants/"
	rsync -a --delete "$tree/.kunit-e2e" "$mutants/"
}

mutants() {
	"$harness/fetch/deps.sh" kunit-arm64 e2e-arm64
	lock
	tree=$("$harness/overlay/tree.sh")
	mutants=$tree-mutants
	"$harness/e2e/e2e-build.sh" "$tree" arm64 plain "$out/mutants"
	step "linking $tree to $mutants" link
	"$harness/e2e/e2e_mutants.py" "$mutants" "$out/mutants" "$@"
	record e2e-mutants
}

build_selftests() {
	make -C "$tree" O=.kunit-e2e -s "${make_for[@]}" headers_install INSTALL_HDR_PATH="$out/usr"
	make -C "$tree/tools/testing/selftests/kvm" -s -j"$(nproc)" ARCH=arm64 CROSS_COMPILE="$cross" \
		KHDR_INCLUDES="-isystem $out/usr/include" LDFLAGS=-static OUTPUT="$out/selftests"
}

# The kernel unpacks a second archive over the first.
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

selftests() {
	local pristine
	"$harness/fetch/deps.sh" kunit-arm64 e2e-arm64
	lock
	tree=$("$harness/overlay/tree.sh")
	pristine=$("$harness/overlay/tree.sh" pristine)
	"$harness/e2e/e2e-build.sh" "$tree" arm64 plain "$out/converted"
	if [[ ! -d $pristine/.kunit-e2e ]]; then
		step "copying the objects" rsync -a "$tree/.kunit-e2e" "$pristine/"
		(cd "$pristine/.kunit-e2e" && rm -f "${objects[@]}" .config)
	fi
	"$harness/e2e/e2e-build.sh" "$pristine" arm64 plain "$out/pristine"
	step "building the selftests" build_selftests
	step "adding them to the initramfs" add_selftests
	"$harness/e2e/e2e_selftests.py" "$out/converted" "$out/pristine"
	record e2e-selftests
}

what=rows
[[ ${1-} != @(mutants|selftests) ]] || what=$1
[[ $what = rows ]] || shift
"$what" "$@"
