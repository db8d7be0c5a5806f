import { setEntries } from "@sluice/infra/demo/kernel";
import type { Lab } from "@sluice/infra/lab/start-lab";
import { waitUntil } from "@sluice/infra/process/wait-until";
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
import { applyPolicy, rollOut } from "./lab.ts";

const POLICY = `
policy: mass-block
targets: { servers: ["*"] }
blocks: [blocklist, { list: bans, direction: in }]
reach: [tcp/22]
`;

/** of each family */
const BLOCKED = 5_000;
const AMONG_THEM = { 4: "198.18.4.7", 6: "2001:db8:f:4::7" };
const NEXT = { 4: "203.0.113.77", 6: "2001:db8:77::77" };
const SOON_OVER = { 4: "203.0.113.78", 6: "2001:db8:77::78" };
const INWARD = { 4: "203.0.113.79", 6: "2001:db8:77::79" };
const PATIENCE_MS = 60_000;

let lab: Lab;
let servers: BackendServer[];

beforeAll(async () => {
  ({ lab, servers } = await startBothBackends());
  await addAddresses(lab, AMONG_THEM, NEXT, SOON_OVER, INWARD);
  const addresses = Array.from({ length: BLOCKED }, (_, n) => [Math.floor(n / 250), (n % 250) + 1]).flatMap(
    ([high, low]) => [`198.18.${high}.${low}`, `2001:db8:f:${high}::${low}`],
  );
  for (const list of ["blocklist", "bans"])
    await lab.client.lists.create.mutate({ list, reason: "known bad" });
  const changed = await lab.client.lists.change.mutate({
    list: "blocklist",
    add: addresses,
    reason: "a feed",
  });
  expect(changed).toMatchObject({ added: 2 * BLOCKED });
  await applyPolicy(lab, POLICY, "drop them early");
  expect(await rollOut(lab, "mass-block")).toMatchObject({ state: "completed" });
});
afterAll(() => lab?.stop());

async function eachWay(work: (server: BackendServer, family: Family) => Promise<void>): Promise<void> {
  await onEach(servers, async (server) => {
    for (const family of FAMILIES) await work(server, family);
  });
}

async function change(what: { list?: string; add?: string[]; del?: string[]; forMs?: number }) {
  return await lab.client.lists.change.mutate({ list: "blocklist", reason: "a test", ...what });
}

function setName(family: Family, list = "blocklist"): string {
  return `sl-l-${list}-${family}`;
}

test("ten thousand addresses stand behind one rule a direction, and what one of them sends is dropped", async () => {
  await eachWay(async (server, family) => {
    expect(await setEntries(server.namespace, setName(family))).toBe(BLOCKED);
    const rules = await server.iptables(family, "-t", "raw", "-S");
    expect(rules.split("\n").filter((rule) => rule.includes(setName(family)))).toEqual([
      `-A SL-OUTPUT -m set --match-set ${setName(family)} dst -j DROP`,
      `-A SL-PREROUTING -m set --match-set ${setName(family)} src -j DROP`,
    ]);
    expect(await knock(lab, server, 22, { family, from: AMONG_THEM[family] })).toBe("timeout");
  });
});

test("an address put on the list is dropped by every server, one taken off gets through again, with no rollout", async () => {
  await eachWay(async (server, family) =>
    expect(await knock(lab, server, 80, { family, from: NEXT[family] })).toBe("accepted"),
  );
  expect(await change({ add: Object.values(NEXT) })).toMatchObject({ added: 2 });
  await eachWay(async (server, family) => {
    const blocked = async () => (await knock(lab, server, 80, { family, from: NEXT[family] })) === "timeout";
    await waitUntil(`the block of ${NEXT[family]}`, PATIENCE_MS, blocked);
  });
  expect(await change({ del: Object.values(NEXT) })).toMatchObject({ removed: 2 });
  await eachWay(async (server, family) => {
    const open = async () => (await knock(lab, server, 80, { family, from: NEXT[family] })) === "accepted";
    await waitUntil(`the way back in for ${NEXT[family]}`, PATIENCE_MS, open);
  });
  expect((await lab.client.servers.ls.query({})).map(({ generation }) => generation)).toEqual([1, 1]);
});

test("a lifetime becomes the kernel's own timeout, and its end lets the address in with nobody's help", async () => {
  await change({ add: Object.values(NEXT), forMs: 3_600_000 });
  await eachWay(async (server, family) => {
    const timeout = async () =>
      Number(new RegExp(`^${NEXT[family]} timeout (\\d+)$`, "m").exec(await members(server, family))?.[1]);
    await waitUntil("the entry", PATIENCE_MS, async () => (await timeout()) > 0);
    expect(await timeout()).toBeGreaterThan(3500);
    expect(await timeout()).toBeLessThanOrEqual(3600);
  });
  await change({ add: Object.values(SOON_OVER), forMs: 12_000 });
  await eachWay(async (server, family) => {
    const listed = async () => (await members(server, family)).includes(SOON_OVER[family]);
    await waitUntil("the entry", PATIENCE_MS, listed);
    expect(await knock(lab, server, 80, { family, from: SOON_OVER[family] })).toBe("timeout");
  });
  lab.control.signal("SIGSTOP");
  try {
    await eachWay(async (server, family) => {
      const open = async () =>
        (await knock(lab, server, 80, { family, from: SOON_OVER[family] })) === "accepted";
      await waitUntil(`the end of the block of ${SOON_OVER[family]}`, PATIENCE_MS, open);
    });
  } finally {
    lab.control.signal("SIGCONT");
  }
});

test("a list blocks what goes out too, unless the policy says only in", async () => {
  await change({ list: "bans", add: Object.values(INWARD) });
  await using page = await lab.outside.listen(8099, { kind: "accept" });
  await eachWay(async (server, family) => {
    const station = lab.stations.get(server.name);
    const dial = async (to: string) =>
      (await station?.connect({ to, port: page.port, timeoutMs: 900 }))?.outcome;
    await waitUntil("the ban", PATIENCE_MS, async () => {
      return (await knock(lab, server, 80, { family, from: INWARD[family] })) === "timeout";
    });
    expect(await dial(AMONG_THEM[family])).toBe("timeout");
    expect(await server.packets(family, "raw", `${setName(family)} dst`)).toBeGreaterThan(0);
    expect(await server.packets(family, "raw", `${setName(family, "bans")} dst`)).toBe(0);
    expect(await server.iptables(family, "-t", "raw", "-S", "SL-OUTPUT")).not.toContain("bans");
  });
});

test.each([
  ["a server's own address", () => servers[0]?.address(4) ?? "", "server-1"],
  ["a server's own IPv6 address", () => servers[1]?.address(6) ?? "", "server-2"],
  ["control's address", () => lab.fabric.host("control").ipv4, "control"],
  ["a network that holds one of them", () => "10.77.0.0/24", ""],
])(
  "%s can't be put on a list: refused with whose it is, and the list stays as it was",
  async (_, address, owner) => {
    const before = await lab.client.lists.show.query({ list: "blocklist", limit: 1 });
    await expect(change({ add: ["192.0.2.55", address()] })).rejects.toThrow(
      new RegExp(`${address()} blocks an address of ${owner}.*, which is protected`),
    );
    expect(await lab.client.lists.show.query({ list: "blocklist", limit: 1 })).toEqual(before);
  },
);

async function members(server: BackendServer, family: Family): Promise<string> {
  return await server.run("ipset", "list", setName(family));
}
