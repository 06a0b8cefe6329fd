#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# host.sh WHAT [ARGUMENT...]: run one of the programs and checkers of tools/testing/idgen on this machine. WHAT is
# torture, explore, kunit-host, litmus, prove, weak or mutants; the arguments go to it. mutants takes JOBS= and SHARD=.

. "$(dirname "$0")/../common.sh"
what=$1 idgen=$repo/tools/testing/idgen
shift
"$harness/fetch/deps.sh" "$what"
lock
# The tree comes first: if LINUX= is wrong, nothing is fetched.
[[ $what != @(litmus|mutants) ]] || tree=$("$harness/overlay/tree.sh")
[[ $what != @(litmus|mutants) ]] || { HERD7=$("$harness/fetch/tool.sh" herd7) && export HERD7; }
[[ $what != @(prove|mutants) ]] || { CBMC=$("$harness/fetch/tool.sh" cbmc) && export CBMC; }
case $what in
torture | explore | kunit-host) make --no-print-directory -C "$idgen" O="$build/idgen" "${what%-host}" "$@" ;;
litmus)
	LINUX=$tree "$idgen/litmus/run.sh" "$@" | tee "$build/litmus.txt"
	{
		echo test,result,expected,observed,states
		sed -nE 's/^((not )?ok) [0-9]+ ([^ ]+) # (.*), (.*), (.*)$/\3,\1,\4,\5,\6/p' "$build/litmus.txt"
	} >"$build/litmus.csv"
	"$idgen/litmus/emitted.py"
	"$idgen/litmus/accesses.py"
	"$idgen/assumptions.py"
	;;
prove) "$idgen/cbmc/run.py" --out "$build/prove" --csv "$build/prove.csv" --jobs "$(nproc)" "$@" ;;
weak)
	"$idgen/weak/run.py" --out "$build/weak" --csv "$build/weak.csv" "$@"
	"$harness/check/mutants.py" --layer weak
	record mutants-weak
	;;
mutants) spread mutants "$harness/check/mutants.py" --linux "$tree" "$@" ;;
esac
[[ ! -f $build/$what.csv ]] || record "$what"
