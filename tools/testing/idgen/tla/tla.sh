#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# tla.sh [TLA2TOOLS=/path/tla2tools.jar] [NAME...]: check idgen.tla with TLC, in all configurations of the file
# "configs" or those named. Each must have the verdict that is stated there. Prints KTAP.
#
#   TLA2TOOLS   the TLA+ tools, or a colon-separated Java class path
#   OUT         where traces and logs go (default: ../build/tla)
#   WORKERS     threads of TLC (1)

set -euo pipefail
shopt -s inherit_errexit

here=$(cd "$(dirname "$0")" && pwd)
out=${OUT:-$here/../build/tla}
names=()
for arg; do
	case $arg in
	TLA2TOOLS=*) TLA2TOOLS=${arg#*=} ;;
	-*) sed -n '4,9s/^# \?//p' "$0" >&2; exit 2 ;;
	*) names+=("$arg") ;;
	esac
done

# Lines that end with a backslash continue.
mapfile -t configs < <(sed -e ':a' -e '/\\$/N; s/\\\n//; ta' -e '/^#/d; /^$/d' "$here/configs")
for name in ${names[@]+"${names[@]}"}; do
	if ! printf '%s\n' "${configs[@]}" | grep -qE "^${name}[[:space:]]" || [[ $name == default ]]; then
		echo "error: $name: no such configuration in $here/configs" >&2
		exit 2
	fi
done

# Without arguments TLC exits non-zero, but says who it is.
if [[ -z ${TLA2TOOLS-} || $(java -cp "$TLA2TOOLS" tlc2.TLC 2>&1 || true) != TLC2* ]]; then
	cat >&2 <<-'END'
	error: no TLA+ tools, or no Java: give the jar as TLA2TOOLS=/path/tla2tools.jar
	It is an asset of each release of the TLA+ tools (project tlaplus on GitHub); Java 11 or newer runs it
	(Debian: default-jre-headless).
	END
	exit 1
fi

# TLC runs in other directories.
IFS=: read -ra paths <<<"$TLA2TOOLS"
TLA2TOOLS=$(realpath -- "${paths[@]}" | paste -sd:)

# TLC sends usage statistics unless this file exists.
mkdir -p "$out/home/.tlaplus"
echo NO_STATISTICS >"$out/home/.tlaplus/esc.txt"

# The translation of the PlusCal algorithm goes behind it.
cp "$here/idgen.tla" "$out"
(cd "$out" && java -Duser.home="$out/home" -cp "$TLA2TOOLS" pcal.trans -nocfg idgen.tla >pcal.log) || {
	cat "$out/pcal.log" >&2
	exit 1
}

tlc() {
	(cd "$out/$name" && exec java -XX:+UseSerialGC -XX:MaxRAMPercentage=25 -Duser.home="$out/home" \
		-cp "$TLA2TOOLS" tlc2.TLC -workers "${WORKERS:-1}" -deadlock -nowarning -metadir states \
		-config idgen.cfg idgen.tla)
}

# A configuration's settings follow the defaults, so that they win.
config() {
	local setting value
	local -A settings=()
	for setting; do
		settings[${setting%%=*}]=${setting#*=}
	done
	echo 'SPECIFICATION Spec'
	echo 'SYMMETRY Perms'
	echo 'CONSTANTS'
	for setting in "${!settings[@]}"; do
		value=${settings[$setting]}
		echo "	$setting = $value"
		# Each member of a set is a model value.
		[[ $value != '{'* ]] || tr -d '{}' <<<"$value" | tr , '\n' | sed 's/.*/	& = &/'
	done
	echo 'INVARIANTS UniqueAllCPUs UniquePerCPU UniqueActive SameActive ReservedInMap NeverReservedID'
	echo '	FlushBeforeReuse PinStays PinsCounted EmptyAfterUnmap AlwaysSucceeds'
}

number=0 failed=0 defaults=() plan=$(printf '%s\n' ${names[@]+"${names[@]}"} | sort -u | grep -c . || true)
((plan)) || plan=$((${#configs[@]} - 1))
printf 'KTAP version 1\n1..%d\n# configuration # expected, verdict, states, depth, seconds\n' "$plan"
while read -r name expected settings; do
	if [[ $name == default ]]; then
		read -ra defaults <<<"$expected $settings"
		continue
	fi
	[[ ${#names[@]} -eq 0 || " ${names[*]} " == *" $name "* ]] || continue
	rm -rf "${out:?}/$name"
	mkdir -p "$out/$name"
	cp "$out/idgen.tla" "$out/$name"
	read -ra own <<<"$settings"
	config "${defaults[@]}" ${own[@]+"${own[@]}"} >"$out/$name/idgen.cfg"
	start=$SECONDS
	tlc >"$out/$name/log" 2>&1 </dev/null || true
	log=$out/$name/log
	verdict=$(sed -n 's/^Error: Invariant \([A-Za-z]*\) is violated.*/\1/p' "$log")
	! grep -q '^Model checking completed. No error' "$log" || verdict=holds
	states=$(sed -n 's/.*generated, \([0-9,]*\) distinct states found.*/\1/p' "$log" | tail -n 1)
	depth=$(sed -n 's/.*depth of the complete state graph search is \([0-9]*\).*/\1/p' "$log")
	# Of a violation it is the length of the trace.
	[[ $verdict == holds ]] || depth=$(grep -c "^State [0-9]*:" "$log" || true)
	result=ok
	[[ $verdict == "$expected" ]] || result='not ok' failed=1
	said="$expected, ${verdict:-error}, ${states:--}, ${depth:--}, $((SECONDS - start))"
	echo "$result $((++number)) $name # $said"
	[[ -n $verdict ]] || tail -n 20 "$log" | sed 's/^/# /'
	rm -rf "$out/$name/states"
done < <(printf '%s\n' "${configs[@]}")
echo "# logs and traces in $out"
((number && !failed))
