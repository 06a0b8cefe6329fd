#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# input_test.sh [TEST...]: test the messages about wrong input, and the state after interrupted and concurrent runs. It
# uses a copy of this repository and stubs for apt, so nothing is fetched, installed or built.

. "$(dirname "$0")/../common.sh"
scratch=$(mktemp -d)
chmod 755 "$scratch"
copy=$scratch/copy said=$scratch/said bin=$scratch/bin
unset IDGEN_LOCKED LINUX LINUX_VERSION SET SIGNOFF WITH MAKELEVEL MAKEFLAGS
mkdir "$bin" "$bin/no-gcc"
ln -s /usr/bin/* "$bin/no-gcc"
rm -f "$bin"/no-gcc/{gcc,cc,apt-get,apt-cache}

# apt-get knows a mirror, and fails to install. apt-cache knows two kernels.
cat >"$bin/apt-get" <<'END'
#!/bin/sh
. /etc/os-release
case "$*" in
*--print-uris*) echo "'http://mirror/debian/dists/$VERSION_CODENAME-updates/InRelease' x" ;;
*install*) echo "apt-get $*"; exit 1 ;;
esac
END
cat >"$bin/apt-cache" <<'END'
#!/bin/sh
printf '%s\n' linux-source-6.16 linux-source-6.18
END
chmod +x "$bin"/apt-*

# fresh [DIRECTORY]: a copy as after git clone.
fresh() {
	copy=${1-$scratch/copy}
	rm -rf "$copy"
	mkdir -p "$copy"
	(cd "$repo" &&
		git ls-files -z --cached --others --exclude-standard harness Makefile tools/testing/idgen lib include |
		tar -c --null -T - --ignore-failed-read) | tar -x -C "$copy"
}

# refuses TEXT COMMAND...: COMMAND fails, says TEXT, and prints no traceback.
refuses() {
	local text=$1
	shift
	if (cd "$copy" && "$@") >"$said" 2>&1; then
		die "$* did not fail"
	fi
	cat "$said"
	grep -qF -- "$text" "$said"
	[[ $(<"$said") != *Traceback* ]]
}

typos() {
	local script
	fresh
	refuses 'unknown variable linux;' make kunit linux=/path
	refuses 'unknown target kunti;' make kunit kunti
	refuses 'ARCH=arm from the command line: only these take ARCH=: kunit kunit-mutants e2e' make series ARCH=arm
	refuses 'ARCH=foo: give one of arm arm64 mips64 mips64el riscv riscv32' make kunit ARCH=foo
	refuses 'ARCH=foo: give one of' env ARCH=foo harness/series/series.sh
	refuses 'ARCH=arm from the environment: only these take ARCH=: kunit' env ARCH=arm make series
	refuses 'only these take SHARD=: mutants' make lint SHARD=1/2
	refuses 'only these take LINUX=: kunit' make prove LINUX=/nonexistent
	refuses 'only these take SET=: series' make results SET=fixes
	refuses 'KUNIT_ARGS: --raw_output=all hides the results' make kunit KUNIT_ARGS='--kernel_args a=1 --raw_output=all'
	refuses "KUNIT_ARGS=--kernel_args 'a=1: a quote is not closed" make kunit KUNIT_ARGS="--kernel_args 'a=1"
	refuses 'SIGNOFF=0: give 1, or leave it out' make series SIGNOFF=0
	refuses 'SHARD=3/2: give it as I/N' make configs SHARD=3/2
	refuses 'JOBS=x: give a number' make e2e JOBS=x
	refuses 'GENMC=/nonexistent: no such program' make mutants GENMC=/nonexistent
	refuses 'TLA2TOOLS=/nonexistent: no such file' make tla TLA2TOOLS=/nonexistent
	refuses 'no such mutant: foo' harness/e2e/e2e.sh mutants foo
	refuses 'LTP=/nonexistent has no testcases' make e2e LTP=/nonexistent
	refuses 'ARCH=arm64 has no row arm-processes; it has guests-vhe' make e2e ROWS=arm-processes
	refuses 'there are no quick rows for riscv' env ARCH=riscv harness/e2e/e2e.sh --quick
	refuses 'there are only mutants for arm arm64' make kunit-mutants ARCH=um
	for script in check/{test,lint,csky,kunit,kunit-mutants,gstage-fence}.sh e2e/peers.sh bench/bench.sh \
		series/series-check.sh clean.sh overlay/{apply,tree}.sh; do
		refuses "${script##*/}: unknown argument in 'foo'; it takes" "harness/$script" foo
	done
	refuses "e2e.sh: unknown argument in 'foo'" harness/e2e/e2e.sh selftests foo
	for script in harness/check/tables.py tools/testing/idgen/{assumptions,litmus/accesses,litmus/emitted}.py; do
		refuses 'unrecognized arguments: foo' "$script" foo
	done
	refuses 'unknown arguments' harness/check/ktap.py foo
	refuses '/nonexistent: not a kernel source tree' harness/overlay/overlay.py --learn 9.9 /nonexistent
	refuses '--learn needs a version' harness/overlay/overlay.py --learn '' "$repo"
	refuses "series.sh: give refresh, or a directory with a slash, not 'refesh'" harness/series/series.sh refesh
	refuses "host.sh: unknown 'foo'" harness/check/host.sh foo
	refuses 'input_test.sh: no test true; there are typos' harness/check/input_test.sh true
	refuses 'KUNIT_ARGS: give ARCH= instead of --arch=arm' make kunit KUNIT_ARGS=--arch=arm
	[[ ! -e $copy/build ]]
}

