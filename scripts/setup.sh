#!/usr/bin/env bash
# Sets up what the tests and the demonstration need, and says what is there:
# Debian's Python and its regression tests, a virtual environment, and other
# interpreters. Safe to run again; without root it makes what it can.
#
# Usage: setup.sh [--minimal | --tools]
#
#	--minimal    only what `make demo` needs: an environment with requests
#	--tools      everything but the other interpreters
set -euo pipefail
cd "$(dirname "$0")"
. ./lib.sh

command -v go >/dev/null || { say "needs Go 1.26 on the PATH"; exit 1; }
if [ "${1:-}" = --minimal ]; then
  exec ./venv.sh demo >/dev/null
fi
interpreters=
if [ "${1:-}" != --tools ]; then
  ./interpreters.sh &
  interpreters=$!
fi
# All in one go, then each by itself, so that one that is missing costs itself alone.
# Tests run these programs; the regression tests and debug files are Debian's, of
# the same build as its Python; C stacks are held against gdb's.
packages=(procps util-linux gdb libc6-dbg debootstrap unzip)
# pyrr for Linux on arm64 reads recordings under it.
packages+=(qemu-user-static)
# Recordings are pushed to a real registry, which a test starts by itself.
packages+=(docker-registry)
# The page of pyrr report is opened in it.
packages+=(chromium fonts-dejavu-core)
# GitHub's own parser of Markdown: summaries are shown by it.
packages+=(cmark-gfm)
command -v npm >/dev/null || packages+=(nodejs npm)
if debian_python >/dev/null; then
  packages+=(python3.11-venv python3.11-dbg libpython3.11-testsuite)
fi
apt_install "${packages[@]}" || for p in "${packages[@]}"; do
  apt_install "$p" || say "no $p: the tests that need it are skipped"
done
./venv.sh >/dev/null
# The others need not wait for each other.
./venv.sh greenlet >/dev/null &
greenlet=$!
./venv.sh mcp >/dev/null &
mcp=$!
./venv.sh pytest >/dev/null
./venv.sh pytest6 >/dev/null
./venv.sh pytest-more >/dev/null || say "no neighbours of pytest: the tests that need them are skipped"
wait $mcp || say "no client of the Model Context Protocol: its test is skipped"
./page.sh >/dev/null || say "no npm packages: the tests of the page's script and of the page in a browser are skipped"
./neovim.sh >/dev/null 2>&1 || say "no Neovim with nvim-dap: its test is skipped"
wait $greenlet || say "no gevent: the tests of greenlets are skipped"
if [ -n "$interpreters" ]; then
  wait $interpreters
  say "interpreters:"
  ./interpreters.sh list | awk '{ printf "  %-14s %s\n", $1, $2 }' >&2
fi
