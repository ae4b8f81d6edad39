#!/usr/bin/env bash
# Records here and replays on other processors and kernels, and the other way
# round: in guests of qemu-system-x86_64 that emulate every instruction (TCG), with
# Debian's own kernels and an initramfs that holds little more than pyrr and a Python.
#
# Usage: elsewhere.sh [short|all|missing|memory|yama|PROCESSOR KERNEL]     default: short, two guests
#
# yama records and replays as root and as an ordinary user with kernel.yama.ptrace_scope
# of 0 to 3, prints what came of each and keeps it in the table of places: refused by name
# are all with 3, and with 2 the ordinary user.
#
# missing is what all is, for the guests that have no line yet, of whatever build.
#
# memory runs a suite that takes 80 % of a limit, natively and recorded, in a guest: by
# a control group (version 2), and by strict accounting (overcommit_memory=2). It
# prints a line of each, and status 1 where one did not pass.
#
# Prints a line for each guest. With `all` and `missing` each line also goes into
# internal/conformance/data/elsewhere.tsv; a line of the same build is not made again, so that a run that was interrupted
# goes on. Exit status 1 where a replay was not exact, or something wasn't refused
# that has to be. What this machine can't do skips with the reason, and status 0.
#
# TCG has neither AVX-512 nor the makers' differences in rcpps and the like: this
# proves layouts, kernels and what programs are shown, not a real Intel against a
# real AMD.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

what=${1:-short}
# PROCESSOR KERNEL EXPECTED. A processor that lacks what every recording needs is
# refused before anything starts.
case $what in
memory) guests=("max 6.12 memory") ;;
yama) guests=("max 6.12 yama") ;;
short) guests=("Haswell,+pku 6.1 replays" "Westmere 6.1 refused") ;;
all | missing)
  guests=()
  for kernel in ${PYRR_ELSEWHERE_ONLY:-6.1 5.10 6.12}; do
    for cpu in Haswell,+pku EPYC Haswell Skylake-Client max; do guests+=("$cpu $kernel replays"); done
    guests+=("Westmere $kernel refused")
  done
  ;;
*) guests=("$1 ${2:?the kernel is missing} ${3:-replays}") ;;
esac

skip() {
  say "skip: $*"
  exit 0
}
python=$(debian_python) || skip "no Debian python3.11"
[ "$(uname -m)" = x86_64 ] || skip "this is no x86-64"
command -v qemu-system-x86_64 >/dev/null || apt_install qemu-system-x86 || skip "no qemu-system-x86"
command -v busybox >/dev/null || apt_install busybox-static || skip "no busybox"

cache=$(pyrr_cache)
work=$(mktemp -d)
# Who ends this must not be left with a guest that runs on.
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT
trap 'exit 143' TERM
data=internal/conformance/data/elsewhere.tsv

# newest_kernel VERSION ROOT prints the name of the newest package with such a kernel that
# the Debian in ROOT (or here) knows.
newest_kernel() {
  # Not 6.12 for 6.1: behind the version comes a dot, or no digit.
  ${2:+chroot "$2"} apt-cache search --names-only "^linux-image-${1/./\\.}([.][.0-9]*)?[-+].*cloud-amd64\$" | awk '{print $1}' | sort -V | tail -1
}

# is_kernel VERSION FILE: a kernel says its version where the word at 0x20e points
# (Documentation/arch/x86/boot.rst).
is_kernel() {
  local at said
  at=$(od -An -tu2 -j 526 -N 2 "$2" 2>/dev/null) || return 1
  said=$(dd if="$2" bs=1 skip=$((at + 512)) count=32 status=none | tr '\0' '\n')
  [[ $said == "$1".* ]]
}

