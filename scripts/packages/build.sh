#!/usr/bin/env bash
# Builds what a release consists of: an archive, a Debian package, a wheel, and
# their checksums. The same commit gives the same bytes: no time but that of
# the commit (SOURCE_DATE_EPOCH) goes into them.
#
# Usage: scripts/packages/build.sh VERSION [FOLDER]     (FOLDER: dist)
# With PYRR_PACK_FAST it compresses little, for tests of all the rest.
# PYRR_READERS names the platforms whose wheels hold a pyrr that reads recordings and
# makes none; by default all that it builds for, and with PYRR_PACK_FAST none.
set -euo pipefail
cd "$(dirname "$0")/../.."
version=${1:?the version is missing}
out=${2:-dist}
case $version in
[0-9]*.[0-9]*.[0-9]*) ;;
*) echo "packages: $version is no version such as 1.2.3" >&2 && exit 2 ;;
esac
gzip=9 xz=6
readers="linux/arm64 darwin/arm64 darwin/amd64 windows/amd64"
[ -z "${PYRR_PACK_FAST-}" ] || gzip=1 xz=0 readers=
readers=${PYRR_READERS-$readers}
mkdir -p "$out"
out=$(cd "$out" && pwd)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 315532800)}
export SOURCE_DATE_EPOCH LC_ALL=C TZ=UTC
umask 022
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

compile() { # GOOS/GOARCH FILE
  local entry=
  # A binary that records has its own entry, for limits under which Go does not start.
  [ "$1" != linux/amd64 ] || entry="-E pyrr_entry"
  CGO_ENABLED=0 GOOS=${1%/*} GOARCH=${1#*/} GOAMD64=v1 ${GO:-go} build -trimpath -buildvcs=false \
    -ldflags "-s -w -buildid= $entry -X main.version=v$version" -o "$2" ./cmd/pyrr
}
compile linux/amd64 "$work/pyrr"

# The archive: the binary, what completes it, and what to read.
mkdir -p "$work/archive/completions" "$work/archive/docs"
cp "$work/pyrr" README.md LICENSE "$work/archive/"
cp docs/*.md "$work/archive/docs/"
for shell in bash zsh fish; do
  "$work/pyrr" completion $shell >"$work/archive/completions/pyrr.$shell"
done
tar -C "$work/archive" --sort=name --format=ustar --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner -cf - pyrr completions docs LICENSE README.md |
  gzip -${gzip}n >"$out/pyrr-$version-linux-amd64.tar.gz"

# The Debian package. A pre-release is older than its release.
debian=$(printf '%s' "$version" | sed -E 's/\.?(dev|a|b|rc)/~\1/')
root=$work/deb
install -D -m 755 "$work/pyrr" "$root/usr/bin/pyrr"
install -D -m 644 "$work/archive/completions/pyrr.bash" "$root/usr/share/bash-completion/completions/pyrr"
install -D -m 644 "$work/archive/completions/pyrr.zsh" "$root/usr/share/zsh/vendor-completions/_pyrr"
install -D -m 644 "$work/archive/completions/pyrr.fish" "$root/usr/share/fish/vendor_completions.d/pyrr.fish"
install -D -m 644 LICENSE "$root/usr/share/doc/pyrr/copyright"
install -m 644 README.md docs/*.md "$root/usr/share/doc/pyrr/"
mkdir "$root/DEBIAN"
cat >"$root/DEBIAN/control" <<CONTROL
Package: pyrr
Version: $debian
Architecture: amd64
Maintainer: The pyrr authors <pyrr@localhost>
Installed-Size: $(du -k --apparent-size -s "$root/usr" | cut -f1)
Section: devel
Priority: optional
Suggests: python3
Description: record and replay of Python programs
 pyrr records a run of a Python program and replays it exactly, as often as
 wanted: the same instructions, threads, answers and failures. It needs no
 special kernel, no privilege and no change to the program.
CONTROL
(cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group -Zxz -z$xz --build "$root" "$out/pyrr_${debian}_amd64.deb" >/dev/null

python3 scripts/packages/wheel.py "$version" "$work/pyrr" "$out"
for platform in $readers; do
  compile "$platform" "$work/reader"
  python3 scripts/packages/wheel.py "$version" "$work/reader" "$out" "$platform"
done
(cd "$out" && sha256sum ./pyrr*"$version"* ./pyrr_"$debian"* | sed 's| \./| |' | sort -uk2 >SHA256SUMS)
cat "$out/SHA256SUMS"
