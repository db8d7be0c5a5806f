import { afterAll, beforeAll, expect, test } from "vitest";
import { type GuestServer, must, openGuestServer } from "./guest-server.ts";
import { onStockKernel } from "./on-stock-kernel.ts";

const PATIENCE_MS = 240_000;
const WEB = `
policy: web
targets: { servers: ["*"] }
sets:
  office: { type: "hash:net", entries: [192.0.2.0/24, "2001:db8::/32"] }
firewall:
  default: { INPUT: drop }
  filter:
    INPUT:
      - -p tcp --dport 22 -m set --match-set office src -j ACCEPT
shaping:
  eth0:
    classes:
      web: { rate: 200kbit, match: -p tcp --sport 80 }
      rest: { rate: 1mbit, default: true }
`;

onStockKernel(
  "a server without IPv6",
  (kernel) => {
    let server: GuestServer;
    beforeAll(async () => {
      const devices = ["link add eth0 type veth peer name peer0", "address add 192.0.2.10/24 dev eth0"];
      server = await openGuestServer({ kernel: kernel(), devices });
    }, PATIENCE_MS);
    afterAll(() => server?.close());

    test("is known as one", () => {
      expect(server.facts.capabilities.ipv6).toBe(false);
      expect(server.facts.capabilities.iptables.backend).toBe("legacy");
    });

    test(
      "holds what is of IPv4, twice writes nothing, and nothing is left of it",
      async () => {
        const { left, again, manifest } = await server.hold(WEB);
        expect(left).toEqual([]);
        expect(again).toEqual([]);
        expect(new Set(manifest.chains.map(({ family }) => family))).toEqual(new Set([4]));
        expect(await must(server.live, "iptables-legacy-save", [])).toContain("sl-web-office");
        await server.hold();
        expect(await must(server.live, "iptables-legacy-save", [])).not.toContain("SL-");
      },
      PATIENCE_MS,
    );
  },
  { parameters: ["ipv6.disable=1"] },
);
