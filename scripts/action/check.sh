#!/usr/bin/env bash
# Holds specs, if there are any, against the recordings.
#
#   PYRR_SPECS   the folder; empty for specs, if it is there
set -uo pipefail
. "$(dirname "$0")/lib.sh"

specs=${PYRR_SPECS:-}
if [ -z "$specs" ]; then
  if [ ! -d specs ] || [ -z "$(find specs -name '*.yaml' -print -quit)" ]; then
    output status 0
    exit 0
  fi
  specs=specs
elif [ ! -e "$specs" ]; then
  fail "specs: there is no $specs"
fi
junit=${RUNNER_TEMP:?}/pyrr-junit.xml
status=0
pyrr check --junitxml "$junit" "$specs" || status=$?
failed=0
if [ -e "$junit" ]; then
  # The numbers of the outermost element, which comes first.
  failed=$(sed -n 's/.*<testsuites[^>]* failures="\([0-9]*\)".*/\1/p' "$junit" | head -n 1)
  output junit "$junit"
fi
# Nothing to check is not a failure of the job.
[ "$status" != 5 ] || status=0
output status "$status"
output failed "${failed:-0}"
exit 0