no_such_tree() {
	fresh
	refuses 'LINUX=/nonexistent: no such directory' make litmus LINUX=/nonexistent
	[[ $(<"$said") != *passed* && ! -e $copy/build/download ]]
}

no_such_version() {
	fresh
	refuses 'has no package linux-source-9.9; it has linux-source-6.16 linux-source-6.18' \
		env PATH="$bin:$PATH" make series LINUX_VERSION=9.9
}

packages() {
	local target
	fresh
	for target in torture explore litmus prove; do
		refuses gcc env PATH="$bin:$bin/no-gcc" make "$target"
		grep -E '^apt-get .*install.* gcc' "$said"
	done
}

spaces() {
	fresh "$scratch/a copy"
	refuses 'path with a space' make kunit
	refuses 'path with a space' make torture
	fresh
	mkdir -p "$scratch/a tree/"{tools/testing/kunit,arch/arm64/kvm}
	touch "$scratch/a tree/"{tools/testing/kunit/kunit.py,Kconfig,MAINTAINERS}
	refuses "LINUX=$scratch/a tree: the kernel's make refuses a path with a space" make series LINUX="$scratch/a tree"
}

# Root can write to a read-only directory, so root becomes another user.
read_only() {
	local as=()
	((EUID)) || as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	fresh
	mkdir "$copy/build"
	chmod 555 "$copy/build"
	refuses 'build cannot be written to' "${as[@]}" make prove
	[[ $(wc -l <"$said") -eq 2 ]]
}

clean() {
	fresh
	mkdir -p "$copy"/build/{download/x,linux-7.3,tree-7.3}
	exec 8>"$copy/build/.lock"
	flock 8
	refuses 'another run is using' make clean
	[[ -d $copy/build/tree-7.3 ]]
	exec 8>&-
	make -C "$copy" clean
	[[ $(cd "$copy/build" && echo *) = 'download linux-7.3' ]]
	# The directory may be on another disk.
	mv "$copy/build" "$scratch/disk"
	ln -s "$scratch/disk" "$copy/build"
	make -C "$copy" distclean
	[[ $(cd "$copy/build" && echo *) = '*' ]]
}

