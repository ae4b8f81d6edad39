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
  say "apt-get install ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null >&2 && return 0
  retry apt-get update -qq </dev/null >&2
  retry apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null >&2
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
