#!/bin/sh
# Docker's daemon, ufw and fail2ban in the network namespace that this is started in, and in a mount and a process
# namespace of their own (unshare --mount --pid --fork): what they write to /etc, /usr, /var and /run stays in memory.
#
# run.sh PACKAGES BACKEND   PACKAGES is where infra/bootstrap/other-tools.sh unpacked them, BACKEND `nft` or `legacy`
#
# Says `ready`, then obeys a line on stdin at a time: `docker up|down`, `ufw …`, `fail2ban …`, `jail NAME PROTOCOL PORTS`;
# answers each with `done CODE` and ends with stdin, all of its processes with it.
set -eu
packages=$1
backend=$2

mount --make-rprivate /
mount -t proc none /proc
mount -t tmpfs none /run
scratch=/run/scratch
over() { # over FOLDER LOWER
  mkdir -p "$scratch/$1/new" "$scratch/$1/work"
  mount -t overlay overlay -o "lowerdir=$2,upperdir=$scratch/$1/new,workdir=$scratch/$1/work" "/$1"
}
over usr "$packages/usr:/usr"
over etc "$packages/etc:/etc"
over var /var
mkdir -p /run/fail2ban /var/lib/fail2ban "$scratch/docker"
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
for family in iptables ip6tables; do
  for verb in "" -save -restore; do
    ln -sf "$(readlink -f "/usr/sbin/$family-$backend$verb")" "/usr/sbin/$family$verb"
  done
done

# what the packages' own scripts do when they are installed
cp /usr/share/ufw/iptables/*.rules /usr/share/ufw/ufw.conf /usr/share/ufw/*.init /etc/ufw/
rm -f /etc/fail2ban/jail.d/*
: >/run/auth.log
cat >/etc/fail2ban/jail.local <<'JAIL'
[DEFAULT]
banaction = iptables-multiport
backend = polling
[sshd]
enabled = true
logpath = /run/auth.log
JAIL

docker() {
  case $1 in
  up)
    dockerd --data-root "$scratch/docker" --exec-root "$scratch/exec" -H "unix://$scratch/docker.sock" \
      -p "$scratch/docker.pid" --storage-driver vfs >"$scratch/docker.log" 2>&1 &
    daemon=$!
    until grep -q 'API listen on' "$scratch/docker.log"; do
      kill -0 "$daemon" 2>/dev/null || { cat "$scratch/docker.log" >&2 && return 1; }
      sleep 0.1
    done
    ;;
  down)
    kill "$daemon"
    wait "$daemon" || :
    ;;
  esac
}
ufw() { python3 /usr/sbin/ufw "$@"; }
jail() { # NAME PROTOCOL PORTS: one more beside sshd
  printf '[%s]\nenabled = true\nfilter = sshd\nlogpath = /run/auth.log\nprotocol = %s\nport = %s\n' "$@" \
    >"/etc/fail2ban/jail.d/$1.conf"
  fail2ban reload
}
fail2ban() { python3 /usr/bin/fail2ban-client "$@"; }

echo ready
while read -r tool words; do
  code=0
  # shellcheck disable=SC2086 # words
  "$tool" $words </dev/null >&2 || code=$?
  echo "done $code"
done
