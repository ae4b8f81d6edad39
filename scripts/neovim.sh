#!/usr/bin/env bash
# Makes $PYRR_CACHE/nvim-dap, the client of the Debug Adapter Protocol for Neovim at a
# pinned commit, the newest that Debian 12's Neovim runs, installs that Neovim where it
# may, and prints the path. PYRR_NVIM_DAP names the repository of mfussenegger/nvim-dap
# to clone, a folder or an address: no package archive has it. Safe to run again; it
# fails where none is named and none was made before.
set -euo pipefail
cd "$(dirname "$0")"
. ./lib.sh

commit=debd7c2f80eaf20c5f5df25db8d8c1b9b18f4421 # 0.6.0
dap=$(pyrr_cache)/nvim-dap
exec 9>"$dap.lock"
flock 9
if [ "$(git -C "$dap" rev-parse HEAD 2>/dev/null)" != $commit ]; then
  : "${PYRR_NVIM_DAP:?names the repository of nvim-dap}"
  rm -rf "$dap"
  GIT_TERMINAL_PROMPT=0 timeout 60 git clone --quiet --filter=blob:none "$PYRR_NVIM_DAP" "$dap" >&2
  git -C "$dap" -c advice.detachedHead=false checkout --quiet $commit
fi
command -v nvim >/dev/null || apt_install neovim >&2
echo "$dap"
