#!/usr/bin/env bash
# Fuzzes every reader a little. Usage: fuzz.sh [AMOUNT]
#
# AMOUNT is one of `go test -fuzztime`: 2000x inputs (the default), or a time such
# as 10m. Counts are for CI: a time that runs out while the machine is busy is
# reported as a failure by the fuzzer itself ("context deadline exceeded").
set -euo pipefail
cd "$(dirname "$0")/.."
amount=${1:-2000x}
grep -rlE '^func Fuzz' --include='*_test.go' . | sort | while read -r file; do
  sed -nE 's/^func (Fuzz[A-Za-z0-9_]+)\(.*/\1/p' "$file" | while read -r name; do
    echo "fuzz $name in $(dirname "$file") for $amount" >&2
    # One worker: the machine has other things to do, and the inputs are few anyway.
    go test -run '^$' -fuzz "^$name\$" -fuzztime "$amount" -parallel 1 "./$(dirname "$file")" </dev/null
  done
done
