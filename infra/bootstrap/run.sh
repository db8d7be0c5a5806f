#!/bin/sh
# run.sh SCRIPT.ts|TOOL [ARGUMENT…]: set-up, then the script (or a tool of node_modules/.bin) on Node 24, as root.
# It becomes that process, so that a signal meant for it reaches it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

[ $# -gt 0 ] || { echo "usage: run.sh SCRIPT.ts|TOOL [ARGUMENT…]" >&2; exit 2; }
sh "$here/setup.sh"

PATH=$root/node_modules/.bin:$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH
case $1 in
  *.ts) set -- "$root/node_modules/.bin/node" "$@" ;;
  *)
    tool=$root/node_modules/.bin/$1
    shift
    set -- "$tool" "$@"
    ;;
esac

[ "$(id -u)" != 0 ] || exec "$@"
# sudo replaces PATH; env puts ours back. The URLs hold passwords, so they go by environment, not by argument.
exec sudo --preserve-env=DATABASE_URL,NATS_URL,DOCKER_HOST,TESTCONTAINERS_RYUK_DISABLED,CI,NO_COLOR,FORCE_COLOR,COLORTERM env "PATH=$PATH" "$@"
