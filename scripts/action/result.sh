#!/usr/bin/env bash
# Ends the action as the command ended, once everything is saved.
#
#   PYRR_STATUS, PYRR_CHECK_STATUS   outputs of record.sh and check.sh
set -uo pipefail
. "$(dirname "$0")/lib.sh"

status=${PYRR_STATUS:-}
[ -n "$status" ] || fail "the command was not run"
if [ "$status" != 0 ]; then
  exit "$status"
fi
exit "${PYRR_CHECK_STATUS:-0}"
