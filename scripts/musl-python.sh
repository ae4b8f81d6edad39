#!/usr/bin/env bash
# Builds CPython from Debian's source package on Debian's musl, for scripts/places.sh.
#
# Usage: musl-python.sh      into musl-python in the cache; what is there is kept
#
# It takes five minutes, needs root for packages that are missing, and prints the
# interpreter's path. Modules that need other libraries (ssl, zlib, ffi), and those that do not build there, are left out.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
fail() { say "$*"; exit 1; }
dst=$(pyrr_cache)/musl-python
if [ -x "$dst/bin/python3" ]; then
  echo "$dst/bin/python3"
  exit 0
fi
command -v musl-gcc >/dev/null || apt_install musl-tools || fail "no musl-gcc"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Lists of sources of our own: those of the machine stay as they are.
mkdir -p "$work"/apt/lists/partial "$work"/apt/cache/archives/partial "$work/apt/parts"
sed 's/^Types: deb$/Types: deb-src/' /etc/apt/sources.list.d/debian.sources >"$work/apt/parts/debian.sources"
cat >"$work/apt/conf" <<CONF
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$work/apt/parts";
Dir::State::lists "$work/apt/lists";
Dir::Cache "$work/apt/cache";
CONF
export APT_CONFIG=$work/apt/conf
cd "$work"
retry apt-get -qq update >&2
retry apt-get -qq source --download-only --tar-only python3.11 >&2
unset APT_CONFIG
tar -xf python3.11_*.orig.tar.*
cd Python-3.11.*

# musl has no headers of the kernel's, and musl-gcc is a gcc of glibc's: it says so of
# itself, and leaves out the table by which functions are found, which Alpine's has.
mkdir "$work/kernel"
ln -s /usr/include/linux /usr/include/asm-generic "$work/kernel/"
ln -s /usr/include/x86_64-linux-gnu/asm "$work/kernel/"
cat >"$work/cc" <<'CC'
#!/bin/sh
case $1 in
-print-multiarch | --print-multiarch) echo x86_64-linux-musl ;;
*) exec musl-gcc "$@" ;;
esac
CC
chmod +x "$work/cc"
./configure CC="$work/cc" CPPFLAGS="-isystem $work/kernel" LDFLAGS=-Wl,--eh-frame-hdr --build=x86_64-linux-musl \
  --prefix="$dst" --without-ensurepip --disable-test-modules >"$work/log" 2>&1 || fail "$(tail -3 "$work/log")"
make -j"$(nproc)" >"$work/log" 2>&1 || fail "$(tail -3 "$work/log")"
make install >"$work/log" 2>&1 || fail "$(tail -3 "$work/log")"
"$dst/bin/python3" -c 'import math, select, _struct'
echo "$dst/bin/python3"
