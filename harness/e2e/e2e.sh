#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# [JOBS=N] [SHARD=I/N] e2e.sh [--quick] [ROW...]: run real processes and guests. Builds the kernels for the rows of
# e2e.toml, which e2e.py boots on QEMU. ARCH= defaults to arm64.
#
# e2e.sh mutants [NAME...]: boot kernels with the faults of e2e-mutants.toml, each of which e2e must notice. They are
# built in a tree of hard links to the files of e2e's kernel, with a copy of its objects.
#
# e2e.sh selftests: boot the kernel's own selftests of KVM and mm, and ours, with our files and without: on arm64 with
# and without VHE, or on riscv with ARCH=riscv. No result may be worse than without our files.

. "$(dirname "$0")/../common.sh"
out=$build/e2e

# The QEMU of e2e.py, for the versions beside the table. It is fetched before a kernel is built.
use_qemu() { [[ $arch != arm64 ]] || used[0]=$("$harness/fetch/tool.sh" qemu); }

rows() {
	local table=e2e-$arch kernels needed kernel built
	[[ $arch != @(mips*|um) ]] || die "ARCH=$arch: there are no rows for it"
	[[ -z ${LTP-} || -f $LTP/testcases/kernel/mem/mmapstress/Makefile ]] ||
		die "LTP=$LTP has no testcases/kernel/mem/mmapstress"
	[[ ${1-} != --quick ]] || VARIANT+=-quick
	[[ -z ${*/--quick/} ]] || VARIANT+=-some
	for_arch "$arch"
	set -- --arch="$arch" "$@"
	export SHARD=$shard
	kernels=$("$harness/e2e/e2e.py" --kernels "$@")
	# A shard may have no rows.
	while read -r needed _; do
		[[ -n $needed ]] || continue
		"$harness/fetch/deps.sh" "kunit-$needed" "e2e-$needed"
	done <<<"$kernels"
	lock
	use_qemu
	mkdir -p "$out"
	tree=$("$harness/overlay/tree.sh")
	while read -r needed kernel built initramfs; do
		[[ -n $needed ]] || continue
		[[ $needed != riscv32 ]] || cp "$("$harness/fetch/tool.sh" opensbi)" "$out/"
		"$harness/e2e/e2e-build.sh" "$tree" "$needed" "$kernel" "$out/$built" "$initramfs" </dev/null
	done <<<"$kernels"
	spread "${table%-arm64}" "$harness/e2e/e2e.py" "$@"
}

link() {
	link_tree "$mutants"
	rsync -a --delete "$tree/.kunit-e2e" "$mutants/"
}

mutants() {
	local name
	for name; do
		grep -qxF "[$name]" "$harness/e2e/e2e-mutants.toml" || die "no such mutant: $name"
	done
	(($# == 0)) || VARIANT+=-some
	"$harness/fetch/deps.sh" kunit-arm64 e2e-arm64
	lock
	use_qemu
	tree=$("$harness/overlay/tree.sh")
	mutants=$tree-mutants
	"$harness/e2e/e2e-build.sh" "$tree" arm64 plain "$out/mutants"
	step "linking $tree to $mutants" link
	table e2e-mutants "$harness/e2e/e2e_mutants.py" "$mutants" "$out/mutants" "$@"
}

# Selftests of mm that need no more libraries, huge pages, devices or scripts, and pass in seconds without our files.
mm=(cow droppable guard-regions gup_longterm madv_populate map_fixed_noreplace mdwe_test merge mlock2-tests
	mrelease_test mremap_dontunmap mremap_test mseal_test on-fault-limit prctl_thp_disable process_madv uffd-stress
	uffd-wp-mremap)

# e2e-build.sh has built asid_rollover and the headers.
build_selftests() {
	local programs make=(make -s -j"$(nproc)" ARCH="$arch" CROSS_COMPILE="${crosses[$arch]}" LDFLAGS=-static
		KHDR_INCLUDES="-isystem $selftests/usr/include")
	local kvm=(-C "$tree/tools/testing/selftests/kvm" OUTPUT="$selftests/kvm")
	# shellcheck disable=SC2016
	mapfile -t programs < <("${make[@]}" "${kvm[@]}" --eval='list: ; @printf "%s\n" $(TEST_GEN_PROGS)' list)
	# memslot_perf_test needs a lock-free atomic bool. gcc has that for riscv since version 13.
	if ! "${crosses[$arch]}gcc" -dM -E -x c /dev/null | grep 'ATOMIC_BOOL_LOCK_FREE 2$'; then
		echo "memslot_perf_test is left out: the compiler has no lock-free atomic bool"
		mapfile -t programs < <(printf '%s\n' "${programs[@]}" | grep -v '/memslot_perf_test$')
	fi
	"${make[@]}" "${kvm[@]}" "${programs[@]}"
	"${make[@]}" -C "$tree/tools/testing/selftests/mm" OUTPUT="$selftests/mm" "${mm[@]/#/$selftests/mm/}"
}

# The kernel unpacks a second archive over the first.
add_selftests() {
	local program name kernel
	mkdir -p "$selftests/stripped"
	{
		echo 'dir /kselftests 0755 0 0'
		{
			find "$selftests/kvm" -type f -perm -u+x
			printf '%s\n' "$selftests/mm/asid_rollover" "${mm[@]/#/$selftests/mm/}"
		} | sort | while read -r program; do
			name=${program#"$selftests"/*/} name=${name//\//-}
			"${crosses[$arch]}strip" -o "$selftests/stripped/$name" "$program"
			echo "file /kselftests/$name $selftests/stripped/$name 0755 0 0"
		done
	} >"$selftests/list"
	for kernel in converted pristine; do
		"$tree/$dir/usr/gen_init_cpio" "$selftests/list" >>"$out/$prefix$kernel/initramfs"
	done
}

selftests() {
	local pristine selftests=$out/selftests-$arch dir=.kunit-e2e prefix=
	only "" "$@"
	for_arch "$arch"
	[[ $arch = @(arm64|riscv) ]] || die "ARCH=$arch: give arm64 or riscv"
	[[ $arch = arm64 ]] || dir+=-$arch prefix=$arch-
	"$harness/fetch/deps.sh" "kunit-$arch" "e2e-$arch"
	lock
	use_qemu
	tree=$("$harness/overlay/tree.sh")
	pristine=$("$harness/overlay/tree.sh" pristine)
	"$harness/e2e/e2e-build.sh" "$tree" "$arch" plain "$out/${prefix}converted" initramfs-kselftest
	"$harness/e2e/e2e-build.sh" "$pristine" "$arch" plain "$out/${prefix}pristine" initramfs-kselftest
	step "building the kernel's selftests" build_selftests
	step "adding the selftests to the initramfs of each kernel" add_selftests
	table "e2e-selftests${prefix:+-$arch}" "$harness/e2e/e2e_selftests.py" "$arch" \
		"$out/${prefix}converted" "$out/${prefix}pristine"
}

what=rows
[[ ${1-} != @(mutants|selftests) ]] || what=$1
[[ $what = rows ]] || shift
"$what" "$@"
