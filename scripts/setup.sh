#!/usr/bin/env bash
# Sets up what the tests and the demonstration need, and says what is there:
# Debian's Python and its regression tests, a virtual environment, and other
# interpreters. Safe to run again; without root it makes what it can.
#
# Usage: setup.sh [--minimal]    --minimal: only what `make demo` needs
set -euo pipefail
cd "$(dirname "$0")"
. ./lib.sh

command -v go >/dev/null || { say "needs Go 1.26 on the PATH"; exit 1; }
./venv.sh >/dev/null
./venv.sh pytest >/dev/null
./venv.sh pytest6 >/dev/null
[ "${1:-}" = --minimal ] && exit 0
./venv.sh greenlet >/dev/null || say "no gevent: the tests of greenlets are skipped"
# Tests run these programs; the regression tests are Debian's, of the same build as its Python.
apt_install procps util-linux || true
# C stacks are held against gdb's, with the debug files that both read.
apt_install gdb libc6-dbg || say "no gdb: the tests that compare with it are skipped"
if debian_python >/dev/null; then
  apt_install python3.11-dbg || true
  apt_install libpython3.11-testsuite || say "no regression tests of CPython: that part is skipped"
fi
./interpreters.sh
say "interpreters:"
./interpreters.sh list | awk '{ printf "  %-14s %s\n", $1, $2 }' >&2
