#!/usr/bin/env bash
# Runs the user's command under pyrr record and notes how it ended. It succeeds
# itself, so that what was recorded is looked at and uploaded before the job
# fails (result.sh).
#
#   PYRR_RUN, PYRR_TIMEOUT, PYRR_KEEP, PYRR_REDACT   the action's inputs
#   PYRR_SECRET_NAMES   names of variables, apart by blanks or commas
#   PYRR_SECRETS        values, one a line, or lines ::add-mask::VALUE
#   PYRR_JOB, PYRR_MATRIX, PYRR_INDEX, PYRR_ATTEMPT  name the artifact
set -uo pipefail
. "$(dirname "$0")/lib.sh"

folder=${RUNNER_TEMP:?}/pyrr-recordings
rm -rf "$folder"
mkdir -p "$folder"
record_flags
[ -z "$masks" ] || trap 'rm -f "$masks"' EXIT
# An artifact's name takes no " : < > | * ? \ / and is one of the run's only one.
matrix=$(printf '%s' "${PYRR_MATRIX:-}" | tr -cs 'A-Za-z0-9._+-' '-' | sed 's/^-*//; s/-*$//' | cut -c1-100)
case $matrix in
"" | null) matrix=${PYRR_INDEX:-0} ;;
esac
artifact=$(printf '%s' "pyrr-recordings-${PYRR_JOB:-job}-$matrix-${PYRR_ATTEMPT:-1}" | tr -cs 'A-Za-z0-9._+-' '-')
run=${PYRR_RUN:?}
keep=${PYRR_KEEP:-failure}
# Neither the settings of the action nor the secrets are the program's concern.
unset PYRR_RUN PYRR_TIMEOUT PYRR_KEEP PYRR_REDACT PYRR_SECRET_NAMES PYRR_SECRETS PYRR_JOB PYRR_MATRIX PYRR_INDEX PYRR_ATTEMPT

supervise pyrr record "${flags[@]}" --keep "$keep" -o "$folder" -- bash -e -o pipefail -c "$run"
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
output artifact "$artifact"
exit 0
