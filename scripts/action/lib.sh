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
