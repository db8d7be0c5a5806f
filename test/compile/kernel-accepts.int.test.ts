import { openRehearsal, type RehearsalNamespace } from "@sluice/agents/exec/rehearsal-namespace";
import { probeTc } from "@sluice/agents/facts/probe-tc";
import { compile } from "@sluice/control/compile/compile";
import type { CompileInput } from "@sluice/control/compile/input";
import { bootStockKernel } from "@sluice/infra/stock-kernel/boot";
import { whyNoStockKernel } from "@sluice/infra/stock-kernel/requirements";
import type { Manifest, TcTree } from "@sluice/proto/manifest/manifest";
import type { PolicyDocument } from "@sluice/proto/policy/document";
import { parsePolicy } from "@sluice/proto/policy/parse";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openGuestNamespace } from "../stock-kernel/guest-namespace.ts";
import { ipsetText, restoreText } from "./restore-text.ts";

/**
 * Only the kernel knows whether what was compiled is right: every chain, set and tree of two policies that use most of
 * the language is loaded by the real tools, whole tables at once, as an agent does.
 */
const DEVICE = "eth0";

const WEB_EDGE = `
policy: web-edge
targets: { labels: { role: web } }
vars: { uplink: ${DEVICE}, office: 192.0.2.0/24 }
sets:
  office: { type: hash:net, entries: [$office, "2001:db8::/32", 10.0.0.1-10.0.0.9] }
  pairs: { type: "hash:ip,port", timeout: 10m, entries: ["192.0.2.1,80", "192.0.2.2,udp:53-55", "2001:db8::1,tcp:443"] }
  singles: { type: hash:ip, comment: true, entries: ["192.0.2.0/29", '192.0.2.99 comment "two words"'] }
  everything: { type: list:set, entries: [office, singles, "list:blocklist"] }
  low: { type: bitmap:port, range: 0-1023, entries: [22, 80-90, tcp:443] }
  desks: { type: bitmap:ip, range: 192.0.2.0/24, entries: [192.0.2.1, 192.0.2.8/30] }
firewall:
  default: { INPUT: { verdict: drop, log: "in: " }, FORWARD: reject }
  raw:
    PREROUTING:
      - -p udp --dport 53 -j NOTRACK
  mangle:
    PREROUTING:
      - -i $uplink -p tcp --syn -j TCPMSS --set-mss 1400
    FORWARD:
      - -m set --match-set list:blocklist src -j DROP
  nat:
    PREROUTING:
      - -p tcp --dport 8080 -j web
      - -d 2001:db8::5 -p tcp --dport 80 -j DNAT --to-destination [2001:db8::9]:8080
    web:
      - -p tcp -j DNAT --to-destination 10.0.0.1:80
    POSTROUTING:
      - -o $uplink -j MASQUERADE
  filter:
    INPUT:
      - -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
      - -p tcp --dport 22 -m set --match-set office src -m comment --comment "the \\"office\\"" -j ACCEPT
      - -m set ! --match-set everything src -m set --match-set low dst -p tcp -j ssh
      - -m set --match-set pairs src,dst -g ssh
      - -m set --match-set desks src -j ACCEPT
      - -p icmp --icmp-type echo-request -j ACCEPT
      - -p ipv6-icmp --icmpv6-type echo-request -j ACCEPT
      - -p tcp -m hashlimit --hashlimit-name connections --hashlimit-mode srcip --hashlimit-above 50/sec -j DROP
      - -s 203.0.113.0/24,198.51.100.7 -j REJECT --reject-with icmp-admin-prohibited
      - -p tcp -j REJECT --reject-with tcp-reset
    FORWARD:
      - -s 192.0.2.7 -j DOCKER-USER
    ssh:
      - -m recent --update --name blacklist --seconds 600 --hitcount 1 -j DROP
      - '-m limit --limit 5/min -j LOG --log-prefix "ssh try: "'
external: { chains: { filter: [DOCKER-USER] } }
blocks: [blocklist]
guards:
  ssh: { port: 22, limits: [{ hits: 2, within: 20s }, { hits: 14, within: 200s }], ban: { for: 600s, renew: true } }
shaping:
  $uplink:
    classes:
      web: { rate: 200kbit, ceil: 200kbit, priority: 1, match: [-p tcp --sport 80, -d 2001:db8::/32] }
      office: { rate: 300kbit, ceil: 1mbit, leaf: pfifo, match: -m set --match-set office dst }
      rest: { rate: 1024kbit, ceil: 1024kbit, priority: 2, default: true }
    ingress:
      classes:
        web: { rate: 500kbit, ceil: 500kbit, match: [-p tcp --dport 1000:1010, -s 192.0.2.0/24, -s 2001:db8::1] }
        rest: { rate: 1mbit, ceil: 1mbit, default: true, leaf: bfifo }
`;

