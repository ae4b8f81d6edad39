#!/usr/bin/env bash
# Counts the bytecode instructions of Debian's Python for arm64 in a guest of
# qemu-system-aarch64, under Debian's kernel for it: main.go is the guest's first process
# and says what it does. Packages come by apt, into the cache; nothing is installed but
# qemu. Takes some minutes; no part of the tests.
#
# Usage: spike.sh          prints what the guest said; exit status 1 where that was not PASS
#        spike.sh table    starts no guest: prints where the table of that Python is
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/lib.sh
command -v qemu-system-aarch64 >/dev/null || apt_install qemu-system-arm
command -v busybox >/dev/null || apt_install busybox-static

cache=$(pyrr_cache)/arm64
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT

# fetch downloads and unpacks the packages, by lists of its own: this machine's
# architecture and packages stay as they are.
fetch() {
  local key=/usr/share/keyrings/debian-archive-keyring.gpg apt=$work/apt to=$cache.tmp kernel
  rm -rf "$to" && mkdir -p "$to/debs" "$to/kernel" "$to/root" "$apt"/{etc/apt.conf.d,etc/preferences.d,lists/partial,cache/archives/partial,state}
  touch "$apt/state/status"
  # From where this machine's own packages come.
  echo "deb [arch=arm64 signed-by=$key] $(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep '/debian$' | sort -u | head -1) trixie main" >"$apt/etc/sources.list"
  cat >"$apt/apt.conf" <<CONF
APT::Architecture "arm64"; APT::Architectures {"arm64";}; APT::Sandbox::User "root";
Dir::Etc "$apt/etc"; Dir::State "$apt/state"; Dir::State::lists "$apt/lists"; Dir::State::status "$apt/state/status"; Dir::Cache "$apt/cache";
CONF
  export APT_CONFIG=$apt/apt.conf
  retry apt-get -qq update
  kernel=$(apt-cache depends linux-image-cloud-arm64 | awk '$1 == "Depends:" {print $2; exit}')
  (cd "$to/debs" && retry apt-get -qq download "$kernel" python3.13-minimal libpython3.13-minimal libc6 libexpat1 zlib1g)
  for deb in "$to"/debs/*.deb; do
    case $deb in */linux-image-*) dpkg -x "$deb" "$to/kernel" ;; *) dpkg -x "$deb" "$to/root" ;; esac
  done
  mv "$to"/kernel/boot/vmlinuz-* "$to/vmlinuz" && rm -rf "$to/kernel" "$to/debs" "$cache" && mv "$to" "$cache"
}

[ -e "$cache/vmlinuz" ] || (fetch) >&2
if [ "${1:-}" = table ]; then
  ${GO:-go} run ./scripts/arm64 "$cache/root/usr/bin/python3.13"
  exit
fi
mkdir -p "$work/root"/{proc,dev} && cp -a "$cache/root/usr" "$work/root/"
rm -rf "$work/root/usr/share" "$work/root/usr/lib/aarch64-linux-gnu/gconv"
ln -s usr/lib "$work/root/lib"
CGO_ENABLED=0 GOARCH=arm64 ${GO:-go} build -trimpath -o "$work/root/init" ./scripts/arm64
(cd "$work/root" && find . | busybox cpio -o -H newc 2>/dev/null) >"$work/initramfs"
# With branch protection (`max` has it), held by PROT_BTI.
timeout 1200 qemu-system-aarch64 -M virt -cpu max,pauth-impdef=on -m 1024 -nographic -no-reboot -monitor none -serial "file:$work/console" \
  -kernel "$cache/vmlinuz" -initrd "$work/initramfs" -append "console=ttyAMA0 quiet panic=-1 loglevel=3" </dev/null >"$work/qemu" 2>&1 &
wait $! || true
tr -d '\r' <"$work/console" | grep -E '^(KERNEL|TABLE|BODY|COUNT|PASS|FAIL)' || { tail -20 "$work/console" "$work/qemu" >&2; exit 1; }
grep -q '^PASS' "$work/console"
