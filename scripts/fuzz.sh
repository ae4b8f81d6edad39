#!/usr/bin/env bash
# Fuzzes every reader a little. Usage: fuzz.sh [AMOUNT]
#
# AMOUNT is one of `go test -fuzztime`: 2000x inputs (the default), or a time such
# as 10m. Counts are for CI: a time that runs out while the machine is busy is
# reported as a failure by the fuzzer itself ("context deadline exceeded").
set -euo pipefail
cd "$(dirname "$0")/.."
amount=${1:-2000x}
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
cache=$(go env GOCACHE)/fuzz
# What guides the fuzzer is instrumented: this repository, its modules, and the readers of
# the standard library. The -fuzz of go test -c would compile all of that library a second time,
# two minutes of processor time.
guide=(-gcflags=all=-d=libfuzzer -gcflags=std=)
for reader in archive/zip debug/dwarf debug/elf encoding/json; do
  guide+=("-gcflags=$reader=-d=libfuzzer")
done
grep -rlE '^func Fuzz' --include='*_test.go' . | xargs -n 1 dirname | sort -u | while read -r dir; do
  # Each package is built once, for all that it fuzzes.
  CGO_ENABLED=0 go test -c -vet=off "${guide[@]}" -ldflags='-s -w' -o "$bin/test" "$dir" </dev/null
  cat "$dir"/*_test.go | sed -nE 's/^func (Fuzz[A-Za-z0-9_]+)\(.*/\1/p' | while read -r name; do
    echo "fuzz $name in $dir for $amount" >&2
    # One worker: the machine has other things to do, and the inputs are few anyway.
    (cd "$dir" && "$bin/test" -test.run '^$' -test.fuzz "^$name\$" -test.fuzztime "$amount" -test.parallel 1 \
      -test.fuzzcachedir "$cache/$(go list .)" </dev/null)
  done
done
