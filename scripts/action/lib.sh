# What the action's scripts share.

# fail MESSAGE: an error that the run shows, and the end.
fail() {
  echo "::error title=pyrr::$(escape "$1")"
  exit 1
}

# escape TEXT: for the message of a workflow command.
escape() {
  local s=$1
  s=${s//'%'/%25}
  s=${s//$'\r'/%0D}
  printf '%s' "${s//$'\n'/%0A}"
}

# output NAME VALUE: an output of the step; values of several lines need a
# delimiter that is not in them.
output() {
  local end
  end=pyrr_$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  printf '%s<<%s\n%s\n%s\n' "$1" "$end" "$2" "$end" >>"$GITHUB_OUTPUT"
}

# record_flags: sets flags to those of pyrr record that the inputs are about, and
# masks to a file of secrets that the caller removes, or to nothing.
record_flags() {
  local name
  flags=(--redact "${PYRR_REDACT:-always}")
  [ -z "${PYRR_TIMEOUT:-}" ] || flags+=(--timeout "$PYRR_TIMEOUT")
  for name in ${PYRR_SECRET_NAMES//,/ }; do
    flags+=(--secret "$name")
  done
  masks=
  if [ -n "${PYRR_SECRETS:-}" ]; then
    masks=$(umask 077 && mktemp "$RUNNER_TEMP/pyrr-masks.XXXXXX")
    printf '%s\n' "$PYRR_SECRETS" >"$masks"
    flags+=(--masks "$masks")
  fi
}

# supervise COMMAND...: runs it, passes on that the job is cancelled, and sets status.
#
# A job that is cancelled, or reaches its limit, gets SIGINT, after some seconds
# SIGTERM, and after some more it is killed. pyrr gets SIGTERM at once, so that
# it has the time to keep the test that runs.
supervise() {
  local pid
  status=0
  set -m # else the command would ignore SIGINT
  "$@" <&0 &
  pid=$!
  trap 'kill -TERM "$pid" 2>/dev/null' INT TERM
  wait "$pid" || status=$?
  while kill -0 "$pid" 2>/dev/null; do # it was only the signal that ended the wait
    status=0
    wait "$pid" || status=$?
  done
  set +m
}
