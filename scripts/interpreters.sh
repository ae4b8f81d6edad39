#!/usr/bin/env bash
# Makes Python interpreters that this machine doesn't have, for the tests:
#
#   $PYRR_CACHE/roots/{bullseye,trixie,sid}  Debian's own builds, run by chroot
#   (sid has two: its python3, and python3.15)
#   $PYRR_CACHE/pbs{310,311}/bin/python3     python-build-standalone (Clang)
#   $PYRR_CACHE/pbs314/bin/python3.14        the same with BOLT and tail calls
#
# and, where they are asked for by name, since they take minutes:
#
#   $PYRR_CACHE/pbs313/bin/python3.13        as pbs310
#   $PYRR_CACHE/nogil313/bin/python3.13t     Debian's source, --disable-gil
#   $PYRR_CACHE/{clang,switch,clangswitch,thinlto,tier2,jit,static}313/bin/python3.13: see OWN below
#
# Usage: interpreters.sh [NAME|all|builds]...   default: all that are not built here;
#        builds: all of OWN, one after the other, in three minutes or more each
#        interpreters.sh list      one line for each interpreter present: NAME, VERSION, COMMAND
#        interpreters.sh clean     removes the roots, with what is mounted in them
#        interpreters.sh absent    one line for each of those that is not: NAME, REASON
#
# Safe to run again: what is there is kept, unless its pins are others. What
# can't be made here (roots need root; sid's packages come and go) is skipped with
# the reason, and the exit status stays 0. PYRR_CACHE defaults to /var/cache/pyrr,
# or ~/.cache/pyrr where that is not writable; what PYRR_INTERPRETERS holds
# (default: /var/cache/pyrr) is linked to, and not made.
# Everything comes through apt's, debootstrap's and Go's own configuration.
set -euo pipefail
cd "$(dirname "$0")"
. ./lib.sh

# The Go module that carries python-build-standalone: of each version that has one,
# the module's, and its checksum as in go.sum.
PBS_MODULE=github.com/kluctl/go-embed-python
PBS="pbs310 3.10 v0.0.0-3.10.16-20241219-1 h1:bfJRrtWlbdrPtwXXXZzA95yj2Pr9AvSbxDEm8YvbaP0=
pbs311 3.11 v0.0.0-3.11.11-20241219-1 h1:yVXFTxa6cvhLC6TwkDEHmNaiWlDyaFEGiXd1DQdoeOU=
pbs313 3.13 v0.0.0-3.13.1-20241219-1 h1:x1cSEj4Ug5mpuZgUHLvUmlc5r//KHFn6iYiRSrRcVy4=
pbs314 3.14 v0.0.0-3.14.6-20260610-1 h1:oGUS7++Wm3LgxUfD6AmJgKbKQD2wdQFO9PzyJv6T+E4="

cache=$(pyrr_cache)
second=$(second_cache)

# skip NAME REASON says why an interpreter is not made; `absent` repeats it.
skip() {
  say "skip $1: $2"
  mkdir -p "$cache/.skipped" && echo "$2" >"$cache/.skipped/$1"
}

# pinned FOLDER STAMP PINS holds where the folder is there with these pins.
pinned() { [ "$(cat "$1/$2" 2>/dev/null)" = "$3" ]; }

# borrow WHERE STAMP PINS makes a link to what the second cache has of it.
borrow() {
  [ -n "$second" ] && pinned "$second/$1" "$2" "$3" || return 1
  mkdir -p "$(dirname "$cache/$1")" && ln -sfn "$(realpath "$second/$1")" "$cache/$1"
  say "${1##*/}: that of $second"
}

