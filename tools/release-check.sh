#!/usr/bin/env bash
# What a release promises, tried.
#
#	tools/release-check.sh short     two runs make the same bytes; what is in them. Under 20 s with a warm cache of Go
#	tools/release-check.sh           that of every platform; the binary for arm64 says its version, where qemu-user is; the
#	                                 package is clean where lintian is; and as root on Linux the package of commit OLD is
#	                                 installed in a root of its own, upgraded to this one, removed and purged
#
# What the machine cannot do is said at the end as NOT RUN. OLD is 1e4da10, whose ledger has format 1.
set -euo pipefail
export LC_ALL=C
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
OLD=${OLD:-1e4da10}
export GO=${GO:-go}
skipped=()

say() { printf 'release-check: %s\n' "$*"; }

fail() {
	printf 'release-check: FAILED: %s\n' "$*" >&2
	exit 1
}

# skip WHAT says what this machine cannot do.
skip() { skipped+=("$*"); }

# quietly runs a command, and shows what it said only if it fails.
quietly() {
	local said
	said=$("$@" 2>&1) || {
		printf '%s\n' "$said" >&2
		fail "this failed: $*"
	}
}

case ${1:-all} in
short) PLATFORMS=linux/amd64 IMAGE=no ;;
all) PLATFORMS=${PLATFORMS:-linux/amd64 linux/arm64} IMAGE=${IMAGE:-auto} ;;
*)
	sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0" >&2
	exit 2
	;;
esac
export PLATFORMS IMAGE
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# same_bytes makes the release twice: here, and in a clone in another place, for a user with another umask and time zone.
same_bytes() {
	quietly env OUT="$work/dist" "$root/tools/release.sh"
	quietly git clone --quiet --shared "$root" "$work/a clone"
	(
		umask 077
		quietly env TZ=Asia/Shanghai USER=nobody OUT="$work/again" "$work/a clone/tools/release.sh"
	)
	cmp "$work/dist/SHA256SUMS" "$work/again/SHA256SUMS" || {
		diff "$work/dist/SHA256SUMS" "$work/again/SHA256SUMS" >&2 || true
		fail "two runs on one commit made different files (were tools/ and packaging/ committed?)"
	}
	(cd "$work/again" && quietly sha256sum --strict --check SHA256SUMS)
	say "two runs made the same $(wc -l <"$work/dist/SHA256SUMS") files"
}

# versions checks what tags make of the version, in the clone, and that dpkg takes a later one for the newer one.
versions() {
	local clone="$work/a clone" release="$work/a clone/tools/release.sh" short before
	short=$(git -C "$clone" rev-parse --short=7 HEAD)
	before=$(version_of "$(archive linux amd64)")
	[[ $before =~ ^0\.0\.0\+[0-9]{14}\.g$short$ || -n $(git -C "$clone" tag --list 'v[0-9]*') ]] ||
		fail "without a tag the version is $before"
	is_version() { [[ $("$release" version HEAD) == "$1" ]] || fail "the version is $("$release" version HEAD), and should be $1"; }
	git -C "$clone" tag v70.1.0 HEAD~1
	is_version "70.1.0+$(git -C "$clone" rev-list --count HEAD ^HEAD~1).g$short"
	git -C "$clone" tag v70.2.0-rc1
	is_version 70.2.0-rc1
	[[ $("$release" version HEAD~1) == 70.1.0 ]] || fail "the commit before has another version than its tag"
	if command -v dpkg >/dev/null; then
		dpkg --compare-versions "$before" lt 70.1.0 && dpkg --compare-versions 70.1.0 lt "70.1.0+1.g$short" &&
			dpkg --compare-versions "70.1.0+1.g$short" lt 70.2.0~rc1 && dpkg --compare-versions 70.2.0~rc1 lt 70.2.0 ||
			fail "dpkg takes a later version for an older one"
	fi
	if "$release" version nowhere 2>/dev/null; then
		fail "a release was made of a commit that there is not"
	fi
	say "tags make the version"
}

# archive OS ARCH prints the path of an archive.
archive() { printf '%s\n' "$work"/dist/papertape_*_"$1_$2".tar.gz; }

# version_of ARCHIVE prints the version of a release by the name of its archive.
version_of() { sed -E 's|.*/papertape_(.*)_[a-z0-9]+_[a-z0-9]+\.tar\.gz|\1|' <<<"$1"; }

# binaries checks that each archive has a static binary for its platform, of this version, with what it is made of.
binaries() {
	local platform os arch file version dir info modules components
	for platform in $PLATFORMS; do
		os=${platform%/*} arch=${platform#*/}
		file=$(archive "$os" "$arch")
		version=$(version_of "$file")
		dir=$work/unpacked/papertape_${version}_${os}_$arch
		mkdir -p "$work/unpacked"
		tar --extract --file "$file" --directory "$work/unpacked"
		info=$("$GO" version -m "$dir/papertape")
		for setting in CGO_ENABLED=0 "GOOS=$os" "GOARCH=$arch" -trimpath=true; do
			grep -q "build.$setting\$" <<<"$info" || fail "$platform: the binary was not built with $setting"
		done
		modules=$(grep -c '^.dep' <<<"$info")
		components=$(grep -c '"type": "library"' "$work/dist/papertape_${version}_${os}_$arch.cdx.json")
		((components == modules + 1)) || fail "$platform: $modules modules, but $components parts in the SBOM; Go's library is one"
		grep -q "\"$(sha256sum "$dir/papertape" | cut -d ' ' -f 1)\"" "$work/dist/papertape_${version}_${os}_$arch.cdx.json" ||
			fail "$platform: the SBOM is of another binary"
		(($(grep -c '^==== .* (.*)$' "$dir/THIRD-PARTY-LICENSES.txt") == components)) ||
			fail "$platform: not every part has its license in THIRD-PARTY-LICENSES.txt"
		runs "$platform" "$dir/papertape" "$version"
	done
	[[ -s $work/dist/release-notes.md ]] || fail "there are no release notes"
	say "each archive has its static binary, its $components parts named and licensed"
}

