#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# e2e-build.sh TREE ARCH KERNEL OUT [initramfs-stress-ng | initramfs-ltp | initramfs-kselftest]: build in the
# directory OUT, an absolute path, what e2e.py boots: the kernel of TREE (Image), and the programs of
# harness/e2e/programs with our selftests (initramfs). The last argument adds an initramfs that also has Debian's
# stress-ng, mmapstress01 of LTP=, a directory that is only read, or the kernel's runner of selftests.
#
# The kernel has the options of ARCH's .kunitconfig and of e2e.kunitconfig; unless ARCH is arm64, of
# e2e-ARCH.kunitconfig; and unless KERNEL is "plain", of KERNEL.kunitconfig. A tree without our files gets the same
# kernel without our options, from a copy of the objects of the tree with our files, which is built first.

. "$(dirname "$0")/../common.sh"
lock
tree=$1 arch=$2 kernel=$3 out=$4
mkdir -p "$out"
dir=.kunit-e2e fragments=("--kunitconfig=$out/kunitconfig" "--kunitconfig=$harness/e2e/e2e.kunitconfig")
linux=${arch%32}
boot=arch/$linux/boot/Image
for_arch "$arch"
(cd "$repo" && cat "${kunitconfigs[@]}" && echo CONFIG_DEBUG_IDGEN_ALLOC=y) >"$out/kunitconfig"
[[ $arch = arm64 ]] || dir+=-$arch fragments+=("--kunitconfig=$harness/e2e/e2e-$linux.kunitconfig")
[[ $arch != arm ]] || boot=arch/arm/boot/zImage
[[ -f $tree/lib/idgen_alloc.c ]] || sed -Ei '/IDGEN|ASID|VMID/d' "$out/kunitconfig"
if [[ $kernel != plain ]]; then
	options=$harness/e2e/$kernel.kunitconfig
	[[ -f $options ]] || die "e2e.toml has a kernel $kernel, but there is no $options"
	dir=.kunit-$kernel fragments+=("--kunitconfig=$options")
fi
programs=$repo/harness/e2e/programs

# KCSAN watches only a few accesses, so it is limited to our files and to the locks, which act as barriers. Our files
# share only atomics with others.
flags=()
if [[ $kernel = kcsan ]]; then
	flags=(KCSAN_SANITIZE=n KCSAN_SANITIZE_spinlock.o=y)
	for object in "${objects[@]}"; do
		flags+=("KCSAN_SANITIZE_$(basename "$object")=y")
	done
fi

copy_objects() {
	rsync -a "$other/$dir" "$tree/"
	(cd "$tree/$dir" && rm -f "${objects[@]}" .config)
}

build_kernel() {
	kunit config "$tree" "$dir" "${kunit_for[@]}" "${fragments[@]}"
	make -C "$tree" O="$dir" -j"$(nproc)" -s "${make_for[@]}" "${flags[@]}" "$(basename "$boot")" modules
	cp "$tree/$dir/$boot" "$out/Image"
}

# Our selftests, by the rules of the tree's own Makefiles. All kernels of an architecture have the same: one without
# our files has those that were built before.
build_selftests() {
	local to=$build/e2e/selftests-$arch program make wanted=(mm/asid_rollover)
	[[ $arch = arm ]] || wanted+=(kvm/vmid_rollover)
	if [[ -f $tree/lib/idgen_alloc.c ]]; then
		make -C "$tree" O="$dir" -s "${make_for[@]}" headers_install INSTALL_HDR_PATH="$to/usr"
		for program in "${wanted[@]}"; do
			make=(make -C "$tree/tools/testing/selftests/${program%/*}" -s -j"$(nproc)" "ARCH=$linux"
				CROSS_COMPILE="${crosses[$arch]}" KHDR_INCLUDES="-isystem $to/usr/include" LDFLAGS=-static
				OUTPUT="$to/${program%/*}")
			mkdir -p "$to/${program%/*}"
			"${make[@]}" "$to/$program"
			"${make[@]}" emit_tests "COLLECTION=${program%/*}" | grep -x "${program/\//:}"
		done >"$to/kselftest-list.txt"
	fi
	mkdir -p "$out/bin"
	for program in "${wanted[@]}"; do
		[[ ! -f $to/$program ]] || "${crosses[$arch]}strip" -o "$out/bin/${program##*/}" "$to/$program"
	done
}

