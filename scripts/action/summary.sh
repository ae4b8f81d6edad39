#!/usr/bin/env bash
# Writes the job's summary: what failed first, with why it hung. GitHub takes at
# most 1 MiB of a step; this stays below 900 KiB.
#
#   PYRR_RESULT, PYRR_STATUS, PYRR_RECORDINGS   outputs of record.sh
#   PYRR_CHECK_STATUS, PYRR_FAILED              outputs of check.sh
set -uo pipefail
. "$(dirname "$0")/lib.sh"

limit=$((900 * 1024))
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
} >"$text"

shown=0
for recording in "${kept[@]}"; do
  if ! pyrr explain --markdown "$recording" >"$text.one" 2>"$text.err"; then
    { echo "### \`$(basename "$recording")\`" && echo && echo '```text' && head -c 2000 "$text.err" && echo '```'; } >"$text.one"
  fi
  if [ $(($(stat -c %s "$text") + $(stat -c %s "$text.one") + 4096)) -gt $limit ]; then
    break
  fi
  cat "$text.one" >>"$text"
  echo >>"$text"
  shown=$((shown + 1))
  # A line of the log that GitHub shows beside the code.
  pyrr explain --github "$recording" 2>/dev/null || true
done
if [ $shown -lt ${#kept[@]} ]; then
  {
    echo "There are $((${#kept[@]} - shown)) more recordings:"
    echo
    for recording in "${kept[@]:$shown:200}"; do
      echo "- \`$(basename "$recording")\`"
    done
  } >>"$text"
elif [ ${#kept[@]} = 0 ] && [ "${PYRR_RESULT:-}" != passed ]; then
  echo "No recording was kept." >>"$text"
fi
cat "$text" >>"${GITHUB_STEP_SUMMARY:?}"