# The copy is no git repository.
identity() {
	fresh
	mkdir "$copy/base"
	refuses 'set user.name and user.email, and commit' \
		"$copy/harness/series/series.py" make "$copy/base" "$copy/out" 7.3 core
	refuses 'user.name is not set' env SIGNOFF=1 GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=user.name GIT_CONFIG_VALUE_0= \
		"$harness/series/series.py" make "$copy/base" "$copy/out" 7.3 core
	# A failed run does not point to an older mbox.
	mkdir -p "$copy/build/series"
	echo x | tee "$copy/build/series/"{names,series.mbox} >/dev/null
	echo 7.3 >"$copy/version"
	printf 'echo %s\n' "$copy" >"$copy/harness/overlay/tree.sh"
	ln -sf /bin/true "$copy/harness/fetch/deps.sh"
	refuses 'set user.name and user.email' make series
	[[ $(<"$said") != *'git am'* ]]
	# A run that writes nothing fails.
	rm "$copy/build/series/series.mbox"
	printf '#!/bin/sh\necho the set is empty\n' >"$copy/harness/series/series.py"
	refuses 'the set is empty' make series
	# It replaces only what it has written.
	refuses 'is not from make series' "$harness/series/series.py" make "$copy/base" "$copy/harness" 7.3 core
	[[ -e $copy/harness/common.sh ]]
}

# interrupts COMMAND...: Ctrl-C ends COMMAND and the programs that it has started, soon and without a traceback or an
# error. Background jobs would ignore the signal.
interrupts() {
	local status=0 since pid
	: >"$scratch/waiting"
	set -m
	(cd "$copy" && exec env --default-signal=INT PATH="$bin/waits:$PATH" "$@") >"$said" 2>&1 &
	set +m
	timeout 20 sh -c "until [ -s $scratch/waiting ]; do sleep 1; done"
	since=$SECONDS
	kill -INT -- "-$!"
	wait "$!" || status=$?
	echo "$*: $status after $((SECONDS - since)) s"
	cat "$said" "$scratch/waiting"
	((status == 130 && SECONDS - since < 5))
	[[ $(<"$said") != *@(Traceback|error:)* ]]
	while read -r pid; do
		timeout 5 tail -s 0.1 --pid="$pid" -f /dev/null
	done <"$scratch/waiting"
}

# A copy with a kernel tree whose kunit.py is a stub.
fresh_with_tree() {
	fresh
	mkdir -p "$copy/tree/tools/"{testing/kunit,memory-model}
	touch "$copy/tree/"{.kunitconfig,tools/memory-model/linux-kernel.cfg,tools/testing/kunit/kunit.py}
	chmod +x "$copy/tree/tools/testing/kunit/kunit.py"
	printf 'echo %s\n' "$copy/tree" >"$copy/harness/overlay/tree.sh"
	ln -sf /bin/true "$copy/harness/fetch/deps.sh"
}

# Programs that take long are replaced by one that waits. kunit.py finishes in spite of Ctrl-C.
# shellcheck disable=SC2016
interrupted() {
	local stub
	fresh_with_tree
	mkdir -p "$bin/waits" "$copy"/{base,to}
	for stub in "$bin/waits/"{cc,cbmc,herd7,git} "$copy/tree/tools/testing/kunit/kunit.py"; do
		printf '#!/bin/sh\n[ "$1" = log ] && exec /usr/bin/git "$@"\necho $$ >>%s; exec sleep 100\n' \
			"$scratch/waiting" >"$stub"
		chmod +x "$stub"
	done
	printf 'echo %s/$1\n' "$bin/waits" >"$copy/harness/fetch/tool.sh"
	sed -i "s/exec sleep/trap 'exit 0' INT; sleep/" "$copy/tree/tools/testing/kunit/kunit.py"
	interrupts make kunit
	interrupts make litmus
	interrupts make prove
	interrupts make torture
	interrupts make mutants JOBS=2
	interrupts "$harness/series/series.py" make "$copy/base" "$copy/to/out" 7.3 core
	[[ -z $(ls "$copy/to") ]]
}

# With KUNIT_ARGS, suites may be left out, but the kernel must not warn.
kunit_args() {
	unset KTAP
	fresh_with_tree
	cat >"$copy/tree/tools/testing/kunit/kunit.py" <<-'END'
		#!/bin/sh
		mkdir -p .kunit
		echo "$SAID" >.kunit/test.log
		for arg; do
			[ "${arg#--json=}" = "$arg" ] || cat >"${arg#--json=}" <<-'JSON'
				{ "sub_groups": [{ "name": "s", "test_cases": [{ "name": "c", "status": "PASS" }], "sub_groups": [] }] }
			JSON
		done
	END
	SAID='all is well' make -C "$copy" kunit KUNIT_ARGS=--timeout=1
	[[ -f $copy/build/kunit-arm64-some.on ]]
	refuses 'kernel log: WARNING: x' env SAID='WARNING: x' make kunit KUNIT_ARGS=--timeout=1
	refuses 'idgen_alloc: no case ran' env SAID='all is well' make kunit
}

