#!/usr/bin/env bash
# Runs the command again, each time with another schedule of threads, until it fails
# or hangs once more: whether chance decides, and which seed brings it back. Of pytest
# only the tests that failed before run, where it remembers them.
#
#   PYRR_RUN, PYRR_TIMEOUT, PYRR_REDACT, PYRR_SECRET_NAMES, PYRR_SECRETS   as for record.sh
#   PYRR_RERUN        how often at most
#   PYRR_RECORDINGS   where the recordings are; what is kept is put there
set -uo pipefail
. "$(dirname "$0")/lib.sh"

case ${PYRR_RERUN:-0} in
*[!0-9]* | "") fail "rerun: $PYRR_RERUN is not a number" ;;
esac
most=$PYRR_RERUN
[ "$most" -gt 0 ] || exit 0
folder=${PYRR_RECORDINGS:?}
record_flags
[ -z "$masks" ] || trap 'rm -f "$masks"' EXIT
run=${PYRR_RUN:?}
unset PYRR_RUN PYRR_TIMEOUT PYRR_REDACT PYRR_SECRET_NAMES PYRR_SECRETS PYRR_RERUN PYRR_RECORDINGS
if [ -s .pytest_cache/v/cache/lastfailed ]; then
  export PYTEST_ADDOPTS="${PYTEST_ADDOPTS:-} --lf"
fi
for ((seed = 1; seed <= most; seed++)); do
  echo "pyrr: run $seed of $most, --chaos=$seed"
  supervise pyrr record "${flags[@]}" --keep failure --chaos="$seed" -o "$folder" -- bash -e -o pipefail -c "$run"
  case $status in
  0) ;;
  125) fail "it could not be recorded again" ;;
  *)
    output result failed
    output says "It failed again in run $seed of $most, with --chaos=$seed."
    exit 0
    ;;
  esac
done
output result passed
output says "It passed in $most more runs, each with another schedule of threads."
