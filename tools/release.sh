#!/usr/bin/env bash
# Makes the files of a release from a commit, as it is in git, whatever else lies about in the directory: archives with
# the static binary, Debian packages, the image where a container engine answers, an SBOM of each binary, the notes, and
# SHA256SUMS of all. Two runs on one commit, with one version of Go, make the same bytes. docs/releases.md says more.
#
#	tools/release.sh [COMMIT]                         HEAD
#	tools/release.sh version [COMMIT]                 only says which version it would be
#	OUT=dir PLATFORMS="linux/amd64" IMAGE=no tools/release.sh
#
# It takes git, Go, GNU tar and gzip, and no Debian: a package is three files in an ar archive, which has a simple form.
set -euo pipefail
export LC_ALL=C TZ=UTC
umask 022

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Linux alone: the gateway asks the kernel what a half-closed socket has yet to send, in Linux words.
PLATFORMS=${PLATFORMS:-linux/amd64 linux/arm64}
IMAGE=${IMAGE:-auto}
export GO=${GO:-go}

say() { printf 'release: %s\n' "$*"; }

fail() {
	printf 'release: %s\n' "$*" >&2
	exit 1
}

only_version=
if [[ ${1:-} == version ]]; then
	only_version=yes
	shift
fi
commit=$(git -C "$root" rev-parse --verify --quiet "${1:-HEAD}^{commit}") ||
	fail "there is no commit ${1:-HEAD}; name a tag or a commit of this repository"
[[ $IMAGE =~ ^(auto|yes|no)$ ]] || fail "IMAGE is '$IMAGE'; it can be auto, yes or no"
for platform in $PLATFORMS; do
	[[ $platform =~ ^linux/[a-z0-9]+$ ]] || fail "PLATFORMS has '$platform'; it can have linux/amd64 and the like"
done
SOURCE_DATE_EPOCH=$(git -C "$root" show --no-patch --format=%ct "$commit")
export SOURCE_DATE_EPOCH

# version_of is 1.2.0 for the tag v1.2.0, and 1.2.0+5.g8c2f7c5 for five commits later. Before the first tag it begins with
# 0.0.0 and has the time of the commit, so that a later one is the newer one.
version_of() {
	local described
	if described=$(git -C "$root" describe --tags --match 'v[0-9]*' --abbrev=7 "$1" 2>/dev/null); then
		sed -E 's/^v//; s/-([0-9]+)-g([0-9a-f]+)$/+\1.g\2/' <<<"$described"
	else
		printf '0.0.0+%s.g%s\n' "$(date -d "@$SOURCE_DATE_EPOCH" +%Y%m%d%H%M%S)" "$(git -C "$root" rev-parse --short=7 "$1")"
	fi
}
version=$(version_of "$commit")
if [[ -n $only_version ]]; then
	printf '%s\n' "$version"
	exit
fi

out=${OUT:-$root/dist}
mkdir -p "$out"
out=$(cd "$out" && pwd)
[[ -z $(find "$out" -mindepth 1 -maxdepth 1 ! -name 'papertape_*' ! -name SHA256SUMS ! -name release-notes.md) ]] ||
	fail "$out has files that are not of a release; name another directory with OUT, or empty it"
find "$out" -mindepth 1 -maxdepth 1 -delete
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# pack ARCHIVE DIR NAME... makes an archive in which nothing depends on who made it, when and where.
pack() {
	local archive=$1 dir=$2
	shift 2
	tar --create --directory "$dir" --sort=name --format=gnu --mtime="@$SOURCE_DATE_EPOCH" --owner=root:0 --group=root:0 \
		--mode=go-w "$@" | gzip -n >"$archive"
}

# this_machine is the platform of the binary that says what it can do; it is built but once.
this_machine=$("$GO" env GOHOSTOS)/$("$GO" env GOHOSTARCH)

# go_build OS ARCH FILE: nothing of the machine's settings goes into the binary.
go_build() {
	env GOFLAGS= GOEXPERIMENT= GOFIPS140=off GOAMD64=v1 GOARM64=v8.0 CGO_ENABLED=0 GOOS="$1" GOARCH="$2" \
		"$GO" build -C "$work/source" -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$version" -o "$3" ./cmd/papertape
}

