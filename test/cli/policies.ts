/** A firewall that lets in ssh and what a test wants; it says `reach`, so it confirms only where ssh is let in. */
export function doorPolicy(ports = "22,80", more = ""): string {
  return `policy: door
description: ssh and the web
targets: { servers: ["*"] }
firewall:
  default: { INPUT: drop }
  filter:
    INPUT:
      - -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
      - -p tcp -m multiport --dports ${ports} -j ACCEPT
reach: [tcp/22]
${more}`;
}

/** TPROXY is no target of table filter: iptables takes the words, the kernel doesn't. */
export const REFUSED_LINE = 6;
export const refusedByKernel = `policy: tproxy
targets: { servers: ["*"] }
firewall:
  filter:
    INPUT:
      - -p tcp -j TPROXY --on-port 3
`;
