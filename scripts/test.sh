#!/usr/bin/env bash
# Sets up what the tests need, and passes them. What needs no other interpreter
# runs while those are made. The packages come last; each prints a line as it
# ends, and every half minute one says what is running.
#
# PYRR_TEST_FLAGS are further flags for go test, such as -run or -v.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

export PYRR_CACHE
PYRR_CACHE=$(pyrr_cache)
begun=$SECONDS
step() { say "$((SECONDS - begun)) s: $*"; "$@"; }

step scripts/setup.sh --tools
say "in the background: scripts/interpreters.sh"
scripts/interpreters.sh &
interpreters=$!
trap 'kill $interpreters 2>/dev/null || true' EXIT
step go vet ./...
# Once as an ordinary user, where this is root: recording needs no privilege.
if [ "$(id -u)" = 0 ]; then
  step scripts/as-nobody.sh
fi
step scripts/fuzz.sh 3000x
step wait $interpreters
trap - EXIT
scripts/interpreters.sh list | awk '{ printf "  %-14s %s\n", $1, $2 }' >&2
scripts/interpreters.sh absent | sed 's/^/  absent: /' >&2
# The tests are about time-outs and schedules: two packages at once on two cores
# are as many as leave a program under test a core of its own.
go build -o bin/progress ./internal/progress
step go test -json -timeout 35m -p 2 ${PYRR_TEST_FLAGS:-} ./... | bin/progress
say "$((SECONDS - begun)) s: passed"
