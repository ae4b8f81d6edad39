#!/usr/bin/env bash
# Passes the tests. What `go test` prints comes last.
#
# PYRR_TEST_FLAGS are further flags for go test, such as -run or -v.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

export PYRR_CACHE
PYRR_CACHE=$(pyrr_cache)
step() { say "$*"; "$@"; }

step go vet ./...
# Once as an ordinary user, where this is root: recording needs no privilege.
if [ "$(id -u)" = 0 ]; then
  step scripts/as-nobody.sh
fi
step scripts/fuzz.sh 3000x
# The tests are about time-outs and schedules: two packages at once on two cores
# are as many as leave a program under test a core of its own.
step go test -timeout 25m -p 2 ${PYRR_TEST_FLAGS:-} ./...
