import type { Lab } from "@sluice/infra/lab/start-lab";
import type { ImportView } from "@sluice/proto/api/import";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type BackendServer, FAMILIES, knock, onEach, startBothBackends } from "./both-backends.ts";
import { applyPolicy, planOf, rollOut } from "./lab.ts";

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
    "-t mangle -A OUTPUT -p tcp --sport 80 -j MARK --set-mark 80",
  ],
  4: ["-A INPUT -p icmp -j ACCEPT", "-A INPUT -m set --match-set office src -p tcp --dport 8080 -j ACCEPT"],
  6: ["-A INPUT -p ipv6-icmp -j ACCEPT"],
};

let lab: Lab;
let servers: BackendServer[];
const imported = new Map<string, ImportView>();

beforeAll(async () => {
  ({ lab, servers } = await startBothBackends());
  await onEach(servers, async (server) => {
    await server.run("sh", "-c", "ipset create office hash:net && ipset add office 192.0.2.0/24");
    for (const family of FAMILIES) {
      const tool = server.iptablesTool(family);
      const commands = [...BY_HAND.both, ...BY_HAND[family]].map((rule) => `${tool} ${rule}`);
      await server.run("sh", "-ec", commands.join("\n"));
    }
  });
});
afterAll(() => lab?.stop());

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
