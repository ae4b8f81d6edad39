#!/usr/bin/env bash
# Makes Python interpreters that this machine doesn't have, for the tests:
#
#   $PYRR_CACHE/roots/{bullseye,trixie,sid}  Debian's own builds, run by chroot
#   $PYRR_CACHE/pbs314/bin/python3.14        python-build-standalone (Clang, BOLT, tail calls)
#
# Usage: interpreters.sh [pbs314|bullseye|trixie|sid|all]...   default: all
#        interpreters.sh list      one line for each interpreter present: NAME, VERSION, COMMAND
#
# Safe to run again: what is there is kept. What can't be made here (roots need
# root) is skipped with the reason, and the exit status stays 0. PYRR_CACHE
# defaults to /var/cache/pyrr, or ~/.cache/pyrr where that is not writable.
# Everything comes through apt's, debootstrap's and Go's own configuration.
set -euo pipefail
cd "$(dirname "$0")"
. ./lib.sh

# The Go module that carries python-build-standalone, and its checksum as in go.sum.
PBS_MODULE=github.com/kluctl/go-embed-python
PBS_VERSION=v0.0.0-3.14.6-20260610-1
PBS_SUM=h1:oGUS7++Wm3LgxUfD6AmJgKbKQD2wdQFO9PzyJv6T+E4=

cache=$(pyrr_cache)

pbs314() {
  local dst=$cache/pbs314 json dir sum scratch
  if [ "$(cat "$dst/.version" 2>/dev/null)" = "$PBS_VERSION" ]; then
    return 0
  fi
  command -v go >/dev/null || { say "skip pbs314: no go command"; return 0; }
  [ "$(uname -m)" = x86_64 ] || { say "skip pbs314: only for x86_64"; return 0; }
  local py
  py=$(debian_python || command -v python3) || { say "skip pbs314: no python3 to unpack it with"; return 0; }
  say "pbs314: go mod download $PBS_MODULE@$PBS_VERSION"
  scratch=$(mktemp -d)
  # A module of its own: nothing of the download reaches this repository's go.mod.
  json=$(cd "$scratch" && go mod init scratch >/dev/null 2>&1 && retry go mod download -json "$PBS_MODULE@$PBS_VERSION") ||
    { rm -rf "$scratch"; say "skip pbs314: download failed: $json"; return 0; }
  rm -rf "$scratch"
  dir=$("$py" -c 'import json,sys; print(json.load(sys.stdin)["Dir"])' <<<"$json")
  sum=$("$py" -c 'import json,sys; print(json.load(sys.stdin)["Sum"])' <<<"$json")
  [ "$sum" = "$PBS_SUM" ] || { say "pbs314: checksum is $sum, not $PBS_SUM"; return 1; }
  rm -rf "$dst.tmp"
  "$py" - "$dir/python/internal/data/linux-amd64" "$dst.tmp" <<'PY'
# files.json lists every file with its Go fs.FileMode; big ones are stored as NAME.gz.
import gzip, json, os, shutil, sys

src, dst = sys.argv[1:]
with open(os.path.join(src, "files.json")) as f:
    files = json.load(f)["files"]
GO_DIR = 1 << 31
for entry in files:
    path = os.path.join(dst, entry["name"])
    if entry["perm"] & GO_DIR:
        os.makedirs(path, exist_ok=True)
    elif entry.get("symlink"):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.symlink(entry["symlink"], path)
    else:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        name = os.path.join(src, entry["name"])
        opened = gzip.open(name + ".gz") if entry.get("compressed") else open(name, "rb")
        with opened as r, open(path, "wb") as w:
            shutil.copyfileobj(r, w)
        os.chmod(path, entry["perm"] & 0o777 | 0o444)
PY
  "$dst.tmp/bin/python3.14" -E -c 'import ssl, ctypes, sqlite3' ||
    { say "pbs314: the unpacked interpreter does not run"; return 1; }
  rm -rf "$dst"
  mv "$dst.tmp" "$dst"
  echo "$PBS_VERSION" >"$dst/.version"
  say "pbs314: $("$dst/bin/python3.14" --version) in $dst"
}

