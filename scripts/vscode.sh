#!/usr/bin/env bash
# Makes the extension for VS Code, dist/pyrr.vsix, with the npm packages that
# editors/vscode/package-lock.json pins by hashes: checks the types, runs its tests on
# bin/pyrr, packs it. Needs node and npm, and the network the first time.
set -euo pipefail
cd "$(dirname "$0")"
. ./lib.sh

command -v node >/dev/null && command -v npm >/dev/null || { say "needs node and npm on the PATH"; exit 1; }
root=$(realpath ..)
work=$(pyrr_cache)/vscode
exec 9>"$work.lock"
flock 9
mkdir -p "$work"
rm -rf "$work/src" "$work/test" "$work/out"
cp -r "$root"/editors/vscode/. "$work"
cd "$work"
npm ci --silent --no-audit --no-fund --ignore-scripts
npx tsc -p .
PYRR=${PYRR:-$root/bin/pyrr} PYTHON=${PYTHON:-python3} timeout 300 node out/test/session.test.js
mkdir -p "$root/dist"
npx vsce package --no-dependencies --allow-missing-repository --skip-license -o "$root/dist/pyrr.vsix" >/dev/null
say "made dist/pyrr.vsix"