no_cbmc() {
	fresh
	refuses 'no CBMC' env CBMC=/nonexistent tools/testing/idgen/cbmc/run.py
}

# torture and explore refuse bad arguments with status 2, and tell if nothing could be pinned.
host_options() {
	local line status
	make -s -C "$repo/tools/testing/idgen" O="$scratch/idgen" "$scratch/idgen/"{torture,explore}
	for line in 'torture -t '{abc,5x,0} 'torture -b 2' 'torture -c 0' 'explore -l '{abc,0,5} 'explore -k 5x'; do
		status=0
		# shellcheck disable=SC2086
		"$scratch/idgen/"$line >"$said" 2>&1 || status=$?
		cat "$said"
		((status == 2))
		grep -q "^error: ${line#* }: not a number from" "$said"
	done
	[[ $("$scratch/idgen/torture" -c 6 -k -t 1 -m both | tail -n 1) = *'too few IDs for pins'* ]]
}

# A step or a check that takes longer than ten seconds shows progress, and does not hold the lock afterwards.
moves() {
	fresh
	cat >"$copy/harness/slow.sh" <<-'END'
		. "$(dirname "$0")/common.sh"
		slow() { lock && touch "$build"/{a,b} && sleep 13; }
		step slow slow
		! table table sh -c 'sleep 13; echo next; false'
		check slow sh -c 'for case in 1 2 3; do echo "[PASSED] $case"; done; sleep 13'
		exec 9>&-
		flock -n "$build/.lock" echo the lock is free
	END
	script -qec "bash $copy/harness/slow.sh" /dev/null >"$said"
	cat "$said"
	grep 'the lock is free' "$said"
	grep -E '1[0-3] s: 3 files written' "$said"
	grep -Pzo '1[0-3] s: 1 files written\e\[K\r\nnext\r\n' "$said"
	grep -E '1[0-3] s: slow: 3 objects or cases done' "$said"
}

# The tables of all shards, and those of jobs, merge to the table of one run.
shards() {
	local shard other all='build/rows-3-of-3.csv build/rows-1-of-3.csv build/rows-2-of-3.csv'
	unset KTAP
	fresh
	cat >"$copy/harness/rows.sh" <<-'END'
		#!/usr/bin/env bash
		. "$(dirname "$0")/common.sh"
		((jobs == 1)) || { spread rows own_build "$0"; exit; }
		rows() {
			check one true
			skip two "not here"
			check three printf 'KTAP version 1\n1..2\nok 1 a # SKIP why\nok 2 b\n'
			check four false
			check five true
		}
		check base true
		sharded rows
		report rows
	END
	chmod +x "$copy/harness/rows.sh"
	seconds() { sed -Ei 's/,[0-9]+,/,0,/' "$copy/build/rows.csv"; }
	as_before() {
		seconds
		cmp "$copy/build/rows.csv" "$scratch/rows.csv"
		cmp "$copy/build/rows.ktap" "$scratch/rows.ktap"
		cmp "$copy/build/rows.on" "$scratch/rows.on"
	}
	for shard in 2/3 1/3 3/3 1/1; do
		(cd "$copy" && SHARD=$shard harness/rows.sh) || true
	done
	seconds
	cp "$copy/build/"rows.{csv,ktap,on} "$scratch"
	rm "$copy/build/"rows.*
	[[ $(tail -n 1 "$scratch/rows.ktap") = '# 5 passed, 1 failed, 2 skipped' ]]
	refuses 'no table of shard 2 of 3' make merge TABLES='build/rows-1-of-3.csv build/rows-3-of-3.csv'
	refuses '5 passed, 1 failed, 2 skipped' make merge TABLES="$all"
	as_before
	# Shards of another commit or kernel, and one without its record.
	for other in 's/commit [^,;]*/commit abc/' 's/, gcc/, Linux 9.9&/'; do
		sed -E "$other" "$scratch/rows.on" >"$copy/build/rows-2-of-3.on"
		refuses 'of the shards differs' make merge TABLES="$all"
	done
	rm "$copy/build/rows-2-of-3.on"
	refuses 'rows-2-of-3.on: no such file' make merge TABLES="$all"
	cp "$scratch/rows.on" "$copy/build/rows-2-of-3.on"
	cp "$copy/build/rows-2-of-3.ktap" "$scratch/part.ktap"
	cp "$copy/build/"rows-{1,2}-of-3.ktap
	refuses 'rows-2-of-3.csv: it is empty, or its .ktap is from another run' make merge TABLES="$all"
	cp "$scratch/part.ktap" "$copy/build/rows-2-of-3.ktap"
	sed -i 's/,not ok,/,ok,/' "$copy/build/rows-3-of-3.csv"
	refuses 'rows-3-of-3.csv: four has another result in its .ktap' make merge TABLES="$all"
	refuses '5 passed, 1 failed, 2 skipped' env JOBS=2 harness/rows.sh
	as_before
}

