#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# tree.sh [pristine | series | aside]: make or update a kernel tree below build/, and print its path. By default the
# tree has our files. "pristine" and "series" are trees without them: for comparisons, and to apply patches to. "aside"
# is a directory with a copy of only the files that our overlay reads, in base/, and with the kernel's version in
# version.
#
#   LINUX=/path        take the source from that tree, which is only read
#   LINUX_VERSION=6.12 take Debian's linux-source-6.12 (from trixie)
#   LINUX_VERSION=sid  take the newest linux-source of that suite; experimental has release candidates
#   neither            take the newest linux-source of trixie-backports
#   WITH=csky          include that patch, which is left out by default (see overlay.toml); this makes another tree
#
# The tree has the files of its source that .gitignore does not ignore. So the source may be a git work tree, and may
# have been built in. Unchanged files keep their timestamps, so the next build is short.

. "$(dirname "$0")/../common.sh"
only "pristine series aside" "$@"
lock

is_kernel() {
	[[ -f $1/tools/testing/kunit/kunit.py && -d $1/arch/arm64/kvm && -f $1/Kconfig && -f $1/MAINTAINERS ]]
}

unpack() {
	local deb=$1 to=$2 name=$3
	rm -rf "$to.new"
	mkdir "$to.new"
	dpkg-deb --fsys-tarfile "$deb" | tar -xO "./usr/src/$name.tar.xz" | tar -xJ -C "$to.new" --strip-components=1
	mv "$to.new" "$to"
}

# The newest version is looked up once, so that later runs need no network. make distclean removes the answer.
debian_source() {
	local suite=trixie-backports pattern='linux-source-[0-9]+\.[0-9]+' known=$build/download/newest deb name as
	case ${LINUX_VERSION-} in
	'') ;;
	6.12) suite=trixie pattern=linux-source-6.12 known=$build/download/6.12 ;;
	[0-9]*.[0-9]*) pattern=linux-source-$LINUX_VERSION known=$build/download/$LINUX_VERSION ;;
	forky | sid | experimental) suite=$LINUX_VERSION known=$build/download/newest-$suite ;;
	*) die "LINUX_VERSION=$LINUX_VERSION: give it as X.Y, for example 6.12, or as forky, sid or experimental" ;;
	esac
	if [[ ! -s $known || ! -d $build/linux-$(<"$known") ]]; then
		deb=$("$harness/fetch/deb.sh" "$suite" "$pattern") ||
			die "no kernel source for LINUX_VERSION=${LINUX_VERSION-};" \
				"6.12, forky, sid and experimental are known as well; or give LINUX=/path"
		name=$(basename "$deb" | cut -d_ -f1)
		as=${name#linux-source-}
		# Another suite may have another version under the same name.
		[[ $suite = trixie* ]] || as+=-$suite
		step "unpacking $name" unpack "$deb" "$build/linux-$as" "$name"
		rm -f "$deb"
		echo "$as" >"$known"
	fi
	echo "$build/linux-$(<"$known")"
}

# List the files of the current directory that its .gitignore files do not exclude. It need not be a git repository.
# Debian's top .gitignore excludes everything beside it, so these options decide about the top directory.
list() {
	git -c core.quotePath=false --git-dir="$build/empty.git" --work-tree=. ls-files --others --exclude-standard \
		-x '!/[A-Za-z]*' -x '!.gitignore' -x '!/.kunitconfig' \
		-x '/vmlinux*' -x /System.map -x /Module.symvers -x '/modules.*' -x '/tags'
}

# Copy the files that the overlay reads or changes from the source.
concerned() {
	local path
	rm -rf "$work/base"
	mkdir "$work/base"
	"$harness/overlay/overlay.py" --paths | while read -r path; do
		[[ ! -e $from/$path ]] || (cd "$from" && cp -a --parents "$path" "$work/base")
	done
}

lay_over() {
	concerned
	rm -rf "$work/laid"
	cp -a "$work/base" "$work/laid"
	"$harness/overlay/overlay.py" "$work/laid"
	comm -23 <(cd "$work/base" && find . -type f | sort) <(cd "$work/laid" && find . -type f | sort) |
		sed 's,^\./,,' >"$removed"
}

copy() {
	# Other repositories in the tree end in "/", and are left out.
	(cd "$from" && list) | grep -vxFf "$removed" | sed '/\/$/d' >"$work/wanted"
	[[ -s $work/wanted ]] || die "found no source files in $from"
	mkdir -p "$tree"
	(cd "$tree" && list) >"$work/held"
	"$harness/overlay/sync.py" "$from" "$laid" "$tree" "$work/wanted" "$work/held"
}

[[ -z ${LINUX-} || -z ${LINUX_VERSION-} ]] || die "give LINUX= or LINUX_VERSION=, not both"
if [[ -n ${LINUX-} ]]; then
	from=$(realpath -e -- "$LINUX") || die "LINUX=$LINUX: no such directory"
	is_kernel "$from" || die "LINUX=$LINUX: no kernel source tree with KUnit and KVM for arm64"
	[[ $from != *[[:space:]:]* ]] ||
		die "LINUX=$from: the kernel's make refuses a path with a space or a colon; move this tree"
	# make apply must not write to it while it is read.
	exec 7<"$from"
	flock -ns 7 || die "another run is writing to LINUX=$from; wait for it"
	name=user-$(sha256sum <<<"$from" | cut -c1-8)
else
	from=$(debian_source)
	name=$(basename "$from")
	name=${name#linux-}
fi
# Each value of WITH= has a tree of its own.
with=${WITH:+-${WITH// /-}}
version=$(make -s -C "$from" kernelversion)
tree=$build/tree-$name$with work=$build/work-$name$with
laid=$work/laid removed=$work/removed
mkdir -p "$work"
[[ -d $build/empty.git ]] || git init -q --bare "$build/empty.git"
case ${1-} in
pristine | series)
	[[ ! -e $from/.idgen-overlay.json ]] || die "LINUX=$from has our files already: give an unmodified tree"
	tree=$build/$1-$name laid=$work/none removed=/dev/null
	mkdir -p "$laid"
	;;
aside)
	concerned
	echo "$version" >"$work/version"
	echo "$work"
	exit
	;;
*)
	step "laying our files over those of Linux $version in $from" lay_over
	;;
esac
free=$(df --output=avail -k "$build" | tail -n 1)
[[ -d $tree ]] || ((free > 6000000)) ||
	die "$build has $((free / 1024)) MiB of free space, and a build needs up to 6 GiB"
step "copying the rest to $tree" copy
echo "$tree"