# common is what is the same for every platform: the texts, and what a binary of this machine says of itself.
common() {
	local dir=$work/common host=$work/host/papertape
	mkdir -p "$work/host" "$dir/completions"
	go_build "${this_machine%/*}" "${this_machine#*/}" "$host"
	"$host" man --out "$dir/man/man1"
	"$host" completion bash >"$dir/completions/papertape.bash"
	"$host" completion zsh >"$dir/completions/_papertape"
	"$host" completion fish >"$dir/completions/papertape.fish"
	"$host" config init >"$dir/papertape.yaml"
	(cd "$work/source" && cp LICENSE README.md CHANGELOG.md docker/papertape.service "$dir")
	notes "$version" <"$work/source/CHANGELOG.md" >"$out/release-notes.md"
}

# notes VERSION prints the section of the changelog of a version, or what is unreleased if it has none yet.
notes() {
	awk -v version="${1%%+*}" '
		/^## / { on = 0; name = $2; gsub(/[][]/, "", name)
			if (name == version || name == "Unreleased") { on = 1; which = name } }
		on { text[which] = text[which] $0 "\n" }
		END { printf "%s", (version in text) ? text[version] : text["Unreleased"] }'
}

# tree OS ARCH makes what an archive has in it, in $work/tree, and the SBOM beside the archives.
tree() {
	local os=$1 arch=$2
	rm -rf "$work/tree"
	cp -r "$work/common" "$work/tree"
	if [[ $os/$arch == "$this_machine" ]]; then
		cp "$work/host/papertape" "$work/tree/papertape"
	else
		go_build "$os" "$arch" "$work/tree/papertape"
	fi
	"$work/release" licenses --source "$work/source" "$work/tree/papertape" >"$work/tree/THIRD-PARTY-LICENSES.txt"
	"$work/release" sbom --source "$work/source" --version "$version" --time "$SOURCE_DATE_EPOCH" "$work/tree/papertape" \
		>"$out/papertape_${version}_${os}_$arch.cdx.json"
}

