#!/usr/bin/env bash
# Runs the command's tests as the user nobody: no root, no capability. The test
# binaries are built first, for nobody has no build cache and needs none.
#
# Usage: as-nobody.sh [PACKAGE]...    default: ./cmd/pyrr
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

[ "$(id -u)" = 0 ] || { say "needs root, to become nobody"; exit 1; }
[ $# -gt 0 ] || set -- ./cmd/pyrr
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
mkdir "$work/home" && chown nobody "$work/home"
for package in "$@"; do
  go test -c -o "$work/test.bin" "$package"
  if ! setpriv --reuid nobody --regid nogroup --clear-groups test -r "$package"; then
    say "skip $package as nobody: it can't read $PWD"
    continue
  fi
  say "$package as nobody"
  (cd "$package" && env -i PATH=/usr/local/bin:/usr/bin:/bin HOME="$work/home" TMPDIR="$work/home" LANG=C.UTF-8 CI="${CI:-}" \
    PYRR_CACHE="${PYRR_CACHE:-}" setpriv --reuid nobody --regid nogroup --clear-groups --no-new-privs --inh-caps=-all \
    "$work/test.bin" -test.timeout 10m -test.short)
done
