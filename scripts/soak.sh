#!/usr/bin/env bash
# Records and replays the fixtures under every interpreter, in a loop, with
# memory checksums, and writes the count to docs/conformance.md.
#
# Usage: soak.sh [PAIRS]    default: 1000
set -euo pipefail
cd "$(dirname "$0")/.."
[ -x bin/pyrr ] || make build
go run ./internal/conformance/run soak --pairs "${1:-1000}" --record-flags=--verify=full --keep
