#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# run.sh [TEST...]: run the litmus tests beside this file, or only these, and compare each result with the one in its
# head comment. Prints KTAP.
#
#   LINUX=/path   kernel tree whose tools/memory-model judges the tests in C (default: the one that this is part of)
#   HERD7=herd7   the simulator (Debian: herdtools7 in sid; or opam)
#
# Those for AArch64, ARM and RISC-V are judged by the architecture's model that comes with herd7.

set -euo pipefail
shopt -s inherit_errexit

here=$(cd "$(dirname "$0")" && pwd)
linux=${LINUX:-$here/../../../..}
herd7=${HERD7:-herd7}
command -v "$herd7" >/dev/null || {
	echo "error: no $herd7: install it, or set HERD7=" >&2
	exit 1
}
[[ -r $linux/tools/memory-model/linux-kernel.cfg ]] || {
	echo "error: $linux has no tools/memory-model: give a kernel tree as LINUX=" >&2
	exit 1
}
cd "$linux/tools/memory-model"

number=0 failed=0 tests=("${@/#/$here/}")
tests=("${tests[@]/%/.litmus}")
(($#)) || tests=("$here"/*.litmus)
printf 'KTAP version 1\n1..%d\n# test # expected, observed, states\n' "${#tests[@]}"
for test in "${tests[@]}"; do
	want=$(sed -n 's/^ \* Result: \(Never\|Sometimes\)$/\1/p' "$test")
	conf=(-conf linux-kernel.cfg)
	[[ $(head -n 1 "$test") = C\ * ]] || conf=()
	variant=$(sed -n 's/^ \* Variant: //p' "$test")
	[[ -z $variant ]] || conf+=(-variant "$variant")
	out=$(timeout --foreground 60 "$herd7" "${conf[@]}" "$test" 2>&1) || true
	got=$(sed -n 's/^Observation [^ ]* \([A-Za-z]*\) .*/\1/p' <<<"$out")
	states=$(sed -n 's/^States //p' <<<"$out")
	verdict="$((++number)) $(basename "$test" .litmus) # ${want:-none}, ${got:-error}, ${states:--}"
	if [[ -n $want && $want == "$got" ]]; then
		echo "ok $verdict"
	else
		failed=1
		echo "not ok $verdict"
		echo "# ${out//$'\n'/$'\n'# }"
	fi
done
((!failed))
