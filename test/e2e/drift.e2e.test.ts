import type { Lab } from "@sluice/infra/lab/start-lab";
import { waitUntil } from "@sluice/infra/process/wait-until";
import type { DriftView } from "@sluice/proto/api/drift";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type BackendServer, FAMILIES, type Family, onEach, startBothBackends } from "./both-backends.ts";
import { applyPolicy, rollOut } from "./lab.ts";

const POLICY = `
policy: web
targets: { servers: ["*"] }
sets:
  office: { type: "hash:net", entries: [10.77.0.0/24, "fd77::/64"] }
firewall:
  filter:
    INPUT:
      - -p tcp --dport 22 -j ssh
      - -p tcp --dport 8080 -j DROP
    ssh:
      - -m set --match-set office src -j ACCEPT
shaping:
  eth0:
    classes:
      web: { rate: 200kbit, match: -p tcp --sport 80 }
      rest: { rate: 1024kbit, default: true }
blocks: [bans]
reach: [tcp/22]
`;

/** What other tools have there, before, between and behind ours. */
const FOREIGN = [
  "-t nat -N OTHER-NAT",
  "-t nat -A PREROUTING -p tcp --dport 9 -j OTHER-NAT",
  "-N f2b-sshd",
  "-A f2b-sshd -p udp -j REJECT",
  "-A INPUT -p tcp --dport 2200 -j f2b-sshd",
  "-A OUTPUT -p udp --dport 9 -j ACCEPT",
  "-t mangle -A FORWARD -p tcp -j TOS --set-tos 0x10/0xff",
] as const;
const FOREIGN_SETS = ["create other hash:ip", "add other 192.0.2.99"];

const BANNED = { 4: "203.0.113.5", 6: "2001:db8:5::5" };
const PATIENCE_MS = 60_000;

let lab: Lab;
let servers: BackendServer[];
let foreign: string[];
/** as converged */
let whole: string[];

beforeAll(async () => {
  ({ lab, servers } = await startBothBackends(["--poll", "300ms"]));
  await onEach(servers, async (server) => {
    for (const family of FAMILIES)
      for (const line of FOREIGN) await server.iptables(family, ...line.split(" "));
    for (const line of FOREIGN_SETS) await server.run("ipset", ...line.split(" "));
    await server.run("tc", "qdisc", "add", "dev", "lo", "root", "handle", "7:", "pfifo", "limit", "77");
  });
  foreign = await Promise.all(servers.map((server) => server.kernel()));
  await lab.client.lists.create.mutate({ list: "bans" });
  await lab.client.lists.change.mutate({ list: "bans", add: Object.values(BANNED) });
  await applyPolicy(lab, POLICY, "the wanted state");
  expect(await rollOut(lab, "web")).toMatchObject({ state: "completed" });
  await onEach(servers, madeAnew);
  whole = await Promise.all(servers.map((server) => server.kernel()));
});
afterAll(() => lab?.stop());

interface Vandalism {
  what: string;
  object(family: Family): string;
  /** `iptables` stands for the tool of the family and backend */
  harm(family: Family): readonly [tool: "iptables" | "ipset", ...args: string[]];
}

const VANDALISM: readonly Vandalism[] = [
  {
    what: "a flushed chain",
    object: (family) => `ip${family}/filter/SL-web-ssh`,
    harm: () => ["iptables", "-F", "SL-web-ssh"],
  },
  {
    what: "a deleted hook jump",
    object: (family) => `ip${family}/raw/PREROUTING`,
    harm: () => ["iptables", "-t", "raw", "-D", "PREROUTING", "-j", "SL-PREROUTING"],
  },
  {
    what: "a foreign rule in a chain of ours",
    object: (family) => `ip${family}/filter/SL-web-INPUT`,
    harm: () => ["iptables", "-I", "SL-web-INPUT", "-p", "tcp", "-j", "ACCEPT"],
  },
  {
    what: "an emptied set",
    object: (family) => `set/sl-web-office-hn${family}`,
    harm: (family) => ["ipset", "flush", `sl-web-office-hn${family}`],
  },
  {
    what: "an address taken out of a live list's set",
    object: (family) => `set/sl-l-bans-${family}`,
    harm: (family) => ["ipset", "del", `sl-l-bans-${family}`, BANNED[family]],
  },
];

