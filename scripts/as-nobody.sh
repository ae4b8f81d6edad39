#!/usr/bin/env bash
# Records and replays every fixture once as the user nobody: no root, no
# capability. What that needs is built first, for nobody has no build cache.
#
# Usage: as-nobody.sh [INTERPRETER]    default: deb311
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

[ "$(id -u)" = 0 ] || { say "needs root, to become nobody"; exit 1; }
as_nobody=(setpriv --reuid nobody --regid nogroup --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all)
"${as_nobody[@]}" test -r fixtures/README.md || { say "skip: nobody can't read $PWD"; exit 0; }
# Short: sockets below it have paths of at most 107 bytes.
work=$(mktemp -d /tmp/pyrr-n-XXXX)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
mkdir "$work/h" && chown nobody "$work/h"
CGO_ENABLED=0 go build -trimpath -o "$work/pyrr" ./cmd/pyrr
go build -o "$work/conformance" ./internal/conformance/run
env -i PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin HOME="$work/h" TMPDIR="$work/h" LANG=C.UTF-8 PYRR_CACHE="$(pyrr_cache)" \
  "${as_nobody[@]}" "$work/conformance" soak --pyrr "$work/pyrr" --only "${1:-deb311}/" --pairs 0 --jobs $(($(nproc) + 1))
