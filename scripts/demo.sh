#!/usr/bin/env bash
# The main job on a sample: fixtures/slow_http.py hangs in requests.get. pyrr
# records it with a time-out, and holds the recording against specs/.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

show() { echo; echo "\$ $*"; "$@"; }

scripts/setup.sh --minimal
python=$(scripts/venv.sh demo)/bin/python
recording=recordings/slow_http.pyrr.zip
mkdir -p recordings
rm -f "$recording"

status=0
show bin/pyrr record --timeout 8s --keep timeout -o "$recording" -- "$python" fixtures/slow_http.py || status=$?
[ $status = 124 ] || { say "the recorder ended with $status, not with 124 for a time-out"; exit 1; }
show bin/pyrr info "$recording"
show bin/pyrr check -v specs/slow_http.yaml
