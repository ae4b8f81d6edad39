#!/usr/bin/env bash
# Writes the job's summary: what failed first, with why it hung; the annotations;
# the text of a comment; and the reasons as an output. GitHub takes at most 1 MiB
# of a step's summary; this stays below 900 KiB.
#
#   PYRR_RESULT, PYRR_STATUS, PYRR_RECORDINGS   outputs of record.sh
#   PYRR_CHECK_STATUS, PYRR_FAILED              outputs of check.sh
#   PYRR_RERUN_SAYS                             output of rerun.sh
#   PYRR_ARTIFACT, PYRR_ARTIFACT_URL            the uploaded artifact, or empty
#   PYRR_SUMMARY, PYRR_SPECS, PYRR_VALUES       the action's inputs
set -uo pipefail
. "$(dirname "$0")/lib.sh"

shopt -s nullglob
kept=("${PYRR_RECORDINGS:?}"/*.pyrr.zip)
text=$(mktemp "${RUNNER_TEMP:?}/pyrr-summary.XXXXXX")
trap 'rm -f "$text" "$text".*' EXIT

case ${PYRR_RESULT:-} in
timeout) headline="⏱️ pyrr: the command hung and was ended by the time-out" ;;
failed) headline="❌ pyrr: the command failed with status ${PYRR_STATUS:-?}" ;;
error) headline="⚠️ pyrr could not record: see the log of the step" ;;
*) headline="✅ pyrr: the command passed" ;;
esac
{
  echo "## $headline"
  echo
  case ${PYRR_CHECK_STATUS:-} in
  "" | 0) ;;
  1) echo "**${PYRR_FAILED:-Some} checks of the specs failed**; the annotations and the log say which." && echo ;;
  *) echo "**The specs could not be judged**; the log of the step says why." && echo ;;
  esac
  [ -z "${PYRR_RERUN_SAYS:-}" ] || { echo "$PYRR_RERUN_SAYS" && echo; }
  if [ ${#kept[@]} = 0 ] && [ "${PYRR_RESULT:-}" != passed ]; then
    echo "No recording was kept."
  fi
} >"$text"
cp "$text" "$text.comment"
if [ ${#kept[@]} != 0 ]; then
  flags=(--artifact "${PYRR_ARTIFACT:-}" --artifact-url "${PYRR_ARTIFACT_URL:-}" --specs "${PYRR_SPECS:-specs}")
  [ "${PYRR_VALUES:-}" != true ] || flags+=(--values)
  # The annotations are lines of the log that GitHub shows beside the code.
  pyrr summary --annotate --markdown "$text.all" --max-size 890KiB "${flags[@]}" "${kept[@]}"
  [ ! -e "$text.all" ] || cat "$text.all" >>"$text"
  # A comment takes 65,536 characters.
  pyrr summary --markdown - --max-size 60KiB "${flags[@]}" "${kept[@]}" >>"$text.comment"
  output reasons "$(pyrr summary --json "${flags[@]}" "${kept[@]:0:100}")"
else
  output reasons "[]"
fi
[ "${PYRR_SUMMARY:-true}" != true ] || cat "$text" >>"${GITHUB_STEP_SUMMARY:?}"
cp "$text.comment" "$RUNNER_TEMP/pyrr-comment.md"
output comment "$RUNNER_TEMP/pyrr-comment.md"
exit 0