# A shard without any rows has a table, so that all shards can be merged.
no_rows() {
	local script
	unset KTAP
	fresh
	for script in overlay/tree.sh e2e/e2e-build.sh; do
		ln -sf /bin/true "$copy/harness/$script"
	done
	(cd "$copy" && ARCH=arm SHARD=1/999 harness/e2e/e2e.sh)
	[[ $(wc -l <"$copy/build/e2e-arm-1-of-999.csv") -eq 1 ]]
	(cd "$copy" && ARCH=arm SHARD=1/999 harness/e2e/e2e.sh --quick)
	[[ -f $copy/build/e2e-arm-quick-1-of-999.csv ]]
	(cd "$copy" && ARCH=arm SHARD=1/999 harness/e2e/e2e.sh arm-processes)
	[[ -f $copy/build/e2e-arm-some-1-of-999.csv ]]
}

# A command that ends before its last test has no table. One that runs no test fails.
cut_off() {
	unset KTAP
	fresh
	refuses 'not all tests ran' bash -c 'printf "1..2\nok 1 a\n" | harness/check/ktap.py convert cut'
	[[ ! -e $copy/build ]]
	refuses 'nothing ran' bash -c 'mkdir build; echo 1..0 | harness/check/ktap.py convert none'
	refuses 'nothing ran' harness/check/ktap.py report none build/log
	refuses 'nothing ran' harness/check/ktap.py report none build/log one skip 0 because
	# A skipped check has no results, not even those of an earlier run.
	mkdir -p "$copy/build/log"
	printf 'KTAP version 1\n1..1\nok 1 old\n' >"$copy/build/log/one.ktap"
	refuses 'nothing ran' harness/check/ktap.py report none build/log one skip 0 because
}

