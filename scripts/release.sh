#!/usr/bin/env bash
# Makes a release: the packages (scripts/packages/build.sh), a bill of materials,
# the Homebrew formula, a statement of where all that comes from, and the checksums
# of everything. The same commit and the same Go give the same bytes, so that
# whoever doubts a release makes it again.
#
# Usage: release.sh VERSION [FOLDER]            (FOLDER: dist)
#        release.sh --check VERSION FOLDER      makes it again elsewhere, and compares
#
#   PYRR_BUILDER   who builds, an address; for the statement (default: local)
set -euo pipefail
cd "$(dirname "$0")/.."

say() { echo "release.sh: $*" >&2; }

if [ "${1-}" = --check ]; then
  version=${2:?the version is missing} folder=${3:?the folder is missing}
  again=$(mktemp -d)
  trap 'rm -rf "$again"' EXIT
  scripts/release.sh "$version" "$again" >/dev/null
  # Who built it is all that may differ.
  if diff <(grep -v provenance "$folder/SHA256SUMS") <(grep -v provenance "$again/SHA256SUMS") &&
    (cd "$folder" && sha256sum --quiet --check SHA256SUMS); then
    say "$folder holds what this source makes"
    exit
  fi
  say "$folder is not what this source makes: see above"
  exit 1
fi

version=${1:?the version is missing}
out=${2:-dist}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 315532800)}
export SOURCE_DATE_EPOCH LC_ALL=C TZ=UTC
umask 022
mkdir -p "$out"
rm -f "$out"/pyrr[-_]* "$out"/SHA256SUMS "$out"/pyrr.rb
scripts/packages/build.sh "$version" "$out" >/dev/null
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
archive=pyrr-$version-linux-amd64.tar.gz
tar -xzf "$out/$archive" -C "$work" pyrr

# What the binary is made of, read from the binary (CycloneDX 1.6).
GOFLAGS=-mod=mod ${GO:-go} run github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.9.0 \
  bin -json -std -noserial -version "v$version" -output "$work/sbom.json" "$work/pyrr" 2>/dev/null ||
  { say "no bill of materials: cyclonedx-gomod can't be had"; exit 1; }

module=$(scripts/module.sh)
commit=$(git rev-parse HEAD 2>/dev/null || echo unknown)
go=$(${GO:-go} env GOVERSION)
MODULE=$module COMMIT=$commit GO_VERSION=$go VERSION=$version python3 scripts/packages/statement.py "$out" "$work/sbom.json"
(cd "$out" && sha256sum pyrr* | sort -k2 >SHA256SUMS)
cat "$out/SHA256SUMS"
