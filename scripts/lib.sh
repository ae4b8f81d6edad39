# Shared by the scripts of this folder; to be sourced, not run.

# The folder that holds downloaded interpreters and virtual environments.
# It is world-readable where possible, for tests that run as another user.
pyrr_cache() {
  if [ -n "${PYRR_CACHE:-}" ]; then
    mkdir -p "$PYRR_CACHE"
    echo "$PYRR_CACHE"
  elif mkdir -p /var/cache/pyrr 2>/dev/null && [ -w /var/cache/pyrr ]; then
    echo /var/cache/pyrr
  else
    mkdir -p "${XDG_CACHE_HOME:-$HOME/.cache}/pyrr"
    echo "${XDG_CACHE_HOME:-$HOME/.cache}/pyrr"
  fi
}

# second_cache prints the folder of interpreters that somebody else made, or
# nothing: PYRR_INTERPRETERS, by default /var/cache/pyrr where the cache is
# another. It is only read, and an interpreter of other pins is not taken from it.
second_cache() {
  local second=${PYRR_INTERPRETERS-/var/cache/pyrr}
  if [ -n "$second" ] && [ -d "$second" ] && [ "$(realpath "$second")" != "$(realpath "$(pyrr_cache)")" ]; then
    echo "$second"
  fi
}

say() { echo "$(basename "$0"): $*" >&2; }

# retry COMMAND... tries up to three times what the network may spoil.
retry() {
  local n
  for n in 1 2; do
    "$@" && return 0
    say "failed, once more: $*"
    sleep $((5 * n))
  done
  "$@"
}

# apt_install PACKAGE... installs those that are missing; needs root and apt.
apt_install() {
  local missing=() p
  for p in "$@"; do
    dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing+=("$p")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    say "needs these Debian packages, and is not root to install them: ${missing[*]}"
    return 1
  fi
  # One at a time: set-up runs in parallel, and apt refuses what finds its lock taken.
  exec 8>"$(pyrr_cache)/.apt.lock"
  flock 8
  say "apt-get install ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  local status=0
  # Daemons that the packages' scripts start must not keep the lock.
  apt_get -y -qq --no-install-recommends install "${missing[@]}" ||
    { retry apt_get -qq update && retry apt_get -y -qq --no-install-recommends install "${missing[@]}"; } || status=$?
  exec 8>&-
  return $status
}

apt_get() { apt-get "$@" </dev/null >&2 8>&- 9>&-; }

# keep_place PLACE RECORD REPLAY BUILD puts a line into the table of places, in place of an
# older one of the same place; in the folder of the repository.
keep_place() {
  local data=internal/conformance/data/places.tsv new
  new=$(mktemp)
  [ -e "$data" ] || printf 'place\trecord\treplay\tbuild\n' >"$data"
  { head -1 "$data"; { tail -n +2 "$data" | awk -F'\t' -v place="$1" '$1 != place'; printf '%s\t%s\t%s\t%s\n' "$@"; } | sort -t$'\t' -k1,1V; } >"$new"
  cat "$new" >"$data"
  rm "$new"
}

# debian_python prints the path of Debian's own Python 3.11, or fails. Other
# systems' /usr/bin/python3 is not it: the tests name the build they are about.
debian_python() {
  if [ -x /usr/bin/python3.11 ]; then
    echo /usr/bin/python3.11
  else
    return 1
  fi
}
