#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# kunit.sh: build and boot a kernel with our files and run its KUnit suites, with the kernel's own kunit.py. ARCH=
# defaults to arm64. All suites of ARCH must run. KUNIT_ARGS= adds options, with which some may be left out. SAN=1 uses
# the kernel of the sanitised rows of e2e.toml (arm64 only).

. "$(dirname "$0")/../common.sh"
only "" "$@"
for_arch "$arch"
dir=$kunit_dir options=("${kunit_all[@]}" "${boot_for[@]}")
# xargs parses quotes as a shell does, and runs nothing.
args=$(xargs -r printf '%s\n' <<<"${KUNIT_ARGS-}") || die "KUNIT_ARGS=$KUNIT_ARGS: a quote is not closed"
mapfile -t more < <(printf '%s' "${args:+$args$'\n'}")
for arg in "${more[@]}"; do
	[[ $arg != --@(b|js|raw)* ]] || die "KUNIT_ARGS: $arg hides the results from this script"
	[[ $arg != --arch* ]] || die "KUNIT_ARGS: give ARCH= instead of $arg"
done
((${#more[@]} == 0)) || VARIANT+=-some
if [[ -n ${SAN-} ]]; then
	[[ $arch = arm64 ]] || die "SAN=1 is for arm64 only, not for ARCH=$arch"
	dir=.kunit-sanitised VARIANT+=-san
	# This kernel is slow. Use 8 bits, as some cases allocate all IDs, and a pointer signature that QEMU computes
	# quickly.
	options+=("--kunitconfig=$harness/e2e/e2e.kunitconfig" "--kunitconfig=$harness/e2e/sanitised.kunitconfig"
		--timeout=1800 "--qemu_args=-cpu max,pauth-impdef=on" "--kernel_args=idgen_alloc.bits=asid:8,vmid:8")
fi
"$harness/fetch/deps.sh" "kunit-$arch"
lock

[[ $arch != riscv32 ]] || options+=("--qemu_args=-bios $("$harness/fetch/tool.sh" opensbi)")
tree=$("$harness/overlay/tree.sh")
[[ $arch = um || -f $tree/${kunitconfigs[0]} ]] || die "this kernel is too old for our files of ARCH=$arch"
json=$build/kunit-$arch.json
rm -f "$json" "$tree/$dir"/lib/{,tests/}idgen_alloc*.gcda
start=$SECONDS status=0
echo "==> building and running KUnit in ${tree#"$repo"/} (the first time, some 8 minutes on 2 cores)" >&2
watch '\n' files_written
kunit run "$tree" "$dir" "${kunit_for[@]}" "${options[@]}" --jobs="$(nproc)" \
	--json="$json" "${more[@]}" || status=$?
unwatch
echo "    done in $((SECONDS - start)) s" >&2
((${#more[@]} == 0)) || suites=()
table "kunit-$arch" "$harness/check/kunit_results.py" --log="$tree/$dir/test.log" "$json" "${suites[@]}" >&2 || status=1
[[ $arch-${#more[@]} != um-0 ]] || "$harness/check/coverage.py" "$tree" "$dir" || status=1
exit "$status"
