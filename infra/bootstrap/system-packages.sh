# Sourced by setup.sh: the system's tools, by the Debian package that holds each.

missing_packages() {
  [ -n "${NATS_URL:-}" ] || has nats-server || echo nats-server
  has iptables-restore && has ip6tables-restore || echo iptables
  has ipset || echo ipset
  has ip && has tc || echo iproute2
  has conntrack || echo conntrack
  has nft || echo nftables
  has ps && has sysctl || echo procps
  has setpriv && has unshare || echo util-linux
  has mount || echo mount
  has nc || echo netcat-openbsd
  has ping || echo iputils-ping
  has systemd-analyze || echo systemd # a container may have none; the units are checked by it
}

install_system_packages() {
  packages=$(missing_packages | tr '\n' ' ')
  [ -n "$packages" ] || return 0
  has apt-get || fail "needs these packages, and there is no apt-get to install them: $packages(install them by hand)"
  say "installing $packages"
  log=$(mktemp)
  keep_services_down
  # shellcheck disable=SC2086 # a list of names
  if ! { as_root apt-get update -qq && apt_install $packages; } </dev/null >"$log" 2>&1; then
    reason=$(grep -m1 '^E:' "$log" || tail -n1 "$log")
    rm -f "$log"
    let_services_up
    fail "apt-get could not install $packages($reason); check the network and the package sources, then run it again"
  fi
  rm -f "$log"
  let_services_up
  still=$(missing_packages | tr '\n' ' ')
  [ -z "$still" ] || fail "apt-get installed $packages, but the tools of $still are still not found; look into PATH"
}

apt_install() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    -o DPkg::Lock::Timeout=120 "$@"
}

# Debian starts a service as soon as its package is installed, unless a policy says no. A policy of the machine's own
# is left as it is.
keep_services_down() {
  own_policy=
  [ ! -e /usr/sbin/policy-rc.d ] || return 0
  own_policy=yes
  trap let_services_up EXIT
  trap 'exit 130' INT TERM
  printf '#!/bin/sh\nexit 101\n' | as_root tee /usr/sbin/policy-rc.d >/dev/null
  as_root chmod 755 /usr/sbin/policy-rc.d
}

let_services_up() {
  [ -z "$own_policy" ] || as_root rm -f /usr/sbin/policy-rc.d
  own_policy=
  case " $packages" in
    *" nats-server "*) [ ! -d /run/systemd/system ] || as_root systemctl --quiet disable nats-server 2>/dev/null || : ;;
  esac
}