pbs() {
  local name python version want dst json dir sum scratch
  read -r name python version want < <(grep "^$1 " <<<"$PBS")
  dst=$cache/$name
  pinned "$dst" .version "$version" && return 0
  [ ! -L "$dst" ] || rm "$dst"
  [ -e "$dst" ] || ! borrow "$name" .version "$version" || return 0
  command -v go >/dev/null || { skip "$name" "no go command"; return 0; }
  [ "$(uname -m)" = x86_64 ] || { skip "$name" "only for x86_64"; return 0; }
  local py
  py=$(debian_python || command -v python3) || { skip "$name" "no python3 to unpack it with"; return 0; }
  say "$name: go mod download $PBS_MODULE@$version"
  scratch=$(mktemp -d)
  # A module of its own: nothing of the download reaches this repository's go.mod.
  json=$(cd "$scratch" && go mod init scratch >/dev/null 2>&1 && retry go mod download -json "$PBS_MODULE@$version") ||
    { rm -rf "$scratch"; skip "$name" "download failed: $json"; return 0; }
  rm -rf "$scratch"
  dir=$("$py" -c 'import json,sys; print(json.load(sys.stdin)["Dir"])' <<<"$json")
  sum=$("$py" -c 'import json,sys; print(json.load(sys.stdin)["Sum"])' <<<"$json")
  [ "$sum" = "$want" ] || { say "$name: checksum is $sum, not $want"; return 1; }
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
  "$dst.tmp/bin/python$python" -E -c 'import ssl, ctypes, sqlite3' ||
    { say "$name: the unpacked interpreter does not run"; return 1; }
  rm -rf "$dst"
  mv "$dst.tmp" "$dst"
  echo "$version" >"$dst/.version"
  say "$name: $("$dst/bin/python$python" --version) in $dst"
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

# What a root is made of, besides its suite.
ROOT_VARIANT=minbase
ROOT_PACKAGES=python3

root() {
  local suite=$1 dst=$cache/roots/$1 d
  local pins="$suite $ROOT_VARIANT $ROOT_PACKAGES"
  if ! pinned "$dst" .complete "$pins"; then
    [ ! -L "$dst" ] || rm "$dst"
    if [ -e "$dst" ] || ! borrow "roots/$suite" .complete "$pins"; then
      [ "$(id -u)" = 0 ] || { skip "$suite" "debootstrap needs root"; return 0; }
      command -v debootstrap >/dev/null || apt_install debootstrap || { skip "$suite" "no debootstrap"; return 0; }
      say "$suite: debootstrap"
      mkdir -p "$cache/roots"
      for d in "$dst" "$dst.tmp"; do
        unmount_under "$d" && rm -rf --one-file-system "$d"
      done
      # What a first try has unpacked is not an obstacle to the second.
      if ! retry timeout 15m debootstrap --variant="$ROOT_VARIANT" --include="$ROOT_PACKAGES" "$suite" "$dst.tmp" </dev/null >"$cache/roots/$suite.log" 2>&1; then
        tail -5 "$cache/roots/$suite.log" >&2
        skip "$suite" "debootstrap failed (log: $cache/roots/$suite.log)"
        unmount_under "$dst.tmp" && rm -rf --one-file-system "$dst.tmp"
        return 0
      fi
      rm -f "$dst.tmp"/var/cache/apt/archives/*.deb
      unmount_under "$dst.tmp"
      echo "$pins" >"$dst.tmp/.complete"
      mv "$dst.tmp" "$dst"
    fi
  fi
  [ "$(id -u)" = 0 ] || return 0
  dst=$(realpath "$dst")
  bind "$dst"
  if [ "$suite" = sid ] && [ ! -x "$dst/usr/bin/python3.15" ]; then
    # A mirror that stands still has lists of sid that are past their time, which is a week.
    retry chroot "$dst" sh -c 'apt-get -o Acquire::Check-Valid-Until=false update -qq && apt-get install -y -qq --no-install-recommends python3.15' </dev/null >>"$cache/roots/$suite.log" 2>&1 ||
      skip sid315 "python3.15 could not be installed (log: $cache/roots/$suite.log)"
  fi
  d=$(chroot "$dst" /usr/bin/python3 --version 2>&1) || { skip "$suite" "its Python does not run: $d"; return 0; }
  rm -f "$cache/.skipped/$suite"
  say "$suite: $d in $dst"
}

# What is built from Debian's source package: name, version, what it needs of Debian's
# packages ("-": a compiler alone), configure's options. All but the free-threaded one
# and those with MODULE_BUILDTYPE=static, which have them inside,
# take their extension modules from clang313: they are of one ABI.
OWN="nogil313 3.13t - --disable-gil
clang313 3.13 clang-19 CC=clang-19
switch313 3.13 - --without-computed-gotos
clangswitch313 3.13 clang-19 CC=clang-19 --without-computed-gotos
thinlto313 3.13 clang-19,lld-19,llvm-19 CC=clang-19 --with-lto=thin LDFLAGS=-fuse-ld=lld LLVM_AR=/usr/lib/llvm-19/bin/llvm-ar
tier2313 3.13 - --enable-experimental-jit=interpreter
jit313 3.13 clang-19,llvm-19 --enable-experimental-jit=yes
static313 3.13 - --disable-shared LDFLAGS=-static LINKFORSHARED=-g MODULE_BUILDTYPE=static"

# source_of PACKAGE DIR unpacks the source of a package of trixie.
source_of() {
  local root dir
  root=$(realpath -e "$cache/roots/trixie" 2>/dev/null) || return 1
  dir=$(mktemp -d "$root/tmp/src-XXXXXX") && mkdir -p "$dir/lists/partial" && chmod -R a+rwX "$dir" || return 1
  sed -n 's/^deb /deb-src /p' "$root/etc/apt/sources.list" >"$dir/list"
  retry chroot "$root" sh -euc '
    cd "$1"
    set -- "$2" -qq -o Dir::Etc::sourcelist="$1/list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$1/lists"
    package=$1 && shift
    apt-get "$@" update && apt-get "$@" source --download-only "$package"' sh "/tmp/${dir##*/}" "$1" </dev/null >&2 &&
    mkdir -p "$2" && tar xf "$dir/$1"_*.orig.tar.xz -C "$2" --strip-components=1 || { rm -rf "$dir"; return 1; }
  rm -rf "$dir"
}