describe.each(VANDALISM)("$what", ({ object, harm }) => {
  test("is put back and reported in both families, with the process that did it where the kernel tells", async () => {
    await onEach(servers, async (server) => {
      for (const family of FAMILIES) {
        const [name, ...args] = harm(family);
        const tool = name === "iptables" ? server.iptablesTool(family) : name;
        const pid = Number(await server.run("sh", "-c", 'echo $$; exec "$@"', "sh", tool, ...args));
        const [drift] = await reported(server, object(family));
        expect(drift).toMatchObject({ action: "repaired" });
        if (name === "iptables" && server.backend === "nft") expect(drift?.by).toEqual({ tool, pid });
      }
    });
    expect(await Promise.all(servers.map((server) => server.kernel()))).toEqual(whole);
  });
});

test("a deleted class is put back and reported", async () => {
  await onEach(servers, async (server) => {
    await server.run("tc", "class", "del", "dev", "eth0", "classid", "1:10");
    expect((await reported(server, "eth0/class/1:10"))[0]).toMatchObject({ action: "repaired" });
  });
  expect(await Promise.all(servers.map((server) => server.kernel()))).toEqual(whole);
});

test("nothing differs any more", async () => {
  await onEach(servers, async ({ name }) =>
    expect(await lab.client.drift.show.query({ server: name })).toMatchObject({
      asked: { ok: true, differences: [] },
    }),
  );
  expect(await lab.client.drift.ls.query({})).toEqual([]);
});

test("where the policy says report, drift is told and left until somebody asks for its repair", async () => {
  await applyPolicy(lab, `${POLICY}drift: report\n`, "we want to look first");
  expect(await rollOut(lab, "web")).toMatchObject({ state: "completed" });
  await onEach(servers, async (server) => {
    await server.iptables(4, "-F", "SL-web-INPUT");
    await waitUntil(`${server.name} is known to differ`, 60_000, async () => {
      const [drift] = await reported(server, "ip4/filter/SL-web-INPUT", "reported");
      return drift?.current === true;
    });
    expect(await server.iptables(4, "-S", "SL-web-INPUT")).toBe("-N SL-web-INPUT\n");
    const repair = await lab.client.drift.repair.mutate({ server: server.name, reason: "seen" });
    expect(repair).toMatchObject({ repaired: true });
  });
  expect(await Promise.all(servers.map((server) => server.kernel()))).toEqual(whole);
});

test("with the policy gone, what other tools have there is as it was before the first rollout, and nothing else is left", async () => {
  expect(await rollOut(lab, "web", { remove: true })).toMatchObject({ state: "completed" });
  expect(await Promise.all(servers.map((server) => server.kernel()))).toEqual(foreign);
});

/**
 * What is held is made anew for the tools that were found there while it was applied. Until it is, a change of ours would
 * put back what a test breaks, and there would be no drift to report.
 */
async function madeAnew({ name }: BackendServer): Promise<void> {
  await waitUntil(`the generation of ${name} that knows of the other tools`, PATIENCE_MS, async () => {
    const { generation, confirmedGeneration } = await lab.client.servers.show.query({ server: name });
    return generation === 2 && confirmedGeneration === 2;
  });
}

/** The reports of an object's drift on a server, newest first, once there is one. */
async function reported(
  { name }: BackendServer,
  object: string,
  action: DriftView["action"] = "repaired",
): Promise<DriftView[]> {
  let found: DriftView[] = [];
  await waitUntil(`the report of ${object} on ${name}`, PATIENCE_MS, async () => {
    const rows = await lab.client.drift.ls.query({ server: name, all: true });
    found = rows.filter(
      (row) => row.action === action && row.differences.some((one) => one.object === object),
    );
    return found.length > 0;
  });
  return found;
}
