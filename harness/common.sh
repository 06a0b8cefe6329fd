# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
#
# Shared by all scripts here: paths, the lock, steps with progress, and checks that count. Progress goes to stderr, as
# the result of a script may be its stdout.

set -euo pipefail
shopt -s inherit_errexit

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
harness=$repo/harness
build=${IDGEN_BUILD:-$repo/build}
# shellcheck source=arch.sh
. "$harness/arch.sh"

# ARCH= of our make. It must not reach the kernel's make, which does not know riscv32, for example.
arch=${ARCH:-arm64}
unset ARCH MAKEFLAGS

# SHARD= selects a part of the work of this command, and JOBS= is the number of parallel jobs. The scripts that it
# starts inherit neither.
shard=${SHARD:-1/1} jobs=${JOBS:-1}
unset SHARD JOBS

# The names of tables end in this. Scripts append to it, for example -quick. So a run of another kernel or of some rows
# does not replace the table of a complete run.
export VARIANT=${LINUX:+-user}${LINUX_VERSION:+-$LINUX_VERSION}${WITH:+-$WITH}

# Make sorting and the messages of tools independent of the locale.
export LC_ALL=C.UTF-8

# Scripts import modules of other directories.
export PYTHONPATH=$harness/overlay:$harness/e2e:$harness/check MYPYPATH=$harness/overlay:$harness/e2e:$harness/check

# All clones share one ccache: paths below the repository are relative to it, and objects do not contain the date.
export CCACHE_BASEDIR=$repo CCACHE_NOHASHDIR=1
export KBUILD_BUILD_TIMESTAMP='Thu Jan  1 00:00:00 UTC 1970' KBUILD_BUILD_USER=idgen KBUILD_BUILD_HOST=idgen

die() {
	echo "error: $*" >&2
	exit 1
}

[[ $shard =~ ^([1-9][0-9]{0,3})/([1-9][0-9]{0,3})$ && ${shard%/*} -le ${shard#*/} ]] ||
	die "SHARD=$shard: give it as I/N, from 1/N to N/N; for example 3/8"
[[ $jobs =~ ^[1-9][0-9]{0,2}$ ]] || die "JOBS=$jobs: give a number from 1 to 999"
[[ $repo != *[[:space:]:]* ]] ||
	die "$repo: the kernel cannot be built below a path with a space or a colon; move this checkout"
[[ -v crosses[$arch] ]] || die "ARCH=$arch: give one of $(printf '%s\n' "${!crosses[@]}" | sort | paste -sd ' ')"