# kernel VERSION prints the path of a Debian kernel, fetching the package if need be.
kernel() {
  local dst=$cache/kernels/$1 second pkg root=
  second=$(second_cache)
  if [ -n "$second" ] && is_kernel "$1" "$second/kernels/$1/vmlinuz"; then
    echo "$second/kernels/$1/vmlinuz"
    return
  fi
  if ! is_kernel "$1" "$dst/vmlinuz"; then
    # The older and the newer one are of other Debians, whose roots the tests have.
    case $1 in
    5.10) root=$cache/roots/bullseye ;;
    6.12) root=$cache/roots/trixie ;;
    esac
    [ -z "$root" ] || [ -d "$root" ] || return 1
    pkg=$(newest_kernel "$1" "$root")
    if [ -z "$pkg" ] && [ -z "$root" ] && [ "$(id -u)" = 0 ]; then
      # A machine as it comes may have no lists of packages.
      retry apt_get -qq update && pkg=$(newest_kernel "$1" "")
    fi
    [ -n "$pkg" ] || return 1
    rm -rf "$dst.tmp" && mkdir -p "$dst.tmp"
    if [ -n "$root" ]; then
      retry chroot "$root" sh -c "cd /var/tmp && apt-get download -qq $pkg" >&2 && mv "$root"/var/tmp/"$pkg"_*.deb "$dst.tmp/"
    else
      (cd "$dst.tmp" && retry apt-get download -qq "$pkg" >&2)
    fi || return 1
    dpkg -x "$dst.tmp/$pkg"_*.deb "$dst.tmp/x" && mv "$dst.tmp/x/boot/vmlinuz-"* "$dst.tmp/vmlinuz" &&
      rm -rf "$dst.tmp/x" "$dst.tmp"/*.deb "$dst" && mv "$dst.tmp" "$dst"
    is_kernel "$1" "$dst/vmlinuz" || return 1
  fi
  echo "$dst/vmlinuz"
}

if [ -n "${PYRR:-}" ]; then cp "$PYRR" "$work/pyrr"; else CGO_ENABLED=0 ${GO:-go} build -trimpath -ldflags '-E pyrr_entry' -o "$work/pyrr" ./cmd/pyrr; fi
build=${PYRR_BUILD:-$(git describe --always --exclude '*' 2>/dev/null)} || build=$(sha256sum "$work/pyrr" | cut -c1-12)

# What is recorded, here and there: fixtures by name, and if asked for a suite of which
# a test fails.
fixtures="nondet_values threads_queue"
suite=
case $what in all | missing | memory) PYRR_ELSEWHERE_SUITE=yes ;; esac
[[ $what = short || $what = memory || $what = yama ]] || fixtures="nondet_values signal_altstack threads_queue"
[ -z "${PYRR_ELSEWHERE_SUITE:-}" ] || suite=$(scripts/venv.sh pytest)
there=$work/root # what the guest has
mkdir -p "$there"/{bin,proc,sys,dev,tmp,lib64,elsewhere/here} "$there/elsewhere/suite"
cat >"$there/elsewhere/suite/test_pair.py" <<'PY'
import socket, threading


def test_pair():
    a, b = socket.socketpair()
    t = threading.Thread(target=b.sendall, args=(b"x" * 3,))
    t.start()
    assert a.recv(10) == b"xxx"
    t.join()


def test_fails():
    assert sum(x / 3 for x in range(100)) == 1
PY

# record.sh BASE OUT: records all; the same text runs here and in the guests. The
# other side is what verifies.
cat >"$there/elsewhere/record.sh" <<SH
base=\$1 out=\$2
for f in $fixtures; do
  # A fixture may end by a signal. What counts is that it was recorded.
  \$base/pyrr record --verify none --timeout 240s -o \$out/\$f.pyrr.zip -- $python \$base/fixtures/\$f.py </dev/null >/dev/null 2>\$out/\$f.err
  [ -e \$out/\$f.pyrr.zip ] || echo "RECORD \$f FAILED: \$(head -3 \$out/\$f.err | tr '\n' ' ')"
done
[ -n "$suite" ] || exit 0
cd \$base/suite
\$base/pyrr record --keep failure --verify none --timeout 240s -o \$out/suite -- $suite/bin/python -m pytest -q -p no:cacheprovider -p no:xdist . </dev/null >\$out/suite.out 2>&1
for f in \$out/suite/*.pyrr.zip; do [ -e "\$f" ] && mv \$f \$out/suite.pyrr.zip; done
[ -e \$out/suite.pyrr.zip ] || echo "RECORD suite FAILED: \$(tail -3 \$out/suite.out | tr '\n' ' ')"
SH
if [ "$what" = memory ]; then cat >"$there/elsewhere/memory.sh" <<SH
mkdir -p /tmp/m && cd /tmp/m
mount -t cgroup2 none /sys/fs/cgroup
echo +memory >/sys/fs/cgroup/cgroup.subtree_control
cat >test_mem.py <<'PY'
import os, time
big = bytearray(int(os.environ["BIG"]) << 20)
for i in range(0, len(big), 4096): big[i] = 1
def test_touch():
    for part in range(0, len(big), 10 << 20):
        for i in range(part, min(part + (10 << 20), len(big)), 4096): big[i] = 2
        time.sleep(0.05)
def test_after(): pass
PY
# tried NAME GROUP COMMAND...: the suite in a control group, and how it ended.
tried() {
  name=\$1 group=\$2
  shift 2
  mkdir -p /sys/fs/cgroup/\$group
  sh -c 'echo \$\$ >/sys/fs/cgroup/'\$group'/cgroup.procs; exec "\$@"' - "\$@" $suite/bin/python -m pytest -q -p no:cacheprovider -p no:xdist . >out 2>&1 </dev/null
  status=\$?
  [ \$status = 0 ] || { grep -m1 -aE -A12 '^(fatal error|runtime: |panic)' out || tail -n 12 out; } | sed 's/^/MEM   /'
  echo "MEMORY \$status \$name: \$(grep -aE '[0-9]+ (passed|failed)' out), peak \$(( \$(cat /sys/fs/cgroup/\$group/memory.peak) >> 20 )) MB, killed \$(grep -c '^oom_kill [1-9]' /sys/fs/cgroup/\$group/memory.events), \$(grep -a '^pyrr: warning' out | head -1)"
}
record="/elsewhere/pyrr record --keep timeout --timeout 900s -o rec --"
mkdir -p /sys/fs/cgroup/a /sys/fs/cgroup/b
echo 268435456 >/sys/fs/cgroup/a/memory.max
echo 268435456 >/sys/fs/cgroup/b/memory.max
export BIG=165
tried "memory.max of 256 MB, native" a
tried "memory.max of 256 MB, recorded" b \$record
export BIG=700
echo 2 >/proc/sys/vm/overcommit_memory
echo \$((\$(awk '/Committed_AS/ {print \$2}' /proc/meminfo) + 930000)) >/proc/sys/vm/overcommit_kbytes
grep -E 'Commit' /proc/meminfo | sed 's/^/MEM /'
tried "overcommit_memory=2, native" c
tried "overcommit_memory=2, recorded" d \$record
tail -5 out
SH
fi
if [ "$what" = yama ]; then cat >"$there/elsewhere/yama.sh" <<SH
cat >/tmp/as.py <<'PY'
import os, sys
if sys.argv[1] != "0":
    os.setgroups([]), os.setgid(int(sys.argv[1])), os.setuid(int(sys.argv[1]))
os.chdir("/tmp"), os.execv(sys.argv[2], sys.argv[2:])
PY
for scope in 0 1 2 3; do
  echo \$scope >/proc/sys/kernel/yama/ptrace_scope || echo "YAMA can't be set to \$scope"
  for user in 0 1000; do
    out=/tmp/yama-\$scope-\$user.pyrr.zip
    $python /tmp/as.py \$user /elsewhere/pyrr record -o \$out -- $python -c 'print(1)' >/tmp/said 2>&1 </dev/null
    echo "YAMA \$scope, uid \$user: record \$? \$(grep -a ^pyrr: /tmp/said | head -2 | tr '\n' ' ')"
    [ -e \$out ] || out=/tmp/yama-0-\$user.pyrr.zip
    $python /tmp/as.py \$user /elsewhere/pyrr replay --batch \$out >/tmp/said 2>&1 </dev/null
    echo "YAMA \$scope, uid \$user: replay \$? \$(grep -a ^pyrr: /tmp/said | head -2 | tr '\n' ' ')"
  done
done
SH
fi
cp -r fixtures "$there/elsewhere/fixtures"
cp "$work/pyrr" "$there/elsewhere/pyrr"
say "recording here"
sh "$there/elsewhere/record.sh" "$there/elsewhere" "$there/elsewhere/here" >&2
# A program that runs an instruction which it was built for, and asks no processor: what a guest
# that lacks it has to say.
native=
if grep -qw sha_ni /proc/cpuinfo && command -v gcc >/dev/null; then
  echo 'int main(void) { __asm__ volatile ("sha1nexte %xmm1, %xmm0"); return 0; }' >"$work/native.c"
  gcc -o "$work/native" "$work/native.c"
  "$work/pyrr" record --follow all -o "$there/elsewhere/native.pyrr.zip" -- "$work/native" >&2 && native=yes
fi
rm -rf "$there"/elsewhere/here/suite "$there"/elsewhere/here/*.err "$there"/elsewhere/here/*.out
count=$(find "$there/elsewhere/here" -name '*.zip' | wc -l)
wanted=$(($(wc -w <<<"$fixtures") + $([ -n "$suite" ] && echo 1 || echo 0)))
[ "$count" = "$wanted" ] || { say "$count of $wanted were recorded here"; exit 1; }

say "the guests' files"
cp "$(command -v busybox)" "$there/bin/busybox"
{
  echo "$python"
  ldd "$python" /usr/lib/python3.11/lib-dynload/*.so | awk '$2 == "=>" && $3 ~ /^\// {print $3} $1 ~ /^\/lib.*ld-linux/ {print $1}' | sort -u
} | tar -C / -chf - -P -T - | tar -C "$there" -xf - 2>"$work/tar"
# shellcheck disable=SC2086
find /usr/lib/python3.11 $suite -name __pycache__ -prune -o -name test -prune -o -name 'config-*' -prune -o -name ensurepip -prune -o -name pip -prune -o ! -type d -print |
  tar -C / -cf - -P -T - | tar -C "$there" -xf - 2>"$work/tar"
cat >"$there/init" <<'SH'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/tmp LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; mkdir -p /dev/pts /dev/shm
mount -t devpts pts /dev/pts; mount -t tmpfs shm /dev/shm; mount -t tmpfs tmp /tmp
ifconfig lo 127.0.0.1 up
echo "GUEST $(uname -r) $(grep -m1 'model name' /proc/cpuinfo)"
/elsewhere/pyrr doctor /usr/bin/python3.11 >/tmp/doctor 2>&1
grep 'User Dispatch' -A1 /tmp/doctor | sed 's/^/DOCTOR /'
if [ -e /elsewhere/memory.sh ]; then
  sh /elsewhere/memory.sh
  echo "DONE"
  poweroff -f
fi
if [ -e /elsewhere/yama.sh ]; then
  sh /elsewhere/yama.sh
  echo "DONE"
  poweroff -f
fi
for f in /elsewhere/here/*.zip; do
  /elsewhere/pyrr replay --batch $f >/tmp/out 2>&1 </dev/null
  echo "REPLAY $? $(basename $f .pyrr.zip) $(grep -a ^pyrr: /tmp/out | head -2 | tr '\n' ' ')"
  /elsewhere/pyrr info $f >/tmp/info 2>&1 || cat /tmp/info
done
if [ -e /elsewhere/native.pyrr.zip ]; then
  /elsewhere/pyrr replay --batch /elsewhere/native.pyrr.zip >/tmp/out 2>&1 </dev/null
  echo "NATIVE $? $(grep -wc sha_ni /proc/cpuinfo) $(grep -a 'error:' /tmp/out)"
fi
mkdir /tmp/there
sh /elsewhere/record.sh /elsewhere /tmp/there
stty raw -F /dev/ttyS1
cd /tmp/there && tar cf - *.zip 2>/dev/null | cat >/dev/ttyS1
echo "DONE"
poweroff -f
SH
chmod +x "$there/init"
(cd "$there" && find . | busybox cpio -o -H newc 2>/dev/null) >"$work/initramfs"

# keep LINE puts a guest's line in place of an older one.
keep() {
  local key
  exec 7>"$cache/.elsewhere.lock"
  flock 7
  key=$(cut -f1,2 <<<"$1")
  [ -e "$data" ] || printf 'processor\tkernel\texpected\ttried\texact\trefused\trecorded\tback\tbuild\n' >"$data"
  { head -1 "$data"; { tail -n +2 "$data" | grep -vF "$key"$'\t' || true; echo "$1"; } | sort -t$'\t' -k1,1 -k2,2V; } >"$work/data"
  cat "$work/data" >"$data"
  exec 7>&-
}

# boot runs the guest of the processor $cpu and the kernel $image to its end.
boot() {
  rm -rf "$work/there" && mkdir "$work/there"
  # A second without output is nothing under TCG; a quarter of an hour for two programs, or
  # half an hour for all, is too much.
  timeout $([ "$what" = short ] && echo 900 || echo 1800) qemu-system-x86_64 -accel tcg -cpu "$cpu" -m 1600 -smp 1 -nographic -no-reboot -monitor none \
    -kernel "$image" -initrd "$work/initramfs" -append "console=ttyS0 quiet panic=-1 loglevel=3" \
    -serial "file:$work/console" -serial "file:$work/there.tar" </dev/null >"$work/qemu" 2>&1 &
  wait $! || true
  tr -d '\r' <"$work/console" >"$work/text"
  grep -q '^DONE' "$work/text" && return
  say "$cpu $version: the guest did not come to its end"
  tail -n 5 "$work/text" "$work/qemu" >&2
  return 1
}

# yama WHAT SCOPE USER: what a line of the guest says of a recording or a replay.
yama() {
  local said
  said=$(grep -a "^YAMA $2, uid $3: $1 " "$work/text" | cut -d: -f2-)
  case $said in
  *" verified "*) echo "recorded, verified" ;;
  *" replay 0 "*) echo "exact" ;;
  *) sed -e 's/^.*pyrr: error: /refused: /' -e 's/ pyrr: hint: .*//' <<<"$said" ;;
  esac
}

