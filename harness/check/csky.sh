#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# csky.sh: the patch "csky", as far as it can be checked. No compiler for csky is in any suite of Debian: its clang has
# a front end for csky, and generates no code for it. So gcc for 32-bit ARM compiles to assembly, with the headers and
# in configurations of csky: that has a word to say about types, prototypes, headers and Kconfig, and so has sparse. The
# front end then goes by csky's own alignments and constraints of inline assembly. What that assembly comes to is not
# looked at; nothing is linked, and nothing runs. The originals go through the same first.

. "$(dirname "$0")/../common.sh"
"$harness/fetch/deps.sh" csky
lock
work=$build/csky
mkdir -p "$work"

# The compiler, without csky's options. What it makes of C is assembly, also where an object is asked for, but for the
# object that kbuild asks for the byte order. With the headers of ck610 it is nothing: there, inline assembly has a
# constraint that only csky has, so all must be settled before code is generated.
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

# The front end, without options that are for generating code. It takes ck610 for no CPU, but -I says whose headers they
# are.
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

# looked AS SUFFIX ARGUMENT...: have make do that; it must say AS of each object, or of its source.
looked() {
	local as=$1 suffix=$2 object
	"${make[@]}" "${@:3}" "${objects[@]}" 2>&1 | tee "$work/said"
	for object in "${objects[@]}"; do
		grep -E "^ +$as .*${object%.o}$suffix$" "$work/said"
	done
	# Others deserve a word here; so do the originals. It is about us if it has a column.
	[[ $tree = "$pristine" ]] || ! grep -E '(idgen_alloc|mm/context)[^ ]*:[0-9]+:[0-9]+:' "$work/said"
}

# compile TREE CPU OPTION...: all of arch/csky/mm, the library if it is there, and the scheduler, which switches.
compile() {
	local tree=$1 cpu=$2 dir=$1/.csky-$2 options objects=(arch/csky/mm/{context,tlb}.o)
	mapfile -t options < <(printf 'CONFIG_%s=y\n' "CPU_${cpu^^}" "${@:3}")
	make=(make -C "$tree" O="$dir" ARCH=csky CROSS_COMPILE=arm-linux-gnueabihf- "CC=$work/gcc" 'HOSTCC=ccache gcc'
		-j"$(nproc)")
	[[ $cpu = ck610 ]] || make+=(KCFLAGS=-D__CSKYABIV2__)
	if [[ $tree = "$pristine" ]]; then
		objects+=(arch/csky/mm/asid.o)
	else
		# Nobody can set it: it is there if csky selects it, or the suite.
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
	PATH=$sparse:$PATH looked CHECK .c C=2
	looked CHECK .c C=2 "CHECK=$work/clang" CHECKFLAGS= arch/csky/mm/ kernel/sched/core.o
}

# Had values 32 bits, csky's context would not fit: all three must notice.
faulty() {
	local fault=-DCONFIG_IDGEN_ALLOC_32=1 log=$work/faulty
	compile "$tree" ck807
	make+=(arch/csky/mm/context.o)
	if "${make[@]}" "KCFLAGS=-D__CSKYABIV2__ $fault" >"$log" 2>&1; then
		die "the compiler has not noticed"
	fi
	grep 'mm/context.c:.*error: .*incompatible pointer type' "$log"
	PATH=$sparse:$PATH "${make[@]}" C=2 "CF=$fault" >"$log" 2>&1
	grep 'mm/context.c:.*incorrect type in argument' "$log"
	if "${make[@]}" C=2 "CHECK=$work/clang" "CHECKFLAGS=$fault" >"$log" 2>&1; then
		die "the front end has not noticed"
	fi
	grep 'mm/context.c:.*error: incompatible pointer types' "$log"
}

pristine=$("$harness/overlay/tree.sh" pristine)
tree=$(WITH=csky "$harness/overlay/tree.sh")
sparse=$(dirname "$("$harness/fetch/tool.sh" sparse)")
# 8 bits of ASIDs, of either ABI, and 12 with more than one CPU.
check csky-original-ck610 compile "$pristine" ck610
check csky-original-ck807 compile "$pristine" ck807
check csky-original-ck860 compile "$pristine" ck860 SMP
check csky-ck610 compile "$tree" ck610
check csky-ck807 compile "$tree" ck807 KUNIT RUNTIME_TESTING_MENU IDGEN_ALLOC_KUNIT_TEST DEBUG_KERNEL DEBUG_IDGEN_ALLOC
check csky-ck860 compile "$tree" ck860 SMP
check csky-faulty faulty
report csky
