#!/bin/sh
# PID 1 of the stock kernel: the machine's own root, read-only, under a tmpfs that takes all writes, with the kernel's
# modules where tools look for them; then the agent on the first serial line. When that ends, so does the kernel. Or
# systemd, which starts that agent among other things.
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH
own=${0%/*}
. "$own/guest" # guest_node, guest_main
modules=/usr/lib/uml/modules/$(uname -r)

mount -t tmpfs tmpfs /mnt
busybox insmod "$modules/kernel/fs/overlayfs/overlay.ko"
mkdir /mnt/writes /mnt/work /mnt/root
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/writes,workdir=/mnt/work /mnt/root
cd /mnt/root
mkdir -p "lib/modules/$(uname -r)"
mount --bind "$modules" "lib/modules/$(uname -r)"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t devtmpfs devtmpfs dev
mount -t tmpfs tmpfs run
mkdir run/netns
[ -x sbin/modprobe ] || ln -s "$(command -v busybox)" sbin/modprobe # the kernel asks it for modules
# busybox takes a module that another modprobe is still loading for loaded: what several commands ask for at once is there
# before the first of them
chroot . busybox modprobe -a ipv6 ip_set ip_tables

if [ -e "$own/prepare" ]; then
  cp "$own"/units/* etc/systemd/system/
  # what takes its time and has nothing to do in an hour's life
  for unit in kmod-static-nodes modprobe@ systemd-binfmt systemd-sysusers systemd-tmpfiles-setup systemd-update-utmp; do
    ln -s /dev/null "etc/systemd/system/$unit.service"
  done
  printf 'guest_node=%s\nguest_main=%s\n' "$guest_node" "$guest_main" >etc/guest
  cp "$own/prepare" run/prepare
  # the whole of it is what systemd takes for the machine: services that have a view of their own need a root that can move
  pivot_root . mnt
  chroot . /bin/sh -eu /run/prepare || chroot . busybox poweroff -f
  exec chroot . /lib/systemd/systemd --unit=guest.target </dev/console >/dev/console 2>&1
fi

exec chroot . /bin/sh -c '
  busybox stty raw -echo </dev/ttyS0
  "$1" "$2" <>/dev/ttyS0 >&0
  busybox poweroff -f
' init "$guest_node" "$guest_main"
