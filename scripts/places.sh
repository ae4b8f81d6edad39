#!/usr/bin/env bash
# Records and replays one small program in each of the places that pyrr may run in: every
# interpreter at hand, small machines, sandboxes. Each line of the table is what was seen.
#
# Usage: places.sh [NAME]      NAME: only the places whose name has it
#
# Prints a line for each place and keeps it in internal/conformance/data/places.tsv. What
# this machine can't play is left out with the reason, and its older line stays.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
only=${1:-}
work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
chmod 777 "$work"
if [ -n "${PYRR:-}" ]; then cp "$PYRR" "$work/pyrr"; else CGO_ENABLED=0 ${GO:-go} build -trimpath -ldflags '-E pyrr_entry' -o "$work/pyrr" ./cmd/pyrr; fi
build=${PYRR_BUILD:-$(git describe --always --exclude '*' 2>/dev/null)} || build=$(sha256sum "$work/pyrr" | cut -c1-12)
python=$(debian_python) || { say "skip: no Debian python3.11"; exit 0; }
cat >"$work/app.py" <<'PY'
import threading
def work(n):
    total = 0
    for i in range(n):
        total += i & 3
    return total
assert sum(work(500) for _ in range(50)) == 37500
t = threading.Thread(target=print, args=("there",))
t.start()
t.join()
print("here")
PY

# outcome STATUS FILE: what a line of pyrr's says of a step.
outcome() {
  local said
  if said=$(grep -aom1 -P '^pyrr: recorded .*?\K(incomplete, )?(verified|not verified)$' "$2"); then
    grep -aq ' 0 instructions' "$2" && said="$said, not counted"
    grep -aqE 'PYTHON_JIT=[^0].*: recorded with the JIT off|has its JIT on by itself: recorded with the JIT off' "$2" && said="$said, a line says that the JIT is off"
    grep -aq ': its Python has the JIT on: what it compiled is replayed, but not counted' "$2" && said="$said, a line says that what the JIT compiled is not counted"
    echo "recorded, $said"
  elif [ "$1" = 0 ] && ! grep -aq '^pyrr: warning: nothing was recorded' "$2"; then
    echo "exact"
  elif said=$(grep -am1 -P '^pyrr: (error|warning): ' "$2"); then
    echo "refused: $(sed -e 's/^pyrr: [a-z]*: //' -e "s,$work/,,g" <<<"$said" | tr '\t' ' ')"
  else # not a word of pyrr's: Go's runtime, before anything of pyrr ran
    echo "fails, status $1: $(grep -am1 . "$2" | tr '\t' ' ')"
  fi
}

# place NAME COMMAND: COMMAND is a shell's that runs "$@" in the place; $program is what is
# recorded there, $out where to.
place() {
  local name=$1 in=$2 recorded replayed out status
  wanted "$name" || return 0
  out=$work/$RANDOM
  mkdir -m 777 "$out"
  status=0
  (cd "$work" && timeout 300 bash -c "$in" - "$work/pyrr" record ${flags:-} -o "$out/x.pyrr.zip" -- ${program:-$python "$work/app.py"}) >"$out/stdout" 2>"$out/said" </dev/null || status=$?
  recorded=$(outcome $status "$out/said")
  if [ ! -e "$out/x.pyrr.zip" ]; then cp "$work/plain.pyrr.zip" "$out/x.pyrr.zip" 2>/dev/null || true; fi
  chmod a+r "$out/x.pyrr.zip"
  status=0
  (cd "$work" && timeout 300 bash -c "$in" - "$work/pyrr" replay --batch "$out/x.pyrr.zip") >"$out/again" 2>"$out/said" </dev/null || status=$?
  replayed=$(outcome $status "$out/said")
  [ "$name" != "this machine" ] || cp "$out/x.pyrr.zip" "$work/plain.pyrr.zip"
  echo "$name: $recorded; replay: $replayed"
  keep_place "$name" "$recorded" "$replayed" "$build"
}

