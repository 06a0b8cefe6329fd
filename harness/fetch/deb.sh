#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# deb.sh [--with-depends] SUITE NAME: fetch the package NAME from any Debian suite, and print the path of the .deb. NAME
# is a pattern; the last match in version order is taken. --with-depends fetches and prints all dependencies as well.
# The apt state of this machine does not change.
#
# The mirror is the one that this machine uses. apt checks the signature, with Debian's keyring, and the checksums. A
# file gets its final name only when it is complete.

. "$(dirname "$0")/../common.sh"
depends=
[[ $1 != --with-depends ]] || { depends=1 && shift; }
suite=$1 pattern=${2%:*} arch=${2#"${2%:*}"}
arch=${arch#:}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[[ -r $keyring ]] || die "no $keyring: apt-get install debian-archive-keyring"
state=$build/download/$suite${arch:+-$arch}
mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$state/debs"
: >"$state/status"

apt() {
	local cmd=$1
	shift
	"apt-$cmd" -q -o Dir::State="$state" -o Dir::State::status="$state/status" -o Dir::State::lists="$state/lists" \
		-o Dir::Etc::sourcelist="$state/sources.list" -o Dir::Etc::sourceparts=/dev/null \
		-o Dir::Cache="$state/cache" -o Acquire::Languages=none -o APT::Sandbox::User=root -o Acquire::Retries=3 \
		${arch:+-o APT::Architecture="$arch" -o APT::Architectures="$arch"} "$@"
}

# The mirrors of Debian's archive, which are those that have the -updates suite of this release. Mirrors of other
# vendors do not have it.
mirrors() {
	local codename
	codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-stable}")
	apt-get --print-uris update 2>/dev/null |
		sed -nE "s,^'([^']*[^/])/+dists/($codename|stable)-updates/InRelease'.*,\1,p" | sort -u
}

update() {
	local mirror
	for mirror in $(mirrors); do
		echo "deb [signed-by=$keyring] $mirror $suite main" >"$state/sources.list"
		apt get update --error-on=any && return 0
	done
	die "no Debian mirror in this machine's apt configuration has $suite; add one to /etc/apt"
}

step "reading the package list of $suite" update
name=$(apt cache pkgnames | grep -xE "$pattern" | sort -V | tail -n 1) || {
	mapfile -t others < <(apt cache pkgnames "${pattern%%[0-9[]*}" | sort -V)
	die "$suite has no package $pattern; it has ${others[*]:-none whose name begins like that}"
}
scratch=$(mktemp -d "$state/new.XXXXXX")
download() {
	if [[ -n $depends ]]; then
		mkdir "$scratch/partial"
		apt get install -y --download-only --no-install-recommends -o Dir::Cache::archives="$scratch" "$name"
	else
		(cd "$scratch" && apt get download "$name")
	fi
}
step "downloading $name from $suite" download
for deb in "$scratch"/*.deb; do
	mv -f "$deb" "$state/debs/"
	echo "$state/debs/${deb##*/}"
done