# runs PLATFORM BINARY VERSION has the binary say its version where this machine, or qemu, can run it.
runs() {
	local emulator=
	if [[ $1 != "$("$GO" env GOHOSTOS)/$("$GO" env GOHOSTARCH)" ]]; then
		[[ $1 != linux/arm64 ]] || emulator=$(command -v qemu-aarch64-static || command -v qemu-aarch64 || true)
		if [[ -z $emulator ]]; then
			skip "running the binary for $1: there is no qemu-user for it"
			return
		fi
	fi
	[[ $($emulator "$2" version) == "papertape $3 "* ]] || fail "$1: the binary does not say that it is $3"
	say "$1: it says its version"
}

# packages checks what is in the packages, as dpkg sees them.
packages() {
	local arch deb dir
	if ! command -v dpkg-deb >/dev/null; then
		skip "the contents of the packages: there is no dpkg-deb"
		return
	fi
	for deb in "$work"/dist/*.deb; do
		arch=${deb##*_} arch=${arch%.deb}
		[[ $(dpkg-deb --field "$deb" Architecture) == "$arch" ]] || fail "$deb is for another architecture"
		dir=$work/package-$arch
		dpkg-deb --raw-extract "$deb" "$dir"
		cmp "$dir/usr/bin/papertape" "$work"/unpacked/papertape_*_linux_"$arch"/papertape || fail "$deb has another binary"
		[[ $(<"$dir/DEBIAN/conffiles") == /etc/papertape/papertape.yaml ]] || fail "$deb: the configuration is no conffile"
		grep -q '^ExecStart=/usr/bin/papertape serve --config /etc/papertape/papertape.yaml' \
			"$dir/usr/lib/systemd/system/papertape.service" || fail "$deb: the unit starts something else"
		(cd "$dir" && quietly md5sum --strict --check DEBIAN/md5sums)
		[[ -z $(dpkg-deb --contents "$deb" | awk '$2 != "root/root" || $1 ~ /^.....w|^........w/') ]] ||
			fail "$deb has files that are not root's alone to write"
		for file in usr/share/man/man1/papertape-serve.1.gz usr/share/bash-completion/completions/papertape \
			usr/share/zsh/vendor-completions/_papertape usr/share/fish/vendor_completions.d/papertape.fish \
			usr/share/doc/papertape/{copyright,changelog.gz,THIRD-PARTY-LICENSES.txt.gz,examples/papertape.yaml,docs/operations.md}; do
			[[ -s $dir/$file ]] || fail "$deb has no $file"
		done
	done
	"$work"/unpacked/papertape_*_linux_amd64/papertape config check "$root/packaging/papertape.yaml" >/dev/null ||
		fail "serve would not take the configuration of the package"
	say "the packages have what they should"
}

clean() {
	if ! command -v lintian >/dev/null; then
		skip "lintian"
		return
	fi
	# Not of Debian's archive: no bug of its tracker is closed by this version.
	lintian --fail-on error,warning --suppress-tags initial-upload-closes-no-bugs "$work"/dist/*.deb || fail "lintian complains"
	say "lintian has no complaint"
}

# upgrade tries the packages in a root that is this machine's, but for what is written to it, which is in memory.
upgrade() {
	if ((EUID != 0)) || ! command -v dpkg >/dev/null || ! unshare --mount --net --pid --fork true 2>/dev/null; then
		skip "the upgrade: it takes root, dpkg, and a kernel that lets it have a root of its own"
		return
	fi
	if ! git -C "$root" rev-parse --verify --quiet "$OLD^{commit}" >/dev/null; then
		skip "the upgrade: this clone does not go back to $OLD"
		return
	fi
	say "the package of $OLD is made"
	quietly env OUT="$work/old" PLATFORMS=linux/amd64 IMAGE=no "$root/tools/release.sh" "$OLD"
	unshare --mount --net --pid --fork --kill-child bash -euc '
		mount --make-rprivate /
		mount -t tmpfs -o size=2g tmpfs "$1"
		mkdir "$1"/{upper,work,root}
		mount -t overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" overlay "$1/root"
		cd "$1/root"
		mount -t proc proc proc
		mount --bind /dev dev
		mount -t tmpfs tmpfs run
		mount -t tmpfs tmpfs tmp
		ip link set lo up
		cp "$2" tmp/upgrade.sh
		cp "$3" tmp/old.deb
		cp "$4" tmp/new.deb
		exec chroot . /bin/bash /tmp/upgrade.sh /tmp/old.deb /tmp/new.deb
	' release-check "$(mktemp -d "$work/root.XXXX")" "$root/tools/release-upgrade.sh" "$work"/old/*_amd64.deb \
		"$work"/dist/*_amd64.deb || fail "the upgrade"
}

same_bytes
versions
binaries
packages
if [[ ${1:-all} == all ]]; then
	clean
	upgrade
fi
for what in "${skipped[@]}"; do
	say "NOT RUN on this machine: $what"
done
say "everything else held, in $SECONDS s"
