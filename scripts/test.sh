#!/usr/bin/env bash
# Sets up what the tests need, and passes them. Each step says when it begins; of the
# packages each prints a line as it ends, and every half minute one says what is running.
#
# PYRR_CALL_BUFFER=off (or prctl) passes them as on kernels before 5.11 (6.4), where each call
# of a recorded program stops.
# PYRR_TEST_FLAGS are further flags for go test, such as -run or -v.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

# As `make build` compiles: what that, go vet and the tests need is compiled once, and a
# clone in another folder has it from the build cache. With cgo net is another package, and
# so is all that imports it.
export GOFLAGS="${GOFLAGS:+$GOFLAGS }-trimpath" CGO_ENABLED=0
export PYRR_CACHE
PYRR_CACHE=$(pyrr_cache)
if [ -n "${PYRR_CALL_BUFFER:-}" ]; then
  CGO_ENABLED=0 go build -ldflags "-E pyrr_entry -X pyrr/capture.built=$PYRR_CALL_BUFFER" -o bin/pyrr ./cmd/pyrr
  GOFLAGS="$GOFLAGS '-ldflags=-X pyrr/capture.built=$PYRR_CALL_BUFFER'"
fi
begun=$SECONDS
step() { say "$((SECONDS - begun)) s: $*"; "$@"; }
background() { say "$((SECONDS - begun)) s: $*, in the background"; "$@" & }

# Set-up waits for the network most of the time: what needs nothing of it runs beside it.
background scripts/setup.sh --tools
setup=$!
background scripts/interpreters.sh
interpreters=$!
trap 'kill $setup $interpreters ${fuzz:-} ${guests:-} 2>/dev/null || true' EXIT
step go vet ./...
# It takes the processor time that others leave, until the end.
background nice scripts/fuzz.sh 3000x
fuzz=$!
step wait $setup
# Two guests with other processors, emulated on one thread: a minute of processor time,
# most of it while programs under test wait. Without qemu or a kernel it says so and ends.
PYRR=bin/pyrr background nice scripts/elsewhere.sh short
guests=$!
# Once as an ordinary user, where this is root: recording needs no privilege.
if [ "$(id -u)" = 0 ]; then
  step scripts/as-nobody.sh
fi
step wait $interpreters
scripts/interpreters.sh list | awk '{ printf "  %-14s %s\n", $1, $2 }' >&2
scripts/interpreters.sh absent | sed 's/^/  absent: /' >&2
go build -o bin/progress ./internal/progress
# Programs under test wait for time-outs and for each other for a good part of the time,
# so on two cores three packages at once, and of each four tests, keep them at work. A
# machine that others load takes several times as long: what hangs is ended long before.
# The longest packages begin first: the last of many short ones leaves nobody alone.
export PYRR_BINARY=$PWD/bin/pyrr
step go test -json -vet=off -timeout 3h -p 3 -parallel 4 ${PYRR_TEST_FLAGS:-} ./fixtures ./cmd/pyrr ./... | bin/progress
step wait $fuzz
step wait $guests
trap - EXIT
say "$((SECONDS - begun)) s: passed"
