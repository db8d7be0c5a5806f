import type { Agent } from "@sluice/agents/run/agent";
import { waitUntil } from "@sluice/infra/process/wait-until";
import type { Manifest } from "@sluice/proto/manifest/manifest";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startTestAgent } from "./agent.ts";
import { createFakeControl, type FakeControl } from "./fake-link.ts";
import { firewall } from "./manifests.ts";
import { createTestServer, type TestServer } from "./server.ts";

/** One of each kind of object that can differ, a commented rule and a leaf among them. */
function everything(): Manifest {
  const manifest = firewall();
  const [device] = manifest.devices;
  if (device?.egress === undefined) throw new Error("no device");
  return {
    ...manifest,
    chains: manifest.chains.map((chain) =>
      chain.name === "SL-web-ssh"
        ? {
            ...chain,
            rules: [{ args: "-s 192.0.2.66 -m comment --comment ours -j DROP" }, ...chain.rules].filter(
              ({ args }) => chain.family === 4 || !args.includes("192.0.2.66"),
            ),
          }
        : chain,
    ),
    devices: [
      {
        ...device,
        egress: {
          ...device.egress,
          qdiscs: [
            ...device.egress.qdiscs,
            { parent: "1:10", handle: "10:", kind: "pfifo", args: ["limit", "50"] },
          ],
          filters: [
            {
              ...{ parent: "1:", protocol: "ip", prio: 1, handle: "800::800", kind: "u32" },
              args: ["match", "ip", "sport", "80", "0xffff", "flowid", "1:10"],
            },
          ],
        },
      },
    ],
  };
}

/** Several changes in one process: nobody is quick enough to come between. */
function batch(...lines: string[]): string {
  return `printf '${lines.join("\\n")}\\n' | tc -batch -`;
}

const RULES: readonly [what: string, command: string, object: string][] = [
  ["a changed rule", "iptables -R SL-web-ssh 2 -m limit --limit 9/minute -j ACCEPT", "SL-web-ssh"],
  ["a missing rule", "iptables -D SL-web-ssh -j DROP", "SL-web-ssh"],
  ["a rule too many", "iptables -A SL-web-ssh -p udp -j ACCEPT", "SL-web-ssh"],
  ["another order", "iptables -D SL-web-ssh -j DROP; iptables -I SL-web-ssh -j DROP", "SL-web-ssh"],
  [
    "a rule with our comment and another verdict",
    "iptables -R SL-web-ssh 1 -s 192.0.2.66 -m comment --comment ours -j ACCEPT",
    "SL-web-ssh",
  ],
  ["a missing jump", "iptables -D INPUT -j SL-INPUT", "INPUT"],
  ["a second jump", "iptables -A INPUT -j SL-INPUT", "INPUT"],
  [
    "a missing chain",
    `printf "*filter\\n-F SL-INPUT\\n-F SL-web-ssh\\n-X SL-web-ssh\\nCOMMIT\\n" | iptables-restore --noflush`,
    "SL-web-ssh",
  ],
  ["a chain too many", "iptables -N SL-stray; iptables -A SL-stray -j ACCEPT", "SL-stray"],
];

const SETS: readonly [what: string, command: string, object: string][] = [
  [
    "another option",
    "ipset create t hash:net maxelem 9 counters; ipset swap t sl-web-office-hn4; ipset destroy t",
    "set/sl-web-office-hn4",
  ],
  ["a member too many", "ipset add sl-web-office-hn4 203.0.113.66", "set/sl-web-office-hn4"],
  ["a missing member", "ipset del sl-web-office-hn4 198.51.100.7", "set/sl-web-office-hn4"],
  ["a set too many", "ipset create sl-stray hash:ip", "set/sl-stray"],
];

const SHAPING: readonly [what: string, command: string, object: string][] = [
  [
    "another default",
    batch("qdisc del dev eth0 root", "qdisc add dev eth0 root handle 1: htb default 10"),
    "eth0/qdisc/1:",
  ],
  ["a missing class", batch("filter del dev eth0", "class del dev eth0 classid 1:10"), "eth0/class/1:10"],
  [
    "a class with another rate",
    "tc class change dev eth0 parent 1: classid 1:20 htb rate 9mbit",
    "eth0/class/1:20",
  ],
  ["a class too many", "tc class add dev eth0 parent 1: classid 1:30 htb rate 1mbit", "eth0/class/1:30"],
  ["a missing filter", "tc filter del dev eth0", "eth0/filter"],
  [
    "a filter too many",
    "tc filter add dev eth0 parent 1: protocol ip prio 9 u32 match ip sport 81 0xffff flowid 1:20",
    "eth0/filter",
  ],
  [
    "a leaf with another parameter",
    "tc qdisc change dev eth0 parent 1:10 handle 10: pfifo limit 7",
    "eth0/qdisc/10:",
  ],
  [
    "a leaf of another kind",
    "tc qdisc replace dev eth0 parent 1:10 handle 77: bfifo limit 9000",
    "eth0/qdisc",
  ],
];

describe.each(["nft", "legacy"] as const)(
  "on %s, everything of ours that stands otherwise is drift, and is mended",
  (backend) => {
    let server: TestServer;
    let control: FakeControl;
    let agent: Agent;
    let whole: string;

    beforeAll(async () => {
      server = await createTestServer();
      control = createFakeControl();
      const intervals = { pollMs: 100, contentionLimit: 1_000 };
      agent = await startTestAgent(server, control, { backend, intervals });
      control.issue(everything(), 1);
      await waitUntil("generation 1", 60_000, () => control.outcomes().length === 1);
      expect(control.outcomes()).toMatchObject([{ result: "confirmed" }]);
      await waitUntil("rest", 60_000, () => agent.status().state === "idle");
      whole = await server.dump(backend);
    });
    afterAll(async () => {
      await agent?.close();
      await server?.remove();
    });

    async function isMended(command: string, object: string): Promise<void> {
      const told = control.drifts().length;
      await server.sh(command.replaceAll(/iptables(?=[ -])(-restore)?/g, `iptables-${backend}$1`));
      const differences = () =>
        control
          .drifts()
          .slice(told)
          .flatMap((one) => one.differences);
      await waitUntil(`the drift of ${object}`, 60_000, () =>
        differences().some((one) => one.object.startsWith(object)),
      );
      await waitUntil("the kernel as before", 60_000, async () => (await server.dump(backend)) === whole);
    }

    test.each(RULES)("%s", (_what, command, name) => isMended(command, `ip4/filter/${name}`));
    test("a repair keeps the counters of what it didn't touch", async () => {
      const packets = async () => Number(/^ *(\d+)/m.exec(await server.sh(countersOfLoopback))?.[1]);
      const countersOfLoopback = `iptables-${backend} -nvxL SL-INPUT | grep ' lo '`;
      await server.sh("ping -c 3 -i 0.01 -q 127.0.0.1");
      const before = await packets();
      expect(before).toBeGreaterThanOrEqual(6);
      await isMended("iptables -F SL-web-ssh", "ip4/filter/SL-web-ssh");
      expect(await packets()).toBeGreaterThanOrEqual(before);
    });

    if (backend === "nft") {
      test.each(SETS)("%s in sets", (_what, command, object) => isMended(command, object));
      test.each(SHAPING)("%s in shaping", (_what, command, object) => isMended(command, object));
    }
  },
);
