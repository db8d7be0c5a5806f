import type { Lab } from "@sluice/infra/lab/start-lab";
import { commandIn } from "@sluice/infra/net/namespace";
import { startGuarded } from "@sluice/infra/process/guarded-child";
import { waitUntil } from "@sluice/infra/process/wait-until";
import type { ImportView } from "@sluice/proto/api/import";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  type BackendServer,
  FAMILIES,
  type Family,
  knock,
  onEach,
  startBothBackends,
} from "./both-backends.ts";
import { applyPolicy, endOf, planOf, rollBack, rollOut } from "./lab.ts";

/** A firewall that somebody wrote by hand, in both families. */
const BY_HAND = {
  both: [
    "-P INPUT DROP",
    "-N web",
    "-A web -p tcp --dport 80 -j ACCEPT",
    "-A INPUT -i lo -j ACCEPT",
    "-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
    "-A INPUT -p tcp --dport 22 -m comment --comment 'the way: in' -j ACCEPT",
    "-A INPUT -p tcp -j web",
    "-A INPUT -p udp --dport 5000 -j ACCEPT",
    "-t mangle -A OUTPUT -p tcp --sport 80 -j MARK --set-mark 80",
    "-t mangle -A OUTPUT -p tcp --sport 22 -j CLASSIFY --set-class 1:10",
  ],
  4: ["-A INPUT -p icmp -j ACCEPT", "-A INPUT -m set --match-set office src -p tcp --dport 8080 -j ACCEPT"],
  6: ["-A INPUT -p ipv6-icmp -j ACCEPT"],
};

/** An uplink shaped by hand; the firewall leads what it marks by CLASSIFY. */
const SHAPED = [
  "qdisc add dev eth0 root handle 1: htb default 20",
  "class add dev eth0 parent 1: classid 1:10 htb rate 100mbit ceil 400mbit prio 1",
  "class add dev eth0 parent 1: classid 1:20 htb rate 300mbit ceil 400mbit prio 2 burst 15k",
  "qdisc add dev eth0 parent 1:10 handle 10: pfifo limit 500",
];

let lab: Lab;
let servers: BackendServer[];
const imported = new Map<string, ImportView>();

beforeAll(async () => {
  ({ lab, servers } = await startBothBackends());
  await onEach(servers, async (server) => {
    await server.run("sh", "-c", "ipset create office hash:net && ipset add office 192.0.2.0/24");
    await server.run("sh", "-ec", SHAPED.map((line) => `tc ${line}`).join("\n"));
    for (const family of FAMILIES) {
      const tool = server.iptablesTool(family);
      const commands = [...BY_HAND.both, ...BY_HAND[family]].map((rule) => `${tool} ${rule}`);
      await server.run("sh", "-ec", commands.join("\n"));
    }
  });
});
afterAll(() => lab?.stop());

/** Bytes that each class has sent: a tree that is made anew begins at 0. */
async function shapedBytes({ run }: BackendServer): Promise<Map<string, number>> {
  const text = await run("tc", "-s", "class", "show", "dev", "eth0");
  return new Map(
    [...text.matchAll(/^class htb (\S+).*\n Sent (\d+)/gm)].map(([, id = "", sent]) => [id, Number(sent)]),
  );
}