wanted() { [[ $1 == *"$only"* ]]; }
no() { ! wanted "$1" || say "left out: $1: $2"; }

full=$only only=
place "this machine" '"$@"'
only=$full

while read -r name _ words; do
  case $words in
  chroot*)
    root=$(cut -d' ' -f2 <<<"$words")
    cp "$work/app.py" "$root/var/tmp/places.py"
    program="$words /var/tmp/places.py" place "interpreter $name" '"$@"'
    ;;
  *) program="$words $work/app.py" place "interpreter $name" '"$@"' ;;
  esac
done < <(scripts/interpreters.sh list)

# The JIT of an interpreter that has one: off, and a line says so.
if wanted "PYTHON_JIT=1, pbs314"; then
  jit=$(scripts/interpreters.sh list | awk '$1 == "pbs314" {print $3}')
  if [ -n "$jit" ]; then
    program="env PYTHON_JIT=1 $jit $work/app.py" place "PYTHON_JIT=1, pbs314" '"$@"'
  else no "PYTHON_JIT=1, pbs314" "no such interpreter (scripts/interpreters.sh pbs314)"; fi
fi

# And of those that have it, or the interpreter of tier two, on by themselves.
for name in jit313 tier2313; do
  jit=$(scripts/interpreters.sh list | awk -v name=$name '$1 == name {print $3}')
  if [ -n "$jit" ]; then
    program="env PYTHON_JIT=0 $jit $work/app.py" place "PYTHON_JIT=0, $name" '"$@"'
  else no "PYTHON_JIT=0, $name" "no such interpreter (scripts/interpreters.sh $name)"; fi
done

# Programs without locks that lose an update now and then where there is no GIL.
free=$(scripts/interpreters.sh list | awk '$1 == "nogil313" {print $3}')
seed=0
for program in lost_count lost_items twice_made; do
  seed=$((seed + 1)) name="3.13t, races/$program.py with --chaos"
  wanted "$name" || continue
  [ -n "$free" ] || { no "$name" "no free-threaded interpreter (scripts/interpreters.sh nogil313)"; continue; }
  "$work/pyrr" record --until-fail 50 --chaos=$seed -o "$work/$program.pyrr.zip" -- "$free" "fixtures/races/$program.py" >"$work/said" 2>&1 </dev/null || true
  recorded="$(grep -ao 'run [0-9]* of 50 failed' "$work/said" || echo "none of 50 runs failed"); $(outcome 0 "$work/said")"
  status=0
  "$work/pyrr" replay --batch "$work/$program.pyrr.zip" >/dev/null 2>"$work/said" </dev/null || status=$?
  replayed=$(outcome $status "$work/said")
  echo "$name: $recorded; replay: $replayed"
  keep_place "$name" "$recorded" "$replayed" "$build"
done
program=

for n in 16 28 64 512; do place "ulimit -n $n" "ulimit -n $n; \"\$@\""; done
for v in 600000 800000 900000; do place "ulimit -v $v" "ulimit -v $v; \"\$@\""; done
for d in 100000 450000; do place "ulimit -d $d" "ulimit -d $d; \"\$@\""; done
for f in 500 20000; do place "ulimit -f $f" "ulimit -f $f; \"\$@\""; done
if [ "$(id -u)" = 0 ]; then
  # The limit counts all processes of a user: one that has no others.
  for u in 4 8 12; do place "ulimit -u $u" "ulimit -u $u; HOME=$work setpriv --reuid 54321 --regid 54321 --clear-groups \"\$@\""; done
  place "without root" 'setpriv --reuid 65534 --regid 65534 --clear-groups "$@"'
  place "user namespace of one's own" 'setpriv --reuid 65534 --regid 65534 --clear-groups unshare -Ur "$@"'
  if unshare -m true 2>/dev/null; then
    cat >"$work/on-small" <<'IN'
