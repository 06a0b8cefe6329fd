#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# e2e-build.sh TREE ARCH KERNEL OUT [initramfs-stress-ng | initramfs-ltp]: build in the directory OUT what e2e.py boots: the
# kernel of TREE (Image) and the programs of harness/e2e/programs (initramfs), and with the last argument also these with
# Debian's stress-ng or mmapstress01 of LTP=, a directory that is only read. The kernel has the options of
# ARCH's .kunitconfig and of e2e.kunitconfig; unless ARCH is arm64, of e2e-ARCH.kunitconfig; and unless KERNEL is "plain", of
# KERNEL.kunitconfig. A tree without our files gets the same kernel without our options.

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
	[[ -f $harness/e2e/$kernel.kunitconfig ]] || die "e2e.toml has a kernel $kernel, but there is no $harness/e2e/$kernel.kunitconfig"
	dir=.kunit-$kernel fragments+=("--kunitconfig=$harness/e2e/$kernel.kunitconfig")
fi
programs=$repo/harness/e2e/programs

# KCSAN watches only a few accesses, so it is limited to our files and to the locks, which act as barriers. Our files share
# only atomics with others.
flags=()
if [[ $kernel = kcsan ]]; then
	flags=(KCSAN_SANITIZE=n KCSAN_SANITIZE_spinlock.o=y)
	for object in "${objects[@]}"; do
		flags+=("KCSAN_SANITIZE_$(basename "$object")=y")
	done
fi

build_kernel() {
	kunit config "$tree" "$dir" "${kunit_for[@]}" "${fragments[@]}"
	make -C "$tree" O="$dir" -j"$(nproc)" -s "${make_for[@]}" "${flags[@]}" "$(basename "$boot")" modules
	cp "$tree/$dir/$boot" "$out/Image"
}

# Our selftests, by the rules of the tree's own Makefiles. All kernels of an architecture have the same: one without our files
# has those that were built before.
build_selftests() {
	local to=$build/e2e/selftests-$arch program wanted=(mm/asid_rollover)
	[[ $arch = arm ]] || wanted+=(kvm/vmid_rollover)
	if [[ -f $tree/lib/idgen_alloc.c ]]; then
		make -C "$tree" O="$dir" -s "${make_for[@]}" headers_install INSTALL_HDR_PATH="$to/usr"
		for program in "${wanted[@]}"; do
			mkdir -p "$to/${program%/*}"
			make -C "$tree/tools/testing/selftests/${program%/*}" -s -j"$(nproc)" "ARCH=$linux" \
				CROSS_COMPILE="${crosses[$arch]}" KHDR_INCLUDES="-isystem $to/usr/include" LDFLAGS=-static \
				OUTPUT="$to/${program%/*}" "$to/$program"
		done
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

# A second archive after the first, with the program and its libraries. They are always those of Debian trixie, so that
# results do not depend on this machine.
add_stress_ng() {
	local root=$build/stress-ng-$arch deb lib name i files
	if [[ ! -d $root ]]; then
		rm -rf "$root.new" && mkdir "$root.new"
		"$harness/fetch/deb.sh" --with-depends trixie "stress-ng:${arch/riscv/riscv64}" | while read -r deb; do
			dpkg-deb -x "$deb" "$root.new"
			rm -f "$deb"
		done
		mv "$root.new" "$root"
	fi
	lib=$(dirname "$(find "$root/usr/lib" -name libc.so.6)")
	files=("$root/usr/bin/stress-ng")
	for ((i = 0; i < ${#files[@]}; i++)); do
		while read -r name; do
			[[ " ${files[*]} " = *" $lib/$name "* ]] || files+=("$lib/$name")
		done < <("${crosses[$arch]}readelf" -d "${files[i]}" | sed -nE 's/.*\(NEEDED\).*\[(.*)\]/\1/p')
	done
	{
		echo "file /stress-ng ${files[0]} 0755 0 0"
		echo 'dir /lib 0755 0 0'
		for name in "${files[@]:1}"; do
			echo "file /lib/$(basename "$name") $(realpath -e "$name") 0755 0 0"
		done
	} >"$out/stress-ng.list"
	{ cat "$out/initramfs" && "$tree/$dir/usr/gen_init_cpio" "$out/stress-ng.list"; } >"$out/initramfs-stress-ng"
}

# Static, from LTP= as it is built, or built from a copy.
add_ltp() {
	local name=testcases/kernel/mem/mmapstress/mmapstress01 copy=$build/ltp-$arch
	[[ -f $LTP/${name%/*}/Makefile ]] || die "LTP=$LTP has no ${name%/*}/Makefile"
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
	{ cat "$out/initramfs" && "$tree/$dir/usr/gen_init_cpio" "$out/ltp.list"; } >"$out/initramfs-ltp"
}

step "building the kernel of e2e ($arch, $kernel; the first time, some 8 minutes on 2 cores)" build_kernel
[[ $arch = riscv32 ]] || step "building our selftests" build_selftests
step "building its programs" build_initramfs
case ${5-} in
initramfs-stress-ng) step "adding stress-ng" add_stress_ng ;;
initramfs-ltp) step "adding LTP's mmapstress01" add_ltp ;;
esac