# unmount_under unmounts all that is mounted below a folder, deepest first, so
# that removing the folder can't reach the machine's own /dev.
unmount_under() {
  awk -v d="$1/" 'index($2, d) == 1 { print $2 }' /proc/self/mounts | sort -r |
    while read -r m; do umount -l "$m" || return 1; done
}

# bind gives a root the machine's /proc, and /dev with the /dev/shm and /dev/pts
# in it; a slave mount, so that unmounting here never reaches the machine's own.
bind() {
  local root=$1 what
  for what in proc dev; do
    mountpoint -q "$root/$what" && continue
    { mount --rbind "/$what" "$root/$what" && mount --make-rslave "$root/$what"; } ||
      { say "can't bind-mount /$what in $root"; return 0; }
  done
}

root() {
  local suite=$1 dst=$cache/roots/$1
  if [ "$(id -u)" != 0 ]; then
    [ -x "$dst/usr/bin/python3" ] || say "skip $suite: debootstrap needs root"
    return 0
  fi
  if [ ! -e "$dst/.complete" ]; then
    command -v debootstrap >/dev/null || apt_install debootstrap ||
      { say "skip $suite: no debootstrap"; return 0; }
    say "$suite: debootstrap"
    mkdir -p "$cache/roots"
    local d
    for d in "$dst" "$dst.tmp"; do
      unmount_under "$d" && rm -rf --one-file-system "$d"
    done
    # What a first try has unpacked is no obstacle to the second.
    if ! retry debootstrap --variant=minbase --include=python3 "$suite" "$dst.tmp" </dev/null >"$cache/roots/$suite.log" 2>&1; then
      tail -5 "$cache/roots/$suite.log" >&2
      say "skip $suite: debootstrap failed (log: $cache/roots/$suite.log)"
      unmount_under "$dst.tmp" && rm -rf --one-file-system "$dst.tmp"
      return 0
    fi
    rm -f "$dst.tmp"/var/cache/apt/archives/*.deb
    unmount_under "$dst.tmp"
    mv "$dst.tmp" "$dst"
    touch "$dst/.complete"
  fi
  bind "$dst"
  say "$suite: $(chroot "$dst" /usr/bin/python3 --version) in $dst"
}

# version_of runs an interpreter command and prints its version, or nothing.
version_of() { "$@" -I -c 'import platform; print(platform.python_version())' 2>/dev/null; }

list() {
  local v p
  if p=$(debian_python) && v=$(version_of "$p"); then echo "deb311 $v $p"; fi
  for p in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/*/bin/python3; do
    [ -x "$p" ] && v=$(version_of "$p") || continue
    case $v in
    3.[89].* | 3.1[0-9].*) echo "pyenv-$v $v $p" ;;
    esac
  done
  p=$cache/pbs314/bin/python3.14
  [ -x "$p" ] && v=$(version_of "$p") && echo "pbs314 $v $p"
  if [ "$(id -u)" = 0 ]; then
    for p in bullseye trixie sid; do
      [ -e "$cache/roots/$p/.complete" ] && v=$(version_of chroot "$cache/roots/$p" /usr/bin/python3) &&
        echo "$p $v chroot $cache/roots/$p /usr/bin/python3"
    done
  fi
  return 0
}

[ $# -gt 0 ] || set -- all
[ "$1" = list ] && { list; exit; }
exec 9>"$cache/.interpreters.lock"
flock 9
for what in "$@"; do
  case $what in
  all) pbs314; root trixie; root bullseye; root sid ;;
  pbs314) pbs314 ;;
  bullseye | trixie | sid) root "$what" ;;
  *) say "unknown interpreter: $what"; exit 2 ;;
  esac
done