# The list is for the kernel's gen_init_cpio, which needs no root for device nodes.
build_initramfs() {
	local program module nolibc=()
	[[ $arch != riscv32 ]] || nolibc=("NOLIBC=$tree/tools/include/nolibc")
	make -C "$programs" -s CROSS_COMPILE="${crosses[$arch]}" O="$out" "${nolibc[@]}"
	{
		echo 'dir /dev 0755 0 0'
		echo 'nod /dev/console 0600 0 0 c 5 1'
		for program in "$out"/bin/*; do
			echo "file /$(basename "$program") $program 0755 0 0"
		done
		make -C "$tree" O="$dir" -s "${make_for[@]}" M="$programs/probe" MO="$out/probe"
		for module in "$out"/probe/*.ko; do
			echo "file /$(basename "$module") $module 0644 0 0"
		done
	} >"$out/initramfs.list"
	"$tree/$dir/usr/gen_init_cpio" "$out/initramfs.list" >"$out/initramfs"
}

# debian PACKAGE: unpack a package and all that it needs, and print the directory. They are always those of Debian
# trixie, so that results do not depend on this machine.
debian() {
	local root=$build/$1-$arch deb
	if [[ ! -d $root ]]; then
		rm -rf "$root.new" && mkdir "$root.new"
		"$harness/fetch/deb.sh" --with-depends trixie "$1:${arch/riscv/riscv64}" | while read -r deb; do
			dpkg-deb -x "$deb" "$root.new"
			rm -f "$deb"
		done
		mv "$root.new" "$root"
	fi
	echo "$root"
}

# list_program PACKAGE PATH TO: for gen_init_cpio, the program PATH of the package as TO, and its libraries.
list_program() {
	local root lib name i files
	root=$(debian "$1")
	lib=$(dirname "$(find "$root/usr/lib" -name libc.so.6)")
	files=("$root/$2")
	for ((i = 0; i < ${#files[@]}; i++)); do
		while read -r name; do
			[[ " ${files[*]} " = *" $lib/$name "* ]] || files+=("$lib/$name")
		done < <("${crosses[$arch]}readelf" -d "${files[i]}" | sed -nE 's/.*\(NEEDED\).*\[(.*)\]/\1/p')
	done
	echo "file $3 ${files[0]} 0755 0 0"
	echo 'dir /lib 0755 0 0'
	for name in "${files[@]:1}"; do
		echo "file /lib/$(basename "$name") $(realpath -e "$name") 0755 0 0"
	done
}

# add NAME: make initramfs-NAME with a second archive after the first, of the files of NAME.list.
add() { { cat "$out/initramfs" && "$tree/$dir/usr/gen_init_cpio" "$out/$1.list"; } >"$out/initramfs-$1"; }

add_stress_ng() {
	list_program stress-ng usr/bin/stress-ng /stress-ng >"$out/stress-ng.list"
	add stress-ng
}

# Our selftests as "make install" of the tree lays them out, with the tree's own runner, and what that needs. It ends
# tests by GNU's timeout.
add_kselftest() {
	local from=$tree/tools/testing/selftests to=$build/e2e/selftests-$arch file busybox
	busybox=$(debian busybox-static)
	{
		printf 'dir %s 0755 0 0\n' /bin /usr /usr/bin /kselftest /kselftest/{kselftest,kvm,mm}
		echo "file /bin/busybox $busybox/usr/bin/busybox 0755 0 0"
		printf 'slink /bin/%s busybox 0777 0 0\n' basename cat cut dirname grep head sed sh sort tr uniq wc
		list_program coreutils usr/bin/timeout /usr/bin/timeout
		for file in run_kselftest.sh kselftest/{runner,ktap_helpers}.sh {kvm,mm}/settings; do
			echo "file /kselftest/$file $from/$file 0755 0 0"
		done
		for file in kvm/vmid_rollover mm/asid_rollover; do
			echo "file /kselftest/$file $out/bin/${file#*/} 0755 0 0"
		done
		echo "file /kselftest/kselftest-list.txt $to/kselftest-list.txt 0644 0 0"
	} >"$out/kselftest.list"
	add kselftest
}

# Static, from LTP= as it is built, or built from a copy.
add_ltp() {
	local name=testcases/kernel/mem/mmapstress/mmapstress01 copy=$build/ltp-$arch
	if ! "${crosses[$arch]}strip" -o "$out/mmapstress01" "$LTP/$name" 2>/dev/null ||
		[[ $("${crosses[$arch]}readelf" -l "$out/mmapstress01") = *INTERP* ]]; then
		"$harness/fetch/deps.sh" ltp
		rsync -a --exclude=.git --exclude='*.[ao]' --exclude="/$name" "$LTP/" "$copy/"
		cd "$copy"
		[[ -x configure ]] || make -s autotools
		[[ -f lib/libltp.a ]] || ./configure --host="${crosses[$arch]%-}" CC="${crosses[$arch]}gcc" LDFLAGS=-static
		make -s -C lib -j"$(nproc)"
		make -s -C "${name%/*}" mmapstress01
		"${crosses[$arch]}strip" -o "$out/mmapstress01" "$copy/$name"
	fi
	echo "file /mmapstress01 $out/mmapstress01 0755 0 0" >"$out/ltp.list"
	add ltp
}

other=$build/tree-${tree##*/pristine-}
[[ -d $tree/$dir || ! -d $other/$dir ]] || step "copying the objects of $other to $tree" copy_objects
step "building the kernel of e2e ($arch, $kernel; the first time, some 8 minutes on 2 cores)" build_kernel
[[ $arch = riscv32 ]] || step "building our selftests" build_selftests
step "building the programs of its initramfs" build_initramfs
case ${5-} in
initramfs-stress-ng) step "adding stress-ng" add_stress_ng ;;
initramfs-ltp) step "adding LTP's mmapstress01" add_ltp ;;
initramfs-kselftest) step "adding the kernel's runner of selftests" add_kselftest ;;
esac
