#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# csky.sh: check the patch "csky" without a compiler for csky, which Debian does not have. gcc for 32-bit ARM compiles
# to assembly, with the headers and configurations of csky. This and sparse check types, prototypes, headers and
# Kconfig. Then clang's front end for csky, which generates no code, checks alignments and the constraints of inline
# assembly. The assembly itself is not checked, and nothing is linked or run. The original files are checked first in
# the same way.

. "$(dirname "$0")/../common.sh"
only "" "$@"
"$harness/fetch/deps.sh" csky
lock
work=$build/csky
mkdir -p "$work"

# The compiler without csky's options. It writes assembly instead of objects, except for the object that kbuild reads
# the byte order from. For ck610 it checks the syntax only, as inline assembly there has a constraint that only csky
# has.
cat >"$work/gcc" <<'END'
#!/usr/bin/env bash
args=() make=-S out=
for arg; do
	case $arg in
	-mcpu=ck* | -Wa,-mcpu=ck* | -mdiv | -mlittle-endian | -mno-stack-size | -mbacktrace | -msoft-float) continue ;;
	-I*/csky/abiv1/inc) make=-fsyntax-only ;;
	assembler-with-cpp | *scripts/mod/empty.c) make=-c ;;
	esac
	args+=("$arg")
done
for i in "${!args[@]}"; do
	[[ ${args[i]} != -o ]] || out=${args[i + 1]}
	[[ ${args[i]} != -c ]] || args[i]=$make
done
[[ $make != -fsyntax-only || $out != *.o ]] || : >"$out"
exec arm-linux-gnueabihf-gcc -marm -mfloat-abi=soft -U__arm__ "${args[@]}"
END

# The front end without options for code generation. It does not know ck610, so only -I selects those headers.
cat >"$work/clang" <<'END'
#!/usr/bin/env bash
args=()
for arg; do
	case $arg in
	-mcpu=ck8* | -fshort-wchar | -funsigned-char | -fms-extensions) ;;
	-[fm]* | -Wa,* | -Wp,*) continue ;;
	esac
	args+=("$arg")
done
exec clang-19 --target=csky-unknown-linux-gnu -fsyntax-only -fheinous-gnu-extensions -Wno-unknown-warning-option \
	"${args[@]}"
END
chmod +x "$work/gcc" "$work/clang"

# looked AS SUFFIX ARGUMENT...: run make, which must print AS for each object, or for its source.
looked() {
	local as=$1 suffix=$2 object
	"${make[@]}" "${@:3}" "${objects[@]}" 2>&1 | tee "$work/said"
	for object in "${objects[@]}"; do
		grep -E "^ +$as .*${object%.o}$suffix$" "$work/said"
	done
	# Other files have warnings, and so do the originals. Warnings with a column are about our files.
	[[ $tree = "$pristine" ]] || ! grep -E '(idgen_alloc|mm/context)[^ ]*:[0-9]+:[0-9]+:' "$work/said"
}

# compile TREE CPU OPTION...: compile arch/csky/mm, the library if the tree has it, and the scheduler, which calls the
# switch.
compile() {
	local tree=$1 cpu=$2 dir=$1/.csky-$2 options objects=(arch/csky/mm/{context,tlb}.o)
	mapfile -t options < <(printf 'CONFIG_%s=y\n' "CPU_${cpu^^}" "${@:3}")
	make=(make -C "$tree" O="$dir" ARCH=csky CROSS_COMPILE=arm-linux-gnueabihf- "CC=$work/gcc" 'HOSTCC=ccache gcc'
		-j"$(nproc)")
	[[ $cpu = ck610 ]] || make+=(KCFLAGS=-D__CSKYABIV2__)
	if [[ $tree = "$pristine" ]]; then
		objects+=(arch/csky/mm/asid.o)
	else
		# It cannot be set: csky or the suite must select it.
		options+=("CONFIG_IDGEN_ALLOC=y")
		objects+=(lib/idgen_alloc.o)
		[[ " $* " != *" KUNIT "* ]] || objects+=(lib/tests/idgen_alloc_kunit.o)
	fi
	"${make[@]}" defconfig
	printf '%s\n' "${options[@]}" >>"$dir/.config"
	"${make[@]}" olddefconfig
	for option in "${options[@]}" CONFIG_CPU_ASID_BITS; do
		grep "^$option" "$dir/.config"
	done
	rm -rf "${dir:?}"/{arch/csky/mm,lib/*idgen*,lib/tests}
	looked CC .o arch/csky/mm/ kernel/sched/core.o
	PATH=${sparse%/*}:$PATH looked CHECK .c C=2
	looked CHECK .c C=2 "CHECK=$work/clang" CHECKFLAGS= arch/csky/mm/ kernel/sched/core.o
}

# With 32-bit values, csky's context would not fit. All three checkers must report that.
faulty() {
	local fault=-DCONFIG_IDGEN_ALLOC_32=1 log=$work/faulty
	compile "$tree" ck807
	make+=(arch/csky/mm/context.o)
	if "${make[@]}" "KCFLAGS=-D__CSKYABIV2__ $fault" >"$log" 2>&1; then
		die "the compiler reports no error"
	fi
	grep 'mm/context.c:.*error: .*incompatible pointer type' "$log"
	PATH=${sparse%/*}:$PATH "${make[@]}" C=2 "CF=$fault" 2>&1 | tee "$log"
	grep 'mm/context.c:.*incorrect type in argument' "$log"
	if "${make[@]}" C=2 "CHECK=$work/clang" "CHECKFLAGS=$fault" >"$log" 2>&1; then
		die "the front end reports no error"
	fi
	grep 'mm/context.c:.*error: incompatible pointer types' "$log"
}

pristine=$("$harness/overlay/tree.sh" pristine)
tree=$(WITH=csky "$harness/overlay/tree.sh")
sparse=$("$harness/fetch/tool.sh" sparse)
# 8 ASID bits with both ABIs, and 12 bits with SMP.
check csky-original-ck610 compile "$pristine" ck610
check csky-original-ck807 compile "$pristine" ck807
check csky-original-ck860 compile "$pristine" ck860 SMP
check csky-ck610 compile "$tree" ck610
check csky-ck807 compile "$tree" ck807 KUNIT RUNTIME_TESTING_MENU IDGEN_ALLOC_KUNIT_TEST DEBUG_KERNEL DEBUG_IDGEN_ALLOC
check csky-ck860 compile "$tree" ck860 SMP
check csky-faulty faulty
used=(arm-linux-gnueabihf-gcc "$sparse" clang-19)
report csky
