import type { PolicyDocument } from "@sluice/proto/policy/document";
import { chain, documentWith, guardWith, rule, set, shapedClass } from "./test-input.ts";

/** The design's own example: a web server behind a 1 Mbit uplink. */
export function webEdge(parts: Partial<PolicyDocument> = {}): PolicyDocument {
  return documentWith({
    vars: { uplink: { value: "eth0", servers: {}, labels: {}, line: 3, column: 3 } },
    sets: [set("office", "hash:net", ["192.0.2.0/24", "2001:db8::/32"])],
    firewall: {
      defaults: [],
      chains: [
        chain("filter", "INPUT", [
          "-m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
          "-p tcp --dport 22 -m set --match-set office src -j ACCEPT",
          "-p tcp --dport 22 -j ssh",
        ]),
        chain("filter", "ssh", ["-m recent --update --name blacklist --seconds 600 --hitcount 1 -j DROP"]),
      ],
    },
    blocks: [{ list: "blocklist", direction: "both", line: 15, column: 3 }],
    guards: [guardWith()],
    shaping: [
      {
        device: "$uplink",
        line: 29,
        column: 3,
        egress: {
          kind: "htb",
          line: 29,
          column: 3,
          classes: [
            shapedClass("web", 0x10, 200, { priority: 1, mark: 80, match: [rule("-p tcp --sport 80")] }),
            shapedClass("rest", 0x20, 1024, { priority: 2, isDefault: true }),
          ],
        },
      },
    ],
    probes: [{ tcp: "192.0.2.1:443", line: 40, column: 3 }],
    reach: [{ protocol: "tcp", port: 22, line: 41, column: 3 }],
    ...parts,
  });
}