# package ARCH makes a Debian package of $work/tree.
package() {
	local arch=$1 deb=$work/deb data=$work/deb/data doc=$work/deb/data/usr/share/doc/papertape
	local share=$data/usr/share debian_version=${version/-/\~} page
	rm -rf "$deb"
	mkdir -p "$deb/control" "$data/etc/papertape" "$data/usr/bin" "$data/usr/lib/systemd/system" "$doc/examples" "$doc/docs" \
		"$share/man/man1" "$share/bash-completion/completions" "$share/zsh/vendor-completions" \
		"$share/fish/vendor_completions.d" "$share/lintian/overrides"
	cp "$work/tree/papertape" "$data/usr/bin/papertape"
	cp "$parts/papertape.yaml" "$data/etc/papertape/papertape.yaml"
	# The comment at the head is for who installs it by hand.
	sed -e '1,/^\[Unit\]/{/^#/d}' -e 's|/usr/local/bin/|/usr/bin/|' "$work/tree/papertape.service" \
		>"$data/usr/lib/systemd/system/papertape.service"
	for page in "$work"/tree/man/man1/*.1; do
		gzip -n -9 <"$page" >"$share/man/man1/${page##*/}.gz"
	done
	cp "$work/tree/completions/papertape.bash" "$share/bash-completion/completions/papertape"
	cp "$work/tree/completions/_papertape" "$share/zsh/vendor-completions/_papertape"
	cp "$work/tree/completions/papertape.fish" "$share/fish/vendor_completions.d/papertape.fish"
	cp "$parts/lintian-overrides" "$share/lintian/overrides/papertape"
	cp "$work/tree/papertape.yaml" "$doc/examples/papertape.yaml"
	cp "$work/tree/README.md" "$doc"
	cp "$work/source"/docs/*.md "$doc/docs"
	gzip -n -9 <"$work/tree/CHANGELOG.md" >"$doc/CHANGELOG.md.gz"
	gzip -n -9 <"$work/tree/THIRD-PARTY-LICENSES.txt" >"$doc/THIRD-PARTY-LICENSES.txt.gz"
	copyright >"$doc/copyright"
	debian_changelog "$debian_version" | gzip -n -9 >"$doc/changelog.gz"
	find "$data" -type f ! -path '*/usr/bin/*' -exec chmod 644 {} +

	cp "$parts"/{postinst,prerm,postrm} "$deb/control"
	echo /etc/papertape/papertape.yaml >"$deb/control/conffiles"
	(cd "$data" && find usr -type f | sort | xargs md5sum) >"$deb/control/md5sums"
	sed -e "s/@VERSION@/$debian_version/" -e "s/@ARCH@/$arch/" -e "s/@SIZE@/$(kilobytes "$data")/" \
		"$parts/control" >"$deb/control/control"
	pack "$deb/control.tar.gz" "$deb/control" .
	pack "$deb/data.tar.gz" "$data" .
	echo 2.0 >"$deb/debian-binary"
	(cd "$deb" && ar_of debian-binary control.tar.gz data.tar.gz) >"$out/papertape_${debian_version}_$arch.deb"
}

# kilobytes DIR is what a package says it takes up, as dpkg-gencontrol counts: a directory is one.
kilobytes() { find "$1" -printf '%y %s\n' | awk '{ sum += $1 == "f" ? int(($2 + 1023) / 1024) : 1 } END { print sum }'; }

# ar_of FILE... prints an archive in the form of deb(5): a line of 60 bytes before each file, which ends at an even byte.
ar_of() {
	local file size
	printf '!<arch>\n'
	for file; do
		size=$(wc -c <"$file")
		printf '%-16s%-12s%-6s%-6s%-8s%-10s`\n' "$file" "$SOURCE_DATE_EPOCH" 0 0 100644 "$((size))"
		cat "$file"
		((size % 2 == 0)) || printf '\n'
	done
}

copyright() {
	printf 'Papertape, https://github.com/papertape/papertape\n\nCopyright %s the Papertape authors\n\n' \
		"$(date -d "@$SOURCE_DATE_EPOCH" +%Y)"
	printf 'License: Apache-2.0; on Debian systems /usr/share/common-licenses/Apache-2.0 has its\ntext. The binary has parts of '
	printf 'others in it; THIRD-PARTY-LICENSES.txt.gz beside this file\nhas their licenses.\n'
}

# debian_changelog VERSION: what changed is in CHANGELOG.md, for every way to install it.
debian_changelog() {
	printf 'papertape (%s) unstable; urgency=medium\n\n  * See CHANGELOG.md.gz.\n\n' "$1"
	printf ' -- %s  %s\n' "$(sed -n 's/^Maintainer: //p' "$parts/control")" "$(date -R -d "@$SOURCE_DATE_EPOCH")"
}

# image saves what docker/build.sh makes of the binary, with all times those of the commit.
image() {
	local tag=papertape:${version//+/-} name=papertape_${version}_linux_$1_image.tar.gz
	(
		cd "$work/source"
		mkdir -p bin
		cp "$work/tree/papertape" bin/papertape
		VERSION=$version docker/build.sh "$tag" >/dev/null
	)
	docker save "$tag" | "$work/release" image --time "$SOURCE_DATE_EPOCH" | gzip -n >"$out/$name"
	docker image rm "$tag" >/dev/null
}

# wants_image says whether the image is made: an engine builds for the processor that it runs on.
wants_image() {
	[[ $IMAGE != no && $1 == "$this_machine" ]] || return 1
	if ! docker info >/dev/null 2>&1; then
		[[ $IMAGE == auto ]] || fail "no container engine answers, and IMAGE=yes asks for the image"
		say "no image: no container engine answers on this machine"
		return 1
	fi
}

say "$version, of commit $commit, with $("$GO" env GOVERSION)"
mkdir "$work/source"
git -C "$root" archive "$commit" | tar --extract --directory "$work/source"
# What a package has besides what is built. A commit of before there were packages is packed with what there is now.
parts=$work/source/packaging
[[ -d $parts ]] || parts=$root/packaging
"$GO" build -C "$root" -trimpath -buildvcs=false -o "$work/release" ./tools/release
common
for platform in $PLATFORMS; do
	os=${platform%/*} arch=${platform#*/}
	name=papertape_${version}_${os}_$arch
	tree "$os" "$arch"
	pack "$out/$name.tar.gz" "$work" --transform "s|^tree|$name|" tree
	if [[ $arch == amd64 || $arch == arm64 ]]; then # which Debian calls so too
		package "$arch"
	fi
	if wants_image "$platform"; then
		image "$arch"
	fi
	say "$platform is done"
done
(cd "$out" && find . -maxdepth 1 -type f ! -name SHA256SUMS -printf '%P\n' | sort | xargs sha256sum >SHA256SUMS)
say "in $out:"
(cd "$out" && ls -l)