/** With every counter of a rule. */
async function counted(server: BackendServer): Promise<string> {
  const saved = await Promise.all(
    FAMILIES.map((family) => server.run(`${server.iptablesTool(family)}-save`, "-c")),
  );
  return saved.join("").replace(/^[#:].*\n/gm, "");
}

async function countedPackets(server: BackendServer): Promise<number[]> {
  return [...(await counted(server)).matchAll(/^\[(\d+):\d+\]/gm)].map(([, packets]) => Number(packets));
}

test("an import says what stands, rule by rule in both families, sets with their entries", async () => {
  await onEach(servers, async ({ name }) => {
    const view = await lab.client.servers.import.query({ server: name });
    imported.set(name, view);
    expect(view.left).toEqual([]);
    const told = [
      "mode: imported",
      "default: { INPUT: drop }",
      "- -i lo -j ACCEPT",
      '-p tcp -m tcp --dport 22 -m comment --comment "the way: in" -j ACCEPT',
      "{ rule: -p icmp -j ACCEPT, family: ipv4 }",
      "{ rule: -p ipv6-icmp -j ACCEPT, family: ipv6 }",
      "- 192.0.2.0/24",
      "- qdisc: eth0",
      "class-20: { id: '20', priority: 2",
      "-j CLASSIFY --set-class",
    ];
    for (const text of told) expect(view.text).toContain(text);
  });
});

test("re-applied, it changes nothing: no rule, no set, no counter begins anew", async () => {
  const kernels = await Promise.all(servers.map((server) => server.kernel()));
  const packets = await Promise.all(servers.map(countedPackets));
  await onEach(servers, async ({ name }) => {
    await applyPolicy(lab, imported.get(name)?.text ?? "", "as it stands");
    const plan = await planOf(lab, { policy: name });
    expect(plan).toMatchObject({ state: "ok", answers: [{ differences: [] }] });
    expect(await rollOut(lab, name)).toMatchObject({ state: "completed" });
  });
  expect(await Promise.all(servers.map((server) => server.kernel()))).toEqual(kernels);
  for (const [index, server] of servers.entries())
    for (const [rule, now] of (await countedPackets(server)).entries())
      expect(now).toBeGreaterThanOrEqual(packets[index]?.[rule] ?? 0);
  await onEach(servers, async (server) => {
    expect(await knock(lab, server, 22)).toBe("accepted");
    expect(await knock(lab, server, 9000)).toBe("timeout");
  });
});

const BETWEEN_MS = 2;
const FLOOD = `
  const { createSocket } = require("node:dgram");
  const sockets = { 4: createSocket("udp4"), 6: createSocket("udp6") };
  const sent = {};
  const send = (to, port, key) =>
    sockets[to.includes(":") ? 6 : 4].send("x", port, to, (error) => error || (sent[key] = (sent[key] ?? 0) + 1));
  const timer = setInterval(() => {
    for (const to of process.argv.slice(1)) {
      send(to, 5000, to);
      send(to, 5001, "blocked");
    }
  }, ${BETWEEN_MS});
  process.stdin.once("data", () => {
    clearInterval(timer);
    setTimeout(() => process.stdout.write(JSON.stringify(sent), () => process.exit()), 100);
  });
`;

/** Datagrams that came through the firewall: nobody listens, and the kernel counts what finds no port. */
async function cameThrough({ run }: BackendServer, family: Family): Promise<number> {
  if (family === 6) return Number(/^Udp6NoPorts\s+(\d+)/m.exec(await run("cat", "/proc/net/snmp6"))?.[1]);
  return Number(/^Udp: \d+ (\d+)/m.exec(await run("cat", "/proc/net/snmp"))?.[1]);
}

/**
 * Runs it while every server is flooded in both families, on a port that is open and on one that is blocked. Of all that was
 * sent exactly that to the open one came through: nothing more, nothing less.
 */
async function underTraffic(work: () => Promise<void>): Promise<void> {
  const ways = servers.flatMap((server) => FAMILIES.map((family) => ({ server, family })));
  const before = await Promise.all(ways.map(({ server, family }) => cameThrough(server, family)));
  const targets = ways.map(({ server, family }) => server.address(family));
  const client = lab.fabric.host("client").namespace;
  const flood = startGuarded(commandIn(client, [process.execPath, "-e", FLOOD, ...targets]));
  try {
    let said = "";
    flood.stdout.on("data", (chunk) => {
      said += chunk;
    });
    await waitUntil("the flood", 30_000, async () => {
      const [server] = servers;
      return server !== undefined && (await cameThrough(server, 4)) > (before[0] ?? 0) + 50;
    });
    await work();
    flood.stdin.write("\n");
    await flood.exited;
    const sent: Record<string, number> = JSON.parse(said);
    expect(sent.blocked).toBeGreaterThan(1000);
    const after = await Promise.all(ways.map(({ server, family }) => cameThrough(server, family)));
    for (const [index, { server, family }] of ways.entries())
      expect({ backend: server.backend, family, came: (after[index] ?? 0) - (before[index] ?? 0) }).toEqual({
        ...{ backend: server.backend, family, came: sent[server.address(family)] },
      });
  } finally {
    await flood.stop();
  }
}

async function adopt(policy: string, more: { byHandMs?: number } = {}) {
  const { rollout } = await lab.client.rollouts.adopt.mutate({ policy, reason: "no more by hand", ...more });
  return await endOf(lab, rollout);
}

test("adopted and given back under traffic: not one packet is lost, not one blocked packet comes through", async () => {
  const kernels = await Promise.all(servers.map((server) => server.kernel()));
  const sent = await Promise.all(servers.map(shapedBytes));
  await underTraffic(async () => {
    await onEach(servers, async ({ name }) => {
      const adopted = await adopt(name);
      expect(adopted.servers.map(({ refusal }) => refusal?.reason)).toEqual([undefined]);
      expect(adopted).toMatchObject({ state: "completed" });
    });
    await onEach(servers, async (server) => {
      for (const family of FAMILIES) {
        const rules = await server.iptables(family, "-S");
        expect(rules).not.toMatch(/^-A INPUT (?!-j SL-)/m);
        expect(rules).not.toMatch(/^-N web$/m);
        expect(rules).toContain("-P INPUT DROP");
        expect(await knock(lab, server, 22, { family })).toBe("accepted");
        expect(await knock(lab, server, 9000, { family })).toBe("timeout");
      }
    });
    await onEach(servers, async ({ name }) => {
      expect(await rollBack(lab, name, "previous")).toMatchObject({ state: "completed" });
    });
  });
  expect(await Promise.all(servers.map((server) => server.kernel()))).toEqual(kernels);
  for (const [index, server] of servers.entries()) {
    const now = await shapedBytes(server);
    expect([...now.keys()].sort()).toEqual(["1:10", "1:20"]);
    for (const [id, bytes] of sent[index] ?? []) expect(now.get(id), id).toBeGreaterThanOrEqual(bytes);
    expect(sent[index]?.get("1:20")).toBeGreaterThan(0);
  }
});

test("what isn't adopted yet can be, what is can't: a policy is adopted once", async () => {
  await expect(adopt(servers[0]?.name ?? "")).rejects.toThrow("isn't `mode: imported`");
});

test("an adoption that nobody confirms is undone under traffic, everything where it was", async () => {
  const kernels = await Promise.all(servers.map((server) => server.kernel()));
  await underTraffic(async () => {
    await onEach(servers, async ({ name }) => {
      const text = `${imported.get(name)?.text ?? ""}deadline: 20s\n`;
      await applyPolicy(lab, text, "once more");
      const adopted = await adopt(name, { byHandMs: 10_000 });
      expect(adopted).toMatchObject({ state: "halted", servers: [{ refusal: { step: "confirm" } }] });
    });
    await waitUntil("the undo", 60_000, async () => {
      const now = await Promise.all(servers.map((server) => server.kernel()));
      return now.every((kernel, index) => kernel === kernels[index]);
    });
  });
});