const MAIL = `
policy: mail
order: 200
targets: { servers: ["*"] }
drift: report
firewall:
  filter:
    OUTPUT:
      - -o lo -j ACCEPT
      - -p tcp --dport 25 -m owner --uid-owner 0 -j ACCEPT
guards:
  smtp: { ports: [25, 587, "1000-1010"], limits: [{ hits: 9, within: 60s }], ban: { for: 1h, renew: false } }
`;

function documentOf(text: string): PolicyDocument {
  const parsed = parsePolicy(text);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems, undefined, 1));
  return parsed.document;
}

/** The smallest kernel that the demo must run on: no `fw`, no sfq. */
function manifestFor(filters: readonly string[]): Manifest {
  const input: CompileInput = {
    assigned: [WEB_EDGE, MAIL].map((text, index) => ({ revision: index + 1, document: documentOf(text) })),
    server: { name: "server-1", labels: { role: "web" } },
    facts: {
      hostname: "server-1",
      kernel: "",
      os: "",
      agent: "",
      devices: [{ name: DEVICE, mtu: 1500, txQueueLength: 1000, addresses: [] }],
      capabilities: {
        iptables: { version: "1.8.9", backend: "nft" },
        ipv6: true,
        qdiscs: ["htb", "tbf", "pfifo", "bfifo"],
        filters: [...filters],
        ifb: true,
        setTypes: ["hash:ip", "hash:net", "hash:ip,port", "bitmap:port", "bitmap:ip", "list:set"],
        recentMaxHits: 20,
        targets: ["CLASSIFY", "MARK", "LOG"],
      },
    },
    lists: { blocklist: { families: [4, 6] } },
  };
  const result = compile(input);
  if (!result.ok) throw new Error(JSON.stringify(result.problems, undefined, 1));
  return result.manifest;
}

function tcText(device: string, { qdiscs, classes, filters }: TcTree): string {
  const [root, ...leaves] = qdiscs.map(({ parent, handle, kind, args }) => {
    const place = parent === "root" ? ["root"] : ["parent", parent];
    return ["qdisc add dev", device, ...place, "handle", handle, kind, ...args].join(" ");
  });
  return [
    root,
    ...classes.map(({ parent, classid, kind, args }) =>
      ["class add dev", device, "parent", parent, "classid", classid, kind, ...args].join(" "),
    ),
    ...leaves,
    ...filters.map(({ parent, protocol, prio, handle, kind, args }) =>
      [
        "filter add dev",
        device,
        "parent",
        parent,
        "protocol",
        protocol,
        "prio",
        prio,
        "handle",
        handle,
        kind,
        ...args,
      ].join(" "),
    ),
    "",
  ].join("\n");
}

/** What the tool said, and the line of the text that it said it of. */
async function fed(ns: RehearsalNamespace, command: string, args: readonly string[], input: string) {
  const { code, stderr } = await ns.run(command, args, { input, timeoutMs: 10_000 });
  const line = /line:?\s*(\d+)|:(\d+)\b/i.exec(stderr);
  const at = code === 0 ? "" : (input.split("\n")[Number(line?.[1] ?? line?.[2]) - 1] ?? "");
  return { code, stderr: stderr.trim(), at };
}
const ACCEPTED = { code: 0, stderr: "", at: "" };

async function output(ns: RehearsalNamespace, command: string, args: readonly string[]): Promise<string> {
  return (await ns.run(command, args, { timeoutMs: 10_000 })).stdout;
}

const manifest = manifestFor(["u32"]);

