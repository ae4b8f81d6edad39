#!/usr/bin/env bash
# Puts a verified pyrr on the PATH of the job's further steps: a release's
# binary, held against its checksum, or one built from the action's own source.
#
#   PYRR_BINARY      a pyrr that is there already; nothing is downloaded then
#   PYRR_VERSION     a release (1.2.3 or v1.2.3), "source", or empty: the release
#                    that the action was referred to by, else its source
#   PYRR_CHECKSUM    the SHA-256 that the release's archive must have; empty for
#                    the one in the release's SHA256SUMS
#   PYRR_ACTION_REF, PYRR_ACTION_REPOSITORY   how the action was referred to
#   GITHUB_*, RUNNER_*  as the runner sets them
set -euo pipefail
. "$(dirname "$0")/lib.sh"

if [ -n "${PYRR_BINARY:-}" ]; then
  [ -x "$PYRR_BINARY" ] || fail "binary: $PYRR_BINARY is not a program"
  if [ -n "${PYRR_CHECKSUM:-}" ]; then
    echo "$PYRR_CHECKSUM  $PYRR_BINARY" | sha256sum --check --status || fail "binary: $PYRR_BINARY is not what it should be: its SHA-256 is not $PYRR_CHECKSUM"
  fi
  bin=${RUNNER_TEMP:?}/pyrr-bin
  mkdir -p "$bin"
  cp "$PYRR_BINARY" "$bin/pyrr"
  "$bin/pyrr" version
  echo "$bin" >>"$GITHUB_PATH"
  output bin "$bin/pyrr"
  exit
fi
version=${PYRR_VERSION:-}
if [ -z "$version" ]; then
  case ${PYRR_ACTION_REF:-} in
  v[0-9]*.*.*) version=$PYRR_ACTION_REF ;;
  *) version=source ;;
  esac
fi
version=${version#v}
case $version in
source | [0-9]*.[0-9]*.[0-9]*) ;;
*) fail "version: $version is neither a release such as 1.2.3 nor source" ;;
esac
case $version in *[!A-Za-z0-9.+-]*) fail "version: $version holds characters that no version has" ;; esac
[ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] || fail "pyrr records on Linux on x86-64 only; this runner is $(uname -s) on $(uname -m)"

# fetch_release DIR: the release's archive, verified and unpacked into DIR.
fetch_release() {
  local base=${GITHUB_SERVER_URL:?}/${PYRR_ACTION_REPOSITORY:?}/releases/download/v$version
  local archive=pyrr-$version-linux-amd64.tar.gz work sum
  work=$(mktemp -d "${RUNNER_TEMP:?}/pyrr-download.XXXXXX")
  download "$base/$archive" "$work/$archive" || fail "release $version can't be downloaded"
  sum=${PYRR_CHECKSUM:-}
  if [ -z "$sum" ]; then
    download "$base/SHA256SUMS" "$work/SHA256SUMS" || fail "the checksums of release $version can't be downloaded"
    sum=$(awk -v f="$archive" '$2 == f || $2 == "*" f { print $1 }' "$work/SHA256SUMS")
    [ -n "$sum" ] || fail "SHA256SUMS of release $version does not name $archive"
  fi
  echo "$sum  $work/$archive" | sha256sum --check --status || fail "$archive is not what it should be: its SHA-256 is $(sha256sum <"$work/$archive" | cut -d' ' -f1), not $sum"
  tar -xzf "$work/$archive" -C "$1" --no-same-owner pyrr
  rm -rf "$work"
}

download() { curl --fail --silent --show-error --location --retry 3 --retry-delay 1 --output "$2" "$1"; }

if [ "$version" = source ]; then
  command -v go >/dev/null || fail "there is no Go to build pyrr with; name a release in version"
  bin=${RUNNER_TEMP:?}/pyrr-bin
  mkdir -p "$bin"
  (cd "${GITHUB_ACTION_PATH:?}" && CGO_ENABLED=0 go build -trimpath -ldflags "-E pyrr_entry" -o "$bin/pyrr" ./cmd/pyrr)
else
  # The layout of a runner's tool cache: TOOL/VERSION/ARCH, and a file beside
  # it once it is complete. What was put there with a checksum is held
  # against it again.
  bin=${RUNNER_TOOL_CACHE:-${RUNNER_TEMP:?}/pyrr-tools}/pyrr/$version/x64
  if ! { [ -e "$bin.complete" ] && (cd "$bin" && sha256sum --check --status pyrr.sha256); }; then
    rm -rf "$bin" "$bin.complete"
    mkdir -p "$bin"
    fetch_release "$bin"
    (cd "$bin" && sha256sum pyrr >pyrr.sha256)
    touch "$bin.complete"
  fi
fi
"$bin/pyrr" version
echo "$bin" >>"$GITHUB_PATH"
output bin "$bin/pyrr"
