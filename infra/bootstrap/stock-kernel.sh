#!/bin/sh
# What the tests under test/stock-kernel need beyond setup.sh: a stock Debian kernel that runs as a process, and what it
# boots with. Optional: without it those tests are skipped. A second run changes nothing.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"

[ "$(uname -m)" = x86_64 ] || {
  say "user-mode Linux exists for x86-64, and this is $(uname -m): the tests of a stock kernel will be skipped"
  exit 0
}
need_root "packages"
. "$here/system-packages.sh"

missing_packages() {
  [ -x /usr/bin/linux.uml ] || echo user-mode-linux
  has busybox || echo busybox
  # With AMX user-mode Linux needs a small library, which is compiled where it is used.
  if grep -q -m1 '^flags.*\bamx_tile\b' /proc/cpuinfo && ! has cc; then printf '%s\n' gcc libc6-dev; fi
}

install_system_packages
