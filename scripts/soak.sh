#!/usr/bin/env bash
# Records and replays the fixtures under every interpreter, in a loop, with
# memory checksums, a third with --chaos, and writes the count to
# docs/conformance.md, with the build that it is of.
#
# Usage: soak.sh [PAIRS [FLAG…]]    default: 1000
#
# Flags are those of internal/conformance/run: --chaos has it in every pair, --only NAME
# takes some of the fixtures or interpreters.
# An interrupted run goes on where it was, as long as bin/pyrr is the same.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
[ -x bin/pyrr ] || make build
state=$(pyrr_cache)/soak-$(sha256sum bin/pyrr | cut -c1-12).tsv
say "interim results in $state"
build=$(git describe --always --exclude '*' 2>/dev/null) || build=$(sha256sum bin/pyrr | cut -c1-12)
go run ./internal/conformance/run soak --pairs "${1:-1000}" --record-flags=--verify=full --state "$state" --build "$build" --keep "${@:2}"