# own NAME builds an interpreter, without what only its installation is for.
own() {
  local name python needs options dst=$cache/$1 work
  read -r name python needs options < <(grep "^$1 " <<<"$OWN")
  pinned "$dst" .version "$python $options" && return 0
  [ ! -L "$dst" ] || rm "$dst"
  [ -e "$dst" ] || ! borrow "$name" .version "$python $options" || return 0
  [ "$(id -u)" = 0 ] || { skip "$name" "only root can ask trixie's apt for the source"; return 0; }
  command -v gcc make >/dev/null || { skip "$name" "no compiler"; return 0; }
  # shellcheck disable=SC2086 # needs are words
  [ "$needs" = - ] || apt_install ${needs//,/ } || { skip "$name" "no ${needs//,/, }"; return 0; }
  case $name in
  nogil313 | clang313 | static313) ;;
  *)
    [ -e "$cache/clang313" ] || own clang313
    [ -e "$cache/clang313" ] || { skip "$name" "no clang313, whose modules it takes"; return 0; }
    ;;
  esac
  work=$(mktemp -d)
  say "$name: source and build, some minutes (log: $cache/$name.log)"
  if ! source_of "python${python%t}" "$work/src" 2>"$cache/$name.log"; then
    rm -rf "$work"
    skip "$name" "no source package (log: $cache/$name.log; it takes interpreters.sh trixie first)"
    return 0
  fi
  rm -rf "$dst.tmp"
  mkdir -p "$work/build" "$dst.tmp/bin"
  # shellcheck disable=SC2086 # options are words
  build "$name" "$python" "$dst" "$work" $options >>"$cache/$name.log" 2>&1 & # so that its first failure ends it
  if ! wait $!; then
    tail -5 "$cache/$name.log" >&2
    rm -rf "$work" "$dst.tmp"
    skip "$name" "the build failed (log: $cache/$name.log)"
    return 0
  fi
  rm -rf "$work" "$dst"
  mv "$dst.tmp" "$dst"
  "$dst/bin/python$python" -E -c 'import math, socket' || { say "$name: what was built does not run"; return 1; }
  echo "$python $options" >"$dst/.version"
  rm -f "$cache/.skipped/$name"
  say "$name: $("$dst/bin/python$python" --version) in $dst"
}

