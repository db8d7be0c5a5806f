#!/bin/sh
# What the tests under test/beside need beyond setup.sh: Docker's daemon, ufw and fail2ban, as Debian packages them.
# Optional: without them those tests are skipped.
#
# Promises:
# 1. Nothing is installed but an interpreter: the packages are unpacked into a folder of their own, where no service, no
#    start-up script and no firewall of this machine finds them.
# 2. A second run changes nothing.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"
folder=/var/lib/sluice-other-tools

[ ! -e "$folder/complete" ] || exit 0
has apt-get && has dpkg || {
  say "there is no apt-get here: the tests beside Docker, ufw and fail2ban will be skipped"
  exit 0
}
need_root "packages"
. "$here/system-packages.sh"

missing_packages() {
  [ -x /usr/bin/python3 ] || echo python3
  [ -e /usr/share/doc/libdevmapper1.02.1 ] || echo libdevmapper1.02.1
}

install_system_packages
say "unpacking Docker, ufw and fail2ban into $folder"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
log=$work/log
download() { (cd "$work" && as_root apt-get -q download docker.io containerd runc ufw fail2ban) </dev/null >"$log" 2>&1; }
download || { as_root apt-get update -qq >"$log" 2>&1 && download; } ||
  fail "apt-get could not download docker.io, ufw and fail2ban ($(tail -n1 "$log")); check the network and the package sources, then run it again"
as_root rm -rf "$folder"
as_root mkdir -p "$folder"
for package in "$work"/*.deb; do as_root dpkg-deb -x "$package" "$folder"; done
# one tree, as the machine's own: /lib and its like are links into /usr
for part in bin lib sbin; do
  [ -d "$folder/$part" ] || continue
  as_root mkdir -p "$folder/usr/$part"
  as_root cp -a "$folder/$part/." "$folder/usr/$part/"
  as_root rm -rf "${folder:?}/$part"
done
as_root touch "$folder/complete"
