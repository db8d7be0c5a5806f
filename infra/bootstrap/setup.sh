#!/bin/sh
# Makes a machine that has only git, Node and npm ready for the demo, the lab and the tests.
#
# Promises:
# 1. A second run changes nothing and takes a fraction of a second.
# 2. Only what is missing is installed, and no service is started or enabled by it.
# 3. What can't be had is one sentence on stderr that ends with the cure, and exit 1.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"

[ "$(uname -s)" = Linux ] || fail "needs a Linux kernel, and this is $(uname -s); use a Debian 12 or Ubuntu machine"

need_root "network namespaces"

has node || fail "Node is missing; install Node 20 or newer from https://nodejs.org"
has npm || fail "npm is missing; install it together with Node 20 or newer from https://nodejs.org"
node_major=$(node -p 'process.versions.node.split(".")[0]')
[ "$node_major" -ge 20 ] || fail "Node $node_major is too old; install Node 20 or newer from https://nodejs.org"

. "$here/system-packages.sh"
. "$here/npm-packages.sh"
. "$here/kernel.sh"

install_system_packages
install_npm_packages
check_kernel