w=$1; shift
mount -t tmpfs -o size=3m none "$w/small"
[ "$2" = replay ] || set -- "${@/%*.pyrr.zip/$w/small/x.pyrr.zip}"
TMPDIR=$w/small exec "$@"
IN
    mkdir "$work/small"
    place "a disk of 3 MB" "unshare -m bash $work/on-small $work \"\$@\""
    place "/proc with hidepid=2" "unshare -m -p -f sh -c 'mount -t proc -o hidepid=2 none /proc && exec \"\$@\"' - \"\$@\""
    place "read-only root" "unshare -m sh -c 'mount --bind $work $work && mount -o remount,ro,bind / && exec \"\$@\"' - \"\$@\""
  fi
fi
limited=
for at in /sys/fs/cgroup /sys/fs/cgroup/memory; do
  [ -w "$at/cgroup.procs" ] && mkdir "$at/pyrr-places" 2>/dev/null || continue
  for f in memory.max memory.limit_in_bytes; do
    if [ -e "$at/pyrr-places/$f" ] && echo 268435456 2>/dev/null >"$at/pyrr-places/$f"; then
      place "control group of 256 MB" "echo \$\$ >$at/pyrr-places/cgroup.procs; \"\$@\""
      limited=yes
    fi
  done
  rmdir "$at/pyrr-places"
done
[ -n "$limited" ] || no "control group of 256 MB" "no memory controller can be used here"
if command -v qemu-x86_64-static >/dev/null; then
  place "qemu-user" 'qemu-x86_64-static "$@"'
else no "qemu-user" "apt-get install qemu-user-static"; fi

program=
# packages NAME...: unpacks Debian packages, without installing them.
packages() { (mkdir -p "$work/deb" && chmod 777 "$work/deb" && cd "$work/deb" && retry apt-get download -qq "$@" >&2 && for d in *.deb; do dpkg -x "$d" root; done && rm -f ./*.deb); }
if ! wanted "PyPy, --follow all"; then :; elif packages pypy3 pypy3-lib; then
  libs="LD_LIBRARY_PATH=$work/deb/root/usr/lib/x86_64-linux-gnu"
  program="$work/deb/root/usr/bin/pypy3 $work/app.py"
  program=$program place "PyPy" "$libs \"\$@\""
  program=$program flags="--follow all" place "PyPy, --follow all" "$libs \"\$@\""
  program=
else no "PyPy" "the package can't be had"; fi
if ! wanted "a debug build"; then :; elif packages python3.11-dbg libpython3.11-dbg; then
  program="$work/deb/root/usr/bin/python3.11d $work/app.py" place "a debug build of CPython (python3.11-dbg)" '"$@"'
  program=
else no "a debug build" "the package can't be had"; fi
if ! wanted "a C program of musl, --follow all"; then :; elif command -v gcc >/dev/null && packages musl musl-dev; then
  root=$work/deb/root lib=$work/deb/root/usr/lib/x86_64-linux-musl
  cat >"$work/musl.c" <<'C'
#include <pthread.h>
#include <stdio.h>
static void *there(void *a) { puts("there"); return a; }
int main(void) { pthread_t t; pthread_create(&t, 0, there, 0); pthread_join(t, 0); return puts("here") < 0; }
C
  gcc -nostdinc -isystem "$root/usr/include/x86_64-linux-musl" -nostdlib -fPIE -pie -o "$work/musl" "$work/musl.c" "$lib/Scrt1.o" "$lib/crti.o" -L"$lib" -lc "$lib/crtn.o" \
    -Wl,-dynamic-linker,"$root/lib/ld-musl-x86_64.so.1"
  program=$work/musl flags="--follow all" place "a C program of musl, --follow all" '"$@"'
else no "musl" "no gcc, or the package can't be had"; fi
program=
if ! wanted "CPython on musl"; then :; elif musl=$(scripts/musl-python.sh); then
  program="$musl $work/app.py" place "CPython on musl" '"$@"'
else no "CPython on musl" "it could not be built"; fi
if command -v runsc >/dev/null; then
  place "gVisor" 'runsc --rootless --network=none do "$@"'
else no "gVisor" "no runsc"; fi
