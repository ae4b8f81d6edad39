#!/usr/bin/env bash
# Makes $PYRR_CACHE/venv-311, a virtual environment of Debian's Python 3.11 with
# what fixtures/requirements.txt pins, and prints its path. In its folder
# connection/ is another urllib3, for PYTHONPATH. With the argument pytest it is
# venv-pytest: pytest and its plugins, which would load themselves into every
# session of the other; with pytest-more it is venv-pytest-more, with neighbours of
# pytest besides; with pytest6 it is venv-pytest6, with the oldest pytest that
# runs there; with greenlet it is venv-greenlet, with gevent, which
# replaces much of the standard library where it is loaded; with mcp it is
# venv-mcp, with a client of the Model Context Protocol; with pre-commit it is
# venv-pre-commit, with that; with demo it is
# venv-demo, with requests alone. Safe to run again: nothing is done while the pins
# and the interpreter are the same. Every user can run it (the tests run once as
# nobody).
set -euo pipefail
cd "$(dirname "$0")"
. ./lib.sh

cache=$(pyrr_cache)
case ${1-} in
  "") requirements=../fixtures/requirements.txt connection=../fixtures/requirements-connection.txt
    venv=$cache/venv-311 module=requests ;;
  pytest) requirements=../fixtures/pytest_suite/requirements.txt connection=""
    venv=$cache/venv-pytest module=xdist ;;
  pytest-more) requirements=../fixtures/pytest_suite/requirements-more.txt connection=""
    venv=$cache/venv-pytest-more module=django ;;
  pytest6) requirements=../fixtures/pytest_suite/requirements-6.txt connection=""
    venv=$cache/venv-pytest6 module=pytest ;;
  greenlet) requirements=../fixtures/requirements-greenlet.txt connection=""
    venv=$cache/venv-greenlet module=gevent ;;
  mcp) requirements=../fixtures/requirements-mcp.txt connection=""
    venv=$cache/venv-mcp module=mcp ;;
  pre-commit) requirements=../fixtures/requirements-pre-commit.txt connection=""
    venv=$cache/venv-pre-commit module=pre_commit ;;
  demo) requirements=../fixtures/requirements-http.txt connection=""
    venv=$cache/venv-demo module=requests ;;
  *) say "usage: venv.sh [demo|pytest|pytest-more|pytest6|greenlet|mcp|pre-commit]"; exit 2 ;;
esac

if ! py=$(debian_python); then
  apt_install python3.11 || true
  py=$(debian_python) || py=$(ls "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.11.*/bin/python3 2>/dev/null | tail -1) || true
  [ -n "$py" ] || { say "no Python 3.11: install Debian 12's python3.11 or one of pyenv's"; exit 1; }
fi
# Debian splits ensurepip off into python3.11-venv.
"$py" -c 'import ensurepip' 2>/dev/null || apt_install python3.11-venv

# What a set takes in by -r is part of it.
taken=$(sed -n "s|^-r |${requirements%/*}/|p" "$requirements")
stamp=$({ "$py" -VV; realpath "$py"; cat "$requirements" $taken ${connection:+"$connection"}; } | sha256sum)
exec 9>"$cache/.${venv##*/}.lock"
flock 9
if [ "$(cat "$venv/.stamp" 2>/dev/null)" != "$stamp" ] || ! "$venv/bin/python" -c "import $module" 2>/dev/null; then
  say "making $venv"
  umask 022
  rm -rf "$venv"
  "$py" -m venv "$venv"
  # The pins alone: a resolver that looks at requirements takes what was released
  # since for "coverage[toml]" although coverage is pinned, and refuses its hash.
  pip_install() { retry "$venv/bin/python" -m pip install --no-deps --require-hashes --no-input --quiet --disable-pip-version-check "$@" </dev/null >&2; }
  pip_install --require-virtualenv -r "$requirements"
  # Nothing is resolved, so this says what a set lacks.
  lacks=$("$venv/bin/python" -m pip check --disable-pip-version-check </dev/null) ||
    { say "$requirements is not a complete set: $lacks"; exit 1; }
  [ -z "$connection" ] || pip_install --target "$venv/connection" -r "$connection"
  # Byte code now, so that the first recorded run does not differ from the rest.
  "$venv/bin/python" -m compileall -q "$venv/lib" ${connection:+"$venv/connection"} >/dev/null || true
  chmod -R a+rX "$venv"
  echo "$stamp" >"$venv/.stamp"
fi
echo "$venv"
