#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# host.sh WHAT [ARGUMENT...]: run one of the programs and checkers of tools/testing/idgen on this machine. WHAT is
# torture, explore, kunit-host, litmus, prove, prove-deep, weak, tla or mutants. The arguments go to it. mutants takes
# JOBS= and SHARD=.

. "$(dirname "$0")/../common.sh"
[[ ${1-} = @(torture|explore|kunit-host|litmus|prove|prove-deep|weak|tla|mutants) ]] ||
	die "host.sh: unknown '${1-}'; its head lists what there is"
what=$1 idgen=$repo/tools/testing/idgen
shift
[[ -z ${GENMC-} ]] || command -v "$GENMC" >/dev/null || die "GENMC=$GENMC: no such program"
[[ -z ${TLA2TOOLS-} || -e ${TLA2TOOLS%%:*} ]] || die "TLA2TOOLS=$TLA2TOOLS: no such file"
"$harness/fetch/deps.sh" "$what"
lock
# The others take no kernel tree, and LINUX= may be in the environment.
[[ $what = @(litmus|mutants) ]] || VARIANT=
# The tree comes first: if LINUX= is wrong, nothing is fetched.
export HERD7 CBMC
[[ $what != @(litmus|mutants) ]] || { tree=$("$harness/overlay/tree.sh"); HERD7=$("$harness/fetch/tool.sh" herd7); }
[[ $what != @(prove*|mutants) ]] || CBMC=$("$harness/fetch/tool.sh" cbmc)
(($# == 0)) || VARIANT+=-some
case $what in
litmus) used=("$HERD7" "${cross}gcc" clang-19) ;;
prove*) used=("$CBMC" cadical) ;;
weak) used=("${GENMC:-genmc}") ;;
tla) used=(TLC) ;;
mutants) used=(gcc "$CBMC" "$HERD7" ${GENMC:+"$GENMC"} ${TLA2TOOLS:+TLC}) ;;
esac

# counted NAME COMMAND...: run COMMAND, which prints KTAP, for the table NAME.
counted() { "${@:2}" | "$harness/check/ktap.py" convert "$1"; }

case $what in
torture | explore | kunit-host) make --no-print-directory -C "$idgen" O="$build/idgen" "${what%-host}" "$@" ;;
litmus)
	LINUX=$tree table litmus counted litmus "$idgen/litmus/run.sh" "$@"
	# $KTAP keeps the cases above.
	KTAP='' CLANG=clang-19 table emitted counted emitted "$idgen/litmus/emitted.py"
	"$idgen/litmus/accesses.py"
	"$idgen/assumptions.py"
	;;
tla) OUT=$build/tla table tla counted tla "$idgen/tla/tla.sh" "$@" ;;
prove*)
	[[ $what = prove ]] || set -- --deep "$@"
	table "$what" counted "$what" "$idgen/cbmc/run.py" --out "$build/prove" --csv "$build/$what$VARIANT.csv" \
		--jobs "$(nproc)" "$@"
	;;
weak)
	table weak counted weak "$idgen/weak/run.py" --out "$build/weak" --csv "$build/weak$VARIANT.csv" "$@"
	VARIANT=-weak$VARIANT table mutants "$harness/check/mutants.py" --layer weak
	;;
mutants) spread mutants "$harness/check/mutants.py" --linux "$tree" "$@" ;;
esac
