#!/usr/bin/env bash
# CPython's own regression tests under record and replay, file by file; writes
# docs/conformance.md and the results that it is made from.
#
# Usage: conformance.sh [--failed]     --failed: only what was not good the last time
#
# An interrupted run goes on where it was, as long as bin/pyrr is the same.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

apt_install libpython3.11-testsuite
[ -x bin/pyrr ] || make build
what=--all
[ "${1:-}" = --failed ] && what=--failed
state=$(pyrr_cache)/conformance$what-$(sha256sum bin/pyrr | cut -c1-12).tsv
say "interim results in $state"
go run ./internal/conformance/run corpus $what --keep --state "$state"
