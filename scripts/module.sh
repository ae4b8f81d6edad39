#!/usr/bin/env bash
# The path of the Go module, and with it the address of the project: go.mod is
# the one place that holds it, and all else is derived from it.
#
# Usage: module.sh            prints the path
#        module.sh PATH       makes it PATH (github.com/OWNER/pyrr): in go.mod, in all
#                             imports, and where README, docs/, packaging/ and the
#                             action's description name the repository
#
# For a fork that is to be installed by `go install PATH/cmd/pyrr@latest`.
set -euo pipefail
cd "$(dirname "$0")/.."

old=$(sed -n 's/^module //p' go.mod)
if [ $# = 0 ]; then
  echo "$old"
  exit
fi
new=$1
[[ $# = 1 && $new =~ ^[a-z0-9.-]+\.[a-z]+(/[A-Za-z0-9._~-]+){2,}$ ]] || {
  echo "module.sh: $* is no module path such as github.com/OWNER/pyrr" >&2
  exit 2
}
repository() { # the last two parts; OWNER/pyrr for a path without an owner
  case $1 in
  */*/*) echo "$1" | awk -F/ '{ print $(NF-1) "/" $NF }' ;;
  *) echo OWNER/pyrr ;;
  esac
}
mapfile -t go < <(git ls-files '*.go')
mapfile -t text < <(git ls-files README.md CONTRIBUTING.md SECURITY.md CHANGELOG.md 'docs/*.md' packaging action.yml .pre-commit-hooks.yaml)
quoted=${old//./\\.}
# Lines that are an import, alone or in a block.
sed -E -i "s#^((import )?[[:space:]]*([A-Za-z0-9_.]+ )?\")$quoted(/[^\"]*\"(\$|[[:space:]]*//))#\1$new\4#" "${go[@]}"
was=$(repository "$old")
sed -E -i "s#(^|[^A-Za-z0-9_.-])${was//./\\.}([^A-Za-z0-9_.-]|\$)#\1$(repository "$new")\2#g" "${text[@]}"
${GO:-go} mod edit -module="$new"
# Imports are in the order of their paths.
gofmt -w "${go[@]}"
echo "module.sh: $old is $new now; run make build" >&2
