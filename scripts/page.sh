#!/usr/bin/env bash
# Makes $PYRR_CACHE/page-tools, the npm packages that internal/page/web pins by
# package-lock.json with hashes, and prints its path. With the argument build it also
# makes the page's script and style from their source. Safe to run again: nothing is
# done while the pins are the same. Needs node and npm.
set -euo pipefail
cd "$(dirname "$0")"
. ./lib.sh

command -v node >/dev/null && command -v npm >/dev/null || { say "needs node and npm on the PATH"; exit 1; }
web=$(realpath ../internal/page/web)
tools=$(pyrr_cache)/page-tools
stamp=$({ node --version; cat "$web/package.json" "$web/package-lock.json"; } | sha256sum)
exec 9>"$tools.lock"
flock 9
if [ "$(cat "$tools/.stamp" 2>/dev/null)" != "$stamp" ]; then
  say "making $tools"
  umask 022
  rm -rf "$tools"
  mkdir -p "$tools"
  cp "$web/package.json" "$web/package-lock.json" "$tools"
  # Packages bring no scripts that run here.
  retry npm ci --prefix "$tools" --ignore-scripts --no-audit --no-fund --silent >&2 9>&-
  echo "$stamp" >"$tools/.stamp"
fi
case ${1-} in
  "") ;;
  build)
    "$tools/node_modules/.bin/tsc" -p "$web"
    PYRR_PAGE_TOOLS=$tools node "$web/build.mjs" ;;
  *) say "usage: page.sh [build]"; exit 2 ;;
esac
echo "$tools"
