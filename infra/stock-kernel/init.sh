#!/bin/sh
# PID 1 of the stock kernel: the machine's own root, read-only, under a tmpfs that takes all writes, with the kernel's
# modules where tools look for them; then the agent on the first serial line. When that ends, so does the kernel.
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH
. "${0%/*}/guest" # guest_node, guest_main
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

exec chroot . /bin/sh -c '
  # busybox takes a module that another modprobe is still loading for loaded: what several commands ask for at once
  # is there before the first of them
  busybox modprobe -a ipv6 ip_set ip_tables
  busybox stty raw -echo </dev/ttyS0
  "$1" "$2" <>/dev/ttyS0 >&0
  busybox poweroff -f
' init "$guest_node" "$guest_main"