describe.each(["nft", "legacy"] as const)("iptables-%s", (backend) => {
  let ns: RehearsalNamespace;
  beforeAll(async () => {
    ns = await openRehearsal();
    expect(await fed(ns, "ipset", ["restore"], ipsetText(manifest))).toEqual(ACCEPTED);
  });
  afterAll(() => ns?.close());

  test.each([4, 6] as const)("accepts every IPv%i chain, whole tables at once", async (family) => {
    const tool = `${family === 4 ? "iptables" : "ip6tables"}-${backend}`;
    expect(await fed(ns, `${tool}-restore`, ["--noflush"], restoreText(manifest, family))).toEqual(ACCEPTED);
    const saved = await output(ns, `${tool}-save`, []);
    const wanted = manifest.chains.filter((chain) => chain.family === family);
    for (const name of new Set(wanted.map((chain) => chain.name))) {
      const rules = wanted.filter((chain) => chain.name === name).flatMap((chain) => chain.rules);
      expect(
        saved.split("\n").filter((line) => line.startsWith(`-A ${name} `)).length,
      ).toBeGreaterThanOrEqual(rules.length);
    }
  });
});

test("the kernel holds each set's entries exactly as they were compiled", async () => {
  await using ns = await openRehearsal();
  expect(await fed(ns, "ipset", ["restore"], ipsetText(manifest))).toEqual(ACCEPTED);
  const saved = (await output(ns, "ipset", ["save"])).split("\n");
  for (const { name, entries } of manifest.sets) {
    const held = saved
      .filter((line) => line.startsWith(`add ${name} `))
      .map((line) => line.slice(`add ${name} `.length));
    const known = held.map((entry) => entry.replace(/ timeout \d+$/, ""));
    expect(known.toSorted()).toEqual(entries.toSorted());
  }
});

test("tc accepts both trees, the IFB's u32 filters in their own order", async () => {
  await using ns = await openRehearsal();
  const [device] = manifest.devices;
  if (device?.egress === undefined || device.ingress === undefined) throw new Error("no trees");
  const { ifb, tree } = device.ingress;
  await output(ns, "ip", ["link", "add", DEVICE, "type", "veth", "peer", "name", "peer"]);
  await output(ns, "ip", ["link", "add", ifb, "type", "ifb"]);
  expect(await fed(ns, "tc", ["-batch", "-"], tcText(DEVICE, device.egress))).toEqual(ACCEPTED);
  expect(await fed(ns, "tc", ["-batch", "-"], tcText(ifb, tree))).toEqual(ACCEPTED);

  expect(await output(ns, "tc", ["qdisc", "show", "dev", DEVICE])).toContain("default 0x30");
  const classes = await output(ns, "tc", ["class", "show", "dev", DEVICE]);
  expect(classes).toMatch(/class htb 1:10 root prio 1 rate 200Kbit ceil 200Kbit/);
  const filters = await output(ns, "tc", ["filter", "show", "dev", ifb]);
  expect([...filters.matchAll(/fh (800::\w+) order/g)].map(([, handle]) => handle)).toEqual(
    tree.filters.map(({ handle }) => handle),
  );
});

test("where a kernel has the fw filter, marks lead to the classes: this one, or else a stock one", async ({
  skip,
}) => {
  const egress = manifestFor(["u32", "fw"]).devices[0]?.egress;
  if (egress === undefined) throw new Error("no tree");
  await using opened = new AsyncDisposableStack();
  const here = opened.use(await openRehearsal());
  let ns = here;
  if (!(await probeTc(here)).filters.includes("fw")) {
    const obstacle = whyNoStockKernel();
    skip(obstacle !== undefined, `this kernel has no fw filter, and there is no stock kernel: ${obstacle}`);
    ns = opened.use(await openGuestNamespace(opened.use(await bootStockKernel())));
  }
  await output(ns, "ip", ["link", "add", DEVICE, "type", "veth", "peer", "name", "peer"]);
  expect(await fed(ns, "tc", ["-batch", "-"], tcText(DEVICE, egress))).toEqual(ACCEPTED);
  const filters = await output(ns, "tc", ["filter", "show", "dev", DEVICE]);
  expect(filters).toMatch(/protocol ip pref 1 fw chain 0 handle 0x10 classid 1:10/);
  expect(filters).toMatch(/protocol ipv6 pref 2 fw chain 0 handle 0x20 classid 1:20/);
});
