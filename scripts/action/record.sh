#!/usr/bin/env bash
# Runs the user's command under pyrr record and notes how it ended. It succeeds
# itself, so that what was recorded is looked at and uploaded before the job
# fails (result.sh).
#
#   PYRR_RUN, PYRR_TIMEOUT, PYRR_KEEP, PYRR_REDACT   the action's inputs
#   PYRR_SECRET_NAMES   names of variables, apart by blanks or commas
#   PYRR_SECRETS        values, one a line, or lines ::add-mask::VALUE
set -uo pipefail
. "$(dirname "$0")/lib.sh"

folder=${RUNNER_TEMP:?}/pyrr-recordings
rm -rf "$folder"
mkdir -p "$folder"
flags=(--keep "${PYRR_KEEP:-failure}" --redact "${PYRR_REDACT:-always}" -o "$folder")
[ -z "${PYRR_TIMEOUT:-}" ] || flags+=(--timeout "$PYRR_TIMEOUT")
for name in ${PYRR_SECRET_NAMES//,/ }; do
  flags+=(--secret "$name")
done
if [ -n "${PYRR_SECRETS:-}" ]; then
  masks=$(umask 077 && mktemp "$RUNNER_TEMP/pyrr-masks.XXXXXX")
  trap 'rm -f "$masks"' EXIT
  printf '%s\n' "$PYRR_SECRETS" >"$masks"
  flags+=(--masks "$masks")
fi
run=${PYRR_RUN:?}
# Neither the settings of the action nor the secrets are the program's concern.
unset PYRR_RUN PYRR_TIMEOUT PYRR_KEEP PYRR_REDACT PYRR_SECRET_NAMES PYRR_SECRETS

status=0
# A job that is cancelled, or reaches its limit, gets SIGINT, after some seconds
# SIGTERM, and after some more it is killed. pyrr gets SIGTERM at once, so that
# it has the time to keep the test that runs.
set -m # else the command would ignore SIGINT
pyrr record "${flags[@]}" -- bash -e -o pipefail -c "$run" <&0 &
pid=$!
trap 'kill -TERM "$pid" 2>/dev/null' INT TERM
wait "$pid" || status=$?
while kill -0 "$pid" 2>/dev/null; do # it was only the signal that ended the wait
  status=0
  wait "$pid" || status=$?
done
set +m
case $status in
0) result=passed ;;
124) result=timeout ;;
125) result=error ;; # pyrr itself
*) result=failed ;;
esac
shopt -s nullglob
kept=("$folder"/*.pyrr.zip)
# A test that timed out by itself leaves a recording, whatever pytest made of it.
output status "$status"
output result "$result"
output recordings "$folder"
output count "${#kept[@]}"
exit 0