# build NAME VERSION DST WORK OPTION... makes DST.tmp of the source in WORK.
build() {
  local name=$1 python=$2 dst=$3 work=$4 lib
  shift 4
  lib=$dst.tmp/lib/python$python
  # The JIT of 3.13 asks for Clang 18; 19 does, as for 3.14.
  [ "$name" != jit313 ] || sed -i 's/^_LLVM_VERSION = 18$/_LLVM_VERSION = 19/' "$work/src/Tools/jit/_llvm.py"
  cd "$work/build"
  nice ../src/configure -q --prefix="$dst" --without-ensurepip --disable-test-modules "$@" CFLAGS=-g1
  if [ "$name" = nogil313 ] || [ "$name" = clang313 ]; then
    nice make -s -j2
  else
    nice make -s -j2 python pybuilddir.txt
  fi
  mkdir -p "$dst.tmp/lib"
  cp python "$dst.tmp/bin/python$python"
  cp -r ../src/Lib "$lib"
  rm -rf "$lib/test" "$lib/idlelib"
  cp "$(cat pybuilddir.txt)"/_sysconfig* "$lib"
  if compgen -G "$(cat pybuilddir.txt)/*.so" >/dev/null; then
    mkdir "$lib/lib-dynload"
    cp -L "$(cat pybuilddir.txt)"/*.so "$lib/lib-dynload"
  elif [ "$name" != static313 ]; then # of one ABI
    cp -r "$cache/clang313/lib/python3.13/lib-dynload" "$lib/"
  fi
}

# version_of runs an interpreter command and prints its version, or nothing.
version_of() { "$@" -I -c 'import platform; print(platform.python_version())' 2>/dev/null; }

list() {
  local v p root
  if p=$(debian_python) && v=$(version_of "$p"); then echo "deb311 $v $p"; fi
  for p in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/*/bin/python3; do
    [ -x "$p" ] && v=$(version_of "$p") || continue
    case $v in
    3.[89].* | 3.1[0-9].*) echo "pyenv-$v $v $p" ;;
    esac
  done
  local name python
  while read -r name python _; do
    p=$cache/$name/bin/python$python
    [ -x "$p" ] && v=$(version_of "$p") && echo "$name $v $p"
  done <<<"$PBS
$OWN"
  if [ "$(id -u)" = 0 ]; then
    for p in bullseye trixie sid; do
      root=$(realpath -e "$cache/roots/$p" 2>/dev/null) && [ -e "$root/.complete" ] && v=$(version_of chroot "$root" /usr/bin/python3) &&
        echo "$p $v chroot $root /usr/bin/python3"
    done
    root=$(realpath -e "$cache/roots/sid" 2>/dev/null) && [ -x "$root/usr/bin/python3.15" ] && v=$(version_of chroot "$root" /usr/bin/python3.15) &&
      echo "sid315 $v chroot $root /usr/bin/python3.15"
  fi
  return 0
}

absent() {
  local name present made
  present=$(list)
  for name in pbs310 pbs311 pbs314 bullseye trixie sid sid315; do
    ! grep -q "^$name " <<<"$present" || continue
    made=${name%315} # python3.15 is in the root of sid
    echo "$name $(cat "$cache/.skipped/$name" 2>/dev/null || cat "$cache/.skipped/$made" 2>/dev/null || echo "not made: scripts/interpreters.sh $made")"
  done
}

# clean removes the roots. What is mounted in one must go first, and is checked.
clean() {
  local d
  for d in "$cache"/roots/*; do
    if [ -L "$d" ]; then
      rm "$d"
    elif [ -d "$d" ]; then
      unmount_under "$d"
      ! grep -qF " $d/" /proc/self/mounts || { say "something is mounted in $d"; return 1; }
      rm -rf --one-file-system "$d"
    fi
  done
}

[ $# -gt 0 ] || set -- all
# shellcheck disable=SC2046 # names are words
[ "$*" != builds ] || set -- $(cut -d' ' -f1 <<<"$OWN")
case $1 in
list | absent | clean) "$1"; exit ;;
esac
[ "$*" != all ] || set -- pbs310 pbs311 pbs314 trixie bullseye sid
for what in "$@"; do
  case $what in
  pbs310 | pbs311 | pbs313 | pbs314 | bullseye | trixie | sid) ;;
  *) grep -q "^$what " <<<"$OWN" || { say "unknown interpreter: $what"; exit 2; } ;;
  esac
done
exec 9>"$cache/.interpreters.lock"
flock 9
# At the same time: each waits for the network, and for one core.
jobs=()
for what in "$@"; do
  case $what in
  pbs*) pbs "$what" & ;;
  bullseye | trixie | sid) root "$what" & ;;
  *) continue ;;
  esac
  jobs+=($!)
done
for what in "$@"; do # one after the other: each takes all cores
  ! grep -q "^$what " <<<"$OWN" || own "$what"
done
status=0
for job in "${jobs[@]}"; do
  wait "$job" || status=$?
done
exit $status
