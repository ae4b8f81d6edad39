#!/usr/bin/env bash
# Fuzzes every reader for a short time each. Usage: fuzz.sh [TIME]   default: 5s
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-5s}
grep -rlE '^func Fuzz' --include='*_test.go' . | sort | while read -r file; do
  sed -nE 's/^func (Fuzz[A-Za-z0-9_]+)\(.*/\1/p' "$file" | while read -r name; do
    echo "fuzz $name in $(dirname "$file") for $time" >&2
    # One worker: the machine has other things to do, and the time is short anyway.
    go test -run '^$' -fuzz "^$name\$" -fuzztime "$time" -parallel 1 "./$(dirname "$file")" </dev/null
  done
done