# How often a test may fail with our files, if it fails without; when e2e, peers and e2e-selftests fail.
rates() {
	printf '%s\n' 'selftest asid_rollover starts' \
		'ok 3 ASIDs rolled over # SKIP 0 of 1, by the trace event: 724 processes in 10 s' >"$said"
	python3 - "$said" <<-'END'
		import sys
		from pathlib import Path
		from e2e import Row, is_same, judge
		from e2e_selftests import misses, rollovers
		from peers import verdict
		ok, bad = ["pass"], ["fail"]
		assert is_same(ok, ok) and is_same(ok, bad) and is_same(bad, bad) and is_same(3 * bad + ok, bad + 3 * ok)
		assert not is_same([], ok) and not is_same(bad, ok) and not is_same(4 * bad, bad + 3 * ok)

		def judged(name, ours, few, theirs):
		    return verdict(name, {"converted-8": ours, "converted-4": few, "original": theirs})[0]
		assert judged("timer", ok, ok, ok) == "ok" and judged("timer", bad, bad, bad) == "skip"
		assert {judged("timer", bad, ok, ok), judged("timer", ok, bad, ok), judged("timer", ok, [], ok)} == {"not ok"}
		assert {judged("linux", bad, bad, bad), judged("many-bp", [], [], []), judged("timer", [], [], [])} == {"not ok"}

		row = Row(name="", cpu="", run=["toggle", "guests"], tlb=True, args="idgen_alloc.bits=asid:4,vmid:5 quiet")
		lines = {"asid: using 4 bits of 8": "asid: using 5 bits of 8", "vmid: using 5 bits of 8": "",
		         "e2e: end, 0 failures": "",
		         "toggle: CPUs were taken down 1 times": "toggle: CPUs were taken down 0 times",
		         "guests: 1 checks, 0 wrong;": "guests: 0 checks, 0 wrong;", "tlb: 1 checks, 0 wrong;": ""}
		assert not judge(row, [*lines]).reasons
		for good, bad in lines.items():
		    assert len(judge(row, [bad if line == good else line for line in lines]).reasons) == 1, good

		counted = "VMIDs rolled over, 9 times, by the trace event"
		computed = "VMIDs rolled over, at least 1 times, computed from the number of VMs, if KVM uses VMIDs"
		said = {"converted": {"vmid_rollover": counted}, "original": {"vmid_rollover": computed},
		        "converted-4": {"vmid_rollover": counted, "asid_rollover": counted}}
		assert not misses("nvhe", said)
		said |= {"original": {}}
		assert not misses("vhe", said) and misses("nvhe", said) == ["original/vmid_rollover"]
		skipped = rollovers(Path(sys.argv[1]))
		assert "skip: 0 of 1" in skipped["asid_rollover"]
		said["converted-4"] |= skipped
		assert misses("vhe", said) == ["converted-4/asid_rollover"]
	END
}

# A run that wrote its table gets a section, also if it failed. One that wrote none leaves the old section, as does a
# part or another kernel.
results() {
	fresh
	mkdir "$copy/build"
	printf '# Results\n\n## make lint\n\n| old |\n\n## make csky\n\n| old |\n' >"$copy/RESULTS.md"
	cat >"$copy/harness/ends.sh" <<-'END'
		. "$(dirname "$0")/common.sh"
		VARIANT+=${3-}
		mkdir -p "$build"
		end() {
			echo "$@"
			[[ $2 = no ]] || printf 'test,result\nnew,%s\n' "$2" | tee "$build/$1$VARIANT".{csv,ktap} >/dev/null
			[[ $2 = ok ]]
		}
		table "$1" end "$1" "$2"
		echo goes on
	END
	bash "$copy/harness/ends.sh" litmus ok
	refuses 'e2e not ok' bash harness/ends.sh e2e 'not ok'
	[[ $(<"$said") != *'goes on'* ]]
	bash "$copy/harness/ends.sh" lint ok
	refuses 'lint no' bash harness/ends.sh lint no
	bash "$copy/harness/ends.sh" e2e ok -some
	bash "$copy/harness/ends.sh" e2e ok -quick
	LINUX_VERSION=9.9 bash "$copy/harness/ends.sh" litmus ok
	bash "$copy/harness/ends.sh" csky ok
	sed -i 's/commit unknown/commit abc-dirty/' "$copy/build/csky.on"
	make -C "$copy" results >"$said"
	cat "$said"
	grep '^no new section for make lint: ' "$said"
	grep '^no new section for make csky: its last run had uncommitted changes' "$said"
	grep '^no section for e2e-some: ' "$said"
	grep -E '^(## |\| (new|old)|.*FAILED$)' "$copy/RESULTS.md" | sed 's/.*FAILED$/FAILED/' | diff - <(printf '%s\n' \
		'## make litmus' '| new | ok |' '## make e2e ARCH=arm64 (quick)' '| new | ok |' '## make e2e ARCH=arm64' \
		FAILED '| new | not ok |' '## make lint' '| old |' '## make csky' '| old |')
}

tests=(typos no_such_tree no_such_version packages spaces read_only clean identity interrupted kunit_args no_cbmc
	host_options moves shards no_rows cut_off rates results)
for test; do
	[[ " ${tests[*]} " = *" $test "* ]] || die "input_test.sh: no test $test; there are ${tests[*]}"
done
(($# == 0)) || VARIANT+=-some
for test in "${@:-${tests[@]}}"; do
	check "input-$test" "$test"
done
report input