# only "WORD..." ARGUMENT...: end the script unless it has no argument, or one that is one of these words.
only() {
	(($# == 1)) || [[ $# = 2 && " $1 " = *" ${2:-*} "* ]] ||
		die "${0##*/}: unknown argument in '${*:2}'; it takes ${1:+$1, or }none"
}

# watch END COMMAND...: on a terminal, show every ten seconds what COMMAND prints, until unwatch. END is "\r" to
# overwrite the line, or "\n" if there is other output, with which it would mix. It does not inherit locks.
watcher=
watch() {
	[[ -t 2 ]] || return 0
	while sleep 10 && kill -0 $$; do
		printf "    %d s: %s\e[K$1" "$((SECONDS - start))" "$("${@:2}")" >&2
	done 7>&- 8>&- 9>&- &
	watcher=$!
	disown
}
unwatch() {
	[[ -z $watcher ]] || { kill "$watcher" 2>/dev/null && printf '\e[K' >&2; }
	watcher=
}

files_written() {
	echo "$(find -H "$build" -type f -newerct "-$((SECONDS - start + 1)) sec" 2>/dev/null | wc -l) files written"
}

# step TEXT COMMAND...: print TEXT, run COMMAND, and print how long it took. COMMAND may be a function. It does not run
# as part of a condition, where bash would ignore a failing command in the function.
doing=
step() {
	local start=$SECONDS
	doing=$1
	shift
	echo "==> $doing" >&2
	watch '\n' files_written
	"$@" >&2
	unwatch
	echo "    done in $((SECONDS - start)) s" >&2
	doing=
}

# The directory "scratch", if a script sets it, is removed at exit.
scratch=
at_exit() {
	local status=$?
	unwatch
	[[ -z $scratch ]] || rm -rf "$scratch"
	[[ -z $doing || $status = @(0|130) ]] || echo "error: $doing: failed (see above)" >&2
	jobs -p | xargs -rI{} kill -- -{} 2>/dev/null || true
}
trap at_exit EXIT
# Ctrl-C also ends a script whose command finishes in spite of it.
trap 'exit 130' INT

# Only one run at a time may use build/. Scripts that a run starts are part of it.
lock() {
	[[ -z ${IDGEN_LOCKED-} ]] || return 0
	mkdir -p "$build" || die "$build cannot be made"
	[[ -w $build ]] || die "$build cannot be written to"
	exec 9>"$build/.lock"
	flock -n 9 || die "another run is using $build; wait for it, or work in another clone"
	export IDGEN_LOCKED=1
}

# check NAME COMMAND...: run COMMAND (a function will do) with its output in build/log/NAME.log, and say "ok" or "not
# ok". A command that counts its own cases writes them to $KTAP, as ktap.py does, or prints them as KTAP.
failed=0 checks=()
cases_done() { echo "$name: $(grep -cE '^ +(CC|LD) |\[PASSED\]|^ok ' "$log") objects or cases done"; }
check() {
	local name=$1 log=$build/log/$1.log start=$SECONDS status result=ok
	in_part || return 0
	shift
	mkdir -p "$build/log"
	watch '\r' cases_done
	rm -f "$build/log/$name.ktap"
	set +e
	(
		set -e
		export KTAP=$build/log/$name.ktap
		"$@"
	) >"$log" 2>&1 </dev/null
	status=$?
	set -e
	unwatch
	if ((status)); then
		result="not ok" failed=1
		tail -n 40 "$log" | sed 's/^/    | /'
	fi
	echo "$result $name ($((SECONDS - start)) s)"
	checks+=("$name" "$result" "$((SECONDS - start))" "")
}

# skip NAME REASON: record a check that cannot run here.
skip() {
	in_part || return 0
	echo "skip $1: $2"
	checks+=("$1" skip 0 "$2")
}

# version PROGRAM: its name and version. TLC is a class of $TLA2TOOLS. sparse adds the version of Debian's package,
# which is the right one.
version() {
	local ask=("$1" --version)
	[[ $1 != */herd7 ]] || ask[1]=-version
	[[ $1 != TLC ]] || ask=(java -cp "${TLA2TOOLS-}" tlc2.TLC)
	echo "${1##*/} $({ "${ask[@]}" 2>&1 || true; } | sed 's/.*(Debian: //' |
		grep -oE '[0-9]+\.[0-9.]*[0-9]|^sc20[0-9]+' | sed -n 1p)"
}

# versions PROGRAM...: ", NAME VERSION" of each that is there.
versions() {
	local program
	for program; do
		[[ $program != TLC ]] && ! command -v "$program" >/dev/null || printf ', %s' "$(version "$program")"
	done
}

# table NAME COMMAND...: run COMMAND, which writes the table NAME, and write to build/NAME.on when and on what, for make
# results and make merge: the commit, the kernel, and the programs in "used". A table with failures is recorded as well.
# The result is that of COMMAND, which may be a function that does not depend on set -e.
table() {
	local name=$1$VARIANT status=0 on start=$SECONDS
	shift
	[[ $shard = 1/1 ]] || name+=-${shard/\//-of-}
	name=$repo/build/$name
	rm -f "$name".{csv,ktap}
	: >"$name.on"
	on="$(date -u +%F), commit $(git -C "$repo" describe --always --dirty --abbrev=12 || echo unknown)"
	watch '\n' files_written
	"$@" || status=$?
	unwatch
	[[ -f $name.csv && -f $name.ktap ]] || ((status)) || die "$1 wrote no $name.csv and .ktap"
	[[ -f $name.csv ]] || return "$status"
	[[ -z ${tree-} ]] || on+=", Linux $(make -s -C "$tree" kernelversion || echo unknown)"
	on+=$(versions "${used[@]}")
	((status == 0)) || on+="; FAILED"
	echo "$on" >"$name.on"
	return "$status"
}

# report NAME: the table of the checks, build/NAME.csv, and build/NAME.ktap.
report() { SHARD=$shard table "$1" "$harness/check/ktap.py" report "$1" "$build/log" "${checks[@]}"; }

# sharded FUNCTION: run the checks of FUNCTION that belong to this shard. Checks elsewhere run in each shard.
number=0 first=0 last=1000000
in_part() { ((++number > first && number <= last)); }
sharded() {
	number=0 last=0
	"$1"
	first=$((number * (${shard%/*} - 1) / ${shard#*/})) last=$((number * ${shard%/*} / ${shard#*/})) number=0
	"$1"
	last=1000000
}

# spread NAME COMMAND...: run COMMAND, which writes the table NAME, with SHARD= in its environment. With JOBS=N, run it
# N times in parallel, each time with a part of the shard, and merge the tables.
spread() {
	local base=$1 name=$1$VARIANT job tables=() i=${shard%/*} n=$((${shard#*/} * jobs))
	if ((jobs == 1)); then
		SHARD=$shard table "$@"
		return
	fi
	shift
	set -m
	for ((job = 1; job <= jobs; job++)); do
		tables+=("$repo/build/$name-$(((i - 1) * jobs + job))-of-$n.csv")
		rm -f "${tables[-1]%.csv}".{csv,ktap}
		SHARD=$(((i - 1) * jobs + job))/$n "$@" | sed -uE '/^[0-9]+ passed, [0-9]+ failed/d' &
	done
	set +m
	wait
	[[ $shard = 1/1 ]] || name+=-${shard/\//-of-}
	table "$base" "$harness/check/ktap.py" merge --into "$name" "${tables[@]}"
}

# own_build COMMAND...: run COMMAND in a build directory of its own. The tools and kernel sources are shared. Only for
# the jobs of spread, which sets $job.
own_build() {
	export IDGEN_BUILD=$build/job-$job
	mkdir -p "$IDGEN_BUILD" "$build/"{download,tools}
	cp -a --update "$build/download" "$IDGEN_BUILD/"
	find -H "$build" -maxdepth 1 \( -name 'linux-*' -o -name tools \) -exec ln -sfn -t "$IDGEN_BUILD" {} +
	"$@"
}

# link_tree TO: make TO a copy of $tree by hard links, without its build directories.
link_tree() {
	mkdir -p "$1"
	rsync -a --delete --link-dest="$tree" --exclude='/.kunit*' --exclude='/.*-matrix' --exclude='/.lint*' "$tree/" "$1/"
}

# kunit VERB TREE BUILD_DIR ARGS...: the tree's own kunit.py.
kunit() {
	local verb=$1 tree=$2 dir=$3
	shift 3
	(cd "$tree" && ./tools/testing/kunit/kunit.py "$verb" --build_dir="$dir" "$@")
}