# guest PROCESSOR KERNEL EXPECTED boots one, and returns 1 where it is not as expected.
guest() {
  local cpu=$1 version=$2 expected=$3 image replayed refused recorded=0 back=0 f good
  image=$(kernel "$version") || { say "skip $cpu $version: there is no such kernel"; return 0; }
  # What is tested can't keep a guest from its end; the emulator, or a kernel that boots on
  # it, now and then does.
  boot || { say "$cpu $version: once more" && boot; } || return 1
  if [ "$expected" = yama ]; then
    grep -a '^YAMA' "$work/text"
    for f in 0 1 2 3; do
      keep_place "Yama, ptrace_scope $f, root" "$(yama record "$f" 0)" "$(yama replay "$f" 0)" "$build"
      keep_place "Yama, ptrace_scope $f, an ordinary user" "$(yama record "$f" 1000)" "$(yama replay "$f" 1000)" "$build"
    done
    # Nothing but that: with 2 the ordinary user, with 3 everybody.
    [ "$(grep -acE '^YAMA ([01], uid .*|2, uid 0): (record|replay) 0 ' "$work/text")" = 10 ] &&
      [ "$(grep -acE '^YAMA (2, uid 1000|3, uid .*): (record 125|replay 4) .*ptrace_scope is' "$work/text")" = 6 ]
    return
  fi
  if [ "$expected" = memory ]; then
    grep -a '^MEM' "$work/text"
    [ "$(grep -ac '^MEMORY 0' "$work/text")" = 4 ]
    return
  fi
  tar -C "$work/there" -xf "$work/there.tar" 2>/dev/null || true
  replayed=$(grep -c '^REPLAY 0' "$work/text" || true)
  refused=$(grep -c '^REPLAY 4' "$work/text" || true)
  for f in "$work"/there/*.zip; do
    [ -e "$f" ] || continue
    recorded=$((recorded + 1))
    if "$work/pyrr" replay --batch "$f" >"$work/out" 2>&1 </dev/null; then
      back=$((back + 1))
    else
      say "$cpu $version: ${f##*/} recorded there, replayed here: $(head -2 "$work/out" | tr '\n' ' ')"
    fi
  done
  echo "$cpu, Linux $version: of $count, $replayed replayed there and $refused refused; $recorded recorded there, $back of them replayed here ($build)"
  [ "$what" != all ] && [ "$what" != missing ] || keep "$(printf '%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%s' "$cpu" "$version" "$expected" "$count" "$replayed" "$refused" "$recorded" "$back" "$build")"
  case $expected in
  replays) [ "$replayed" = "$count" ] && [ "$recorded" = "$count" ] && [ "$back" = "$count" ] && good=yes ;;
  refused) [ "$refused" = "$count" ] && [ "$recorded" = 0 ] && good=yes ;;
  esac
  # It has the instruction, or it is refused by name: at the start on a processor that lacks more.
  [ -z "$native" ] || grep -qE '^NATIVE (0 1 |4 0 .*(instruction of sha_ni|this processor lacks))' "$work/text" || good=
  grep '^DOCTOR' "$work/text" >&2 || true
  [ -n "${good-}" ] || { grep -E '^(REPLAY [^0]|RECORD|NATIVE)' "$work/text" >&2; return 1; }
}

failed=0
for g in "${guests[@]}"; do
  read -r cpu version expected <<<"$g"
  if [ "$what" = all ] && grep -qsP "^\Q$cpu\E\t\Q$version\E\t.*\t\Q$build\E\$" "$data"; then continue; fi
  if [ "$what" = missing ] && grep -qsF "$cpu"$'\t'"$version"$'\t' "$data"; then continue; fi
  guest "$cpu" "$version" "$expected" || failed=1
done
exit $failed
