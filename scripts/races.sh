#!/usr/bin/env bash
# In how many runs --chaos finds each of the programs in fixtures/races, which have a
# window between two bytecodes: `pyrr record --until-fail 100 --chaos=1`. Writes the
# table to docs/races.md.
#
# Usage: races.sh PYTHON…    an interpreter that was measured is left out, as long as
#                            the results in the cache are of the same build
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
[ -x bin/pyrr ] || make build
build=$(sha256sum bin/pyrr | cut -c1-12)
state=$(pyrr_cache)/races-$build.tsv
touch "$state"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for python in "$@"; do
  version=$("$python" -c 'import platform; print(platform.python_version())')
  for name in abba abba_close changed_while_walked check_then_act double_close half_made lost_update lost_wakeup made_twice; do
    prog=fixtures/races/$name.py
    grep -q "^$name	$version	" "$state" && continue
    native=0
    for _ in $(seq 20); do "$python" -I -S "$prog" 2>/dev/null || native=$((native + 1)); done
    bin/pyrr record --until-fail 100 --chaos=1 -o "$work/r" --verify=none -- "$python" -I -S "$prog" >"$work/log" 2>&1 || true
    run=$(sed -n 's/^pyrr: run \([0-9]*\) of 100 failed$/\1/p' "$work/log")
    printf '%s\t%s\t%s\t%s\n' "$name" "$version" "$native" "${run:-none of 100}" >>"$state"
    rm -rf "$work/r"
  done
done
{
  echo "# Races"
  echo
  echo "The programs in \`fixtures/races\` have a window between two bytecodes in which another"
  echo "thread makes them fail or hang. How many of 20 native runs did, and in which of at most"
  echo "100 runs \`pyrr record --until-fail 100 --chaos=1\` found it, and kept that one."
  echo
  echo "Written by \`scripts/races.sh\`, build $build."
  echo
  echo "| race | Python | native, of 20 | found in run |"
  echo "|---|---|---:|---:|"
  sort "$state" | awk -F'\t' '{gsub("_", " ", $1); print "| " $1 " | " $2 " | " $3 " | " $4 " |"}'
} >docs/races.md
