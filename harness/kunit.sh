#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# kunit.sh: the main job. The kernel's own kunit.py builds and boots an arm64 kernel with our files and prints what
# its KUnit suites say. KUNIT_ARGS= adds options; without them, all three suites must have run. SAN=1 takes the kernel
# of the sanitised rows of e2e.toml.

. "$(dirname "$0")/common.sh"
"$harness/deps.sh" kunit
lock
tree=$("$harness/tree.sh")
# xargs takes the quotes as a shell would, without running anything.
mapfile -t more < <(xargs -r printf '%s\n' <<<"${KUNIT_ARGS-}")
dir=.kunit options=(--kunitconfig=.kunitconfig)
if [[ -n ${SAN-} ]]; then
	dir=.kunit-sanitised
	# It is slow: where a case uses up all IDs, there are not to be 65,536, nor is QEMU to sign pointers as hardware does.
	options+=("--kunitconfig=$harness/e2e.kunitconfig" "--kunitconfig=$harness/sanitised.kunitconfig"
		--timeout=1800 "--qemu_args=-cpu max,pauth-impdef=on" "--kernel_args=idgen_alloc.bits=asid:8,vmid:8")
fi
rm -f "$build/kunit.json"
start=$SECONDS status=0
echo "==> building and running KUnit in ${tree#"$repo"/} (the first time, some 8 minutes on 2 cores)" >&2
kunit run "$tree" "$dir" "${arm64_gcc[@]}" "${options[@]}" --jobs="$(nproc)" \
	--json="$build/kunit.json" "${more[@]}" || status=$?
echo "    done in $((SECONDS - start)) s" >&2
if ((status == 0 && ${#more[@]} == 0)); then
	"$harness/results.py" --log="$tree/$dir/test.log" "$build/kunit.json" idgen_alloc arm64_asid kvm_arm_vmid >&2 || status=1
fi
exit "$status"
