import type { Lab } from "@sluice/infra/lab/start-lab";
import { waitUntil } from "@sluice/infra/process/wait-until";
import type { RuleHitsView } from "@sluice/proto/api/hits";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  addAddresses,
  type BackendServer,
  FAMILIES,
  type Family,
  knock,
  onEach,
  startBothBackends,
} from "./both-backends.ts";
import { applyPolicy, planOf, rollOut } from "./lab.ts";

const BAD = { 4: "203.0.113.66", 6: "2001:db8:66::1" };

const POLICY = `policy: door
targets: { servers: ["*"] }
mode: observe
firewall:
  default: { INPUT: drop }
  filter:
    INPUT:
      - -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
      - -p icmp -j ACCEPT
      - -p ipv6-icmp -j ACCEPT
      - -p tcp --dport 22 -j ssh
      - -p tcp --dport 9000 -j REJECT
      - -p tcp --dport 9001 -j DROP
    ssh:
      - -s ${BAD[4]} -j DROP
      - -s ${BAD[6]} -j DROP
      - -j ACCEPT
reach: [tcp/22]
`;

const ENFORCED = POLICY.replace("mode: observe", "mode: enforce");

let lab: Lab;
let servers: BackendServer[];

beforeAll(async () => {
  ({ lab, servers } = await startBothBackends());
  await addAddresses(lab, BAD);
  await applyPolicy(lab, POLICY, "look first");
  expect(await rollOut(lab, "door")).toMatchObject({ state: "completed" });
});
afterAll(() => lab?.stop());

async function eachWay(work: (server: BackendServer, family: Family) => Promise<void>): Promise<void> {
  await onEach(servers, async (server) => {
    for (const family of FAMILIES) await work(server, family);
  });
}

test("an observed policy lets through what it would drop, and counts and logs it", async () => {
  await eachWay(async (server, family) => {
    const log = (line: number) => server.packets(family, "filter", `"observe door:${line} "`);
    const before = await log(12);
    const banned = family === 4 ? 15 : 16;
    expect(await knock(lab, server, 9000, { family })).toBe("accepted");
    expect(await log(12)).toBe(before + 1);
    expect(await knock(lab, server, 22, { family })).toBe("accepted");
    expect(await log(banned)).toBe(0);
    expect(await knock(lab, server, 22, { family, from: BAD[family] })).toBe("accepted");
    expect(await log(banned)).toBe(1);
  });
});

/** Has the servers count, and answers with what the rule in this line matched on all of them. */
async function hitsOf(line: number): Promise<RuleHitsView> {
  const { rules, silent } = await lab.client.policies.hits.query({ policy: "door", now: true });
  expect(silent).toEqual([]);
  const found = rules.find((rule) => rule.line === line);
  if (found === undefined) throw new Error(`no rule in line ${line}`);
  return found;
}

test("an observed default counts what no rule would have accepted, and nothing else", async () => {
  const before = await hitsOf(5);
  const accepted = await hitsOf(11);
  await eachWay(async (server, family) => {
    expect(await knock(lab, server, 80, { family })).toBe("accepted");
    expect(await knock(lab, server, 22, { family })).toBe("accepted");
  });
  // a knock on port 80 is more than one packet, and the first alone isn't of an established connection
  expect((await hitsOf(5)).packets).toBe(before.packets + 4);
  expect((await hitsOf(11)).packets).toBe(accepted.packets + 4);
});

test("hits are told rule by rule, and what nothing matched is unused", async () => {
  const { rules } = await lab.client.policies.hits.query({ policy: "door", now: true });
  expect(rules.find(({ line }) => line === 12)).toMatchObject({
    ...{ text: "-p tcp --dport 9000 -j REJECT", mode: "observe", does: "drop" },
    ...{ packets: 4, servers: 2, hitOn: 2, unused: false },
  });
  expect(rules.find(({ line }) => line === 13)).toMatchObject({ packets: 0, servers: 2, unused: true });
});

test("hits survive a chain that was written anew, and an agent that was away", async () => {
  const before = await hitsOf(12);
  await onEach(servers, async (server) => {
    await server.iptables(4, "-F", "SL-door-INPUT");
    await server.iptables(6, "-F", "SL-door-INPUT");
  });
  await waitUntil("the repair", 60_000, async () => {
    const drifts = await lab.client.drift.ls.query({ all: true });
    return servers.every(({ name }) =>
      drifts.some(({ server, action }) => server === name && action === "repaired"),
    );
  });
  await eachWay(async (server, family) => {
    expect(await knock(lab, server, 9000, { family })).toBe("accepted");
  });
  for (const { name } of servers) await lab.agent(name).down();
  await eachWay(async (server, family) => {
    expect(await knock(lab, server, 9000, { family })).toBe("accepted");
  });
  for (const { name } of servers) lab.agent(name).start();
  await waitUntil("all hits", 60_000, async () => {
    expect((await hitsOf(12)).packets).toBe(before.packets + 8);
    return true;
  });
});

test("a plan says what observing found, before the change that enforces it", async () => {
  const { observed } = await planOf(lab, { file: { name: "door.yaml", text: ENFORCED } });
  expect(observed?.revision).toBe(1);
  expect(observed?.rules.map(({ line }) => line)).toEqual([5, 12, 13, 15, 16]);
  expect(observed?.rules.find(({ line }) => line === 12)).toMatchObject({
    servers: 2,
    hitOn: 2,
    packets: 12,
  });
});

test("enforced, the same policy drops what it would have dropped, and its hits begin anew", async () => {
  await applyPolicy(lab, ENFORCED, "now for real");
  expect(await rollOut(lab, "door")).toMatchObject({ state: "completed" });
  expect((await planOf(lab, { policy: "door" })).observed).toBeUndefined();
  await eachWay(async (server, family) => {
    expect(await knock(lab, server, 9001, { family })).toBe("timeout");
    expect(await knock(lab, server, 80, { family })).toBe("timeout");
    expect(await knock(lab, server, 22, { family, from: BAD[family] })).toBe("timeout");
    expect(await knock(lab, server, 22, { family })).toBe("accepted");
  });
  expect(await lab.client.policies.hits.query({ policy: "door", now: true })).toMatchObject({ revision: 2 });
  const dropped = await hitsOf(13);
  expect(dropped).toMatchObject({ mode: "enforce", servers: 2, hitOn: 2 });
  // each SYN, and perhaps its repetition
  expect(dropped.packets).toBeGreaterThanOrEqual(4);
  expect(dropped.packets).toBeLessThanOrEqual(8);
});
