#!/bin/sh
# Runs a command where the files of some packages stand in /usr, though they aren't installed: in a mount namespace of its
# own (unshare --mount). What it writes to /var/lib stays in memory, and /dev can't be changed: a tool that makes its log
# file private has done so to /dev/null.
#
# peer-room.sh PACKAGES COMMAND [ARGUMENT…]   PACKAGES is where they were unpacked
set -eu
packages=$1
shift
mount --make-rprivate /
mount --bind /dev /dev
mount -o remount,bind,ro /dev
mount -t overlay overlay -o "lowerdir=$packages/usr:/usr" /usr
mount -t tmpfs none /var/lib
exec "$@"
