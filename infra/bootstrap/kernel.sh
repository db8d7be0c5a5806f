# Sourced by setup.sh: whether this kernel, and our rights here, allow what the lab is made of.

check_kernel() {
  probe=sluice-probe-$$
  trap 'as_root ip netns delete "$probe" 2>/dev/null || :' EXIT
  trap 'exit 130' INT TERM
  reason=$(as_root ip netns add "$probe" 2>&1) ||
    fail "network namespaces can't be made here ($reason); in a container run it with --privileged, else look for CONFIG_NET_NS"
  reason=$(as_root ip netns exec "$probe" true 2>&1) ||
    fail "network namespaces can't be entered here ($reason); in a chroot, make its root a mount point, else run it as root"
  reason=$(as_root ip -n "$probe" link add probe0 type veth peer name probe1 2>&1) ||
    fail "pairs of virtual devices can't be made here ($reason); load them with: modprobe veth"
  reason=$(as_root ip -n "$probe" link add probe2 type bridge 2>&1) ||
    fail "bridges can't be made here ($reason); load them with: modprobe bridge"
  reason=$(as_root ip netns exec "$probe" ipset list -n 2>&1) ||
    fail "ipset does not work here ($reason); load it with: modprobe ip_set"
  reason=$(as_root env XTABLES_LOCKFILE=/dev/null ip netns exec "$probe" iptables -S 2>&1) ||
    fail "iptables does not work here ($reason); load it with: modprobe ip_tables nf_tables"
  as_root ip netns delete "$probe"
  trap - EXIT INT TERM
}
