import type { Lab } from "@sluice/infra/lab/start-lab";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type BackendServer, FAMILIES, knock, onEach, startBothBackends } from "./both-backends.ts";
import { applyPolicy, rollBack, rollOut } from "./lab.ts";

const PATIENCE_MS = 60_000;

/** Everything that a policy can put into a kernel, and a port that it closes with a reset. */
function policy(
  name: string,
  { port, order = 100, verdict = "REJECT --reject-with tcp-reset" }: Wanted,
): string {
  return `
policy: ${name}
order: ${order}
targets: { servers: ["*"] }
sets:
  office: { type: "hash:net", entries: [10.77.0.0/24, "fd77::/64"] }
firewall:
  filter:
    INPUT:
      - -p tcp --dport ${port} -j own
    own:
      - -m set --match-set office src -p tcp -j ${verdict}
reach: [tcp/22]
`;
}

interface Wanted {
  port: number | string;
  order?: number;
  verdict?: string;
}

let lab: Lab;
let servers: BackendServer[];
let empty: string[];

beforeAll(async () => {
  ({ lab, servers } = await startBothBackends());
  empty = await kernels();
});
afterAll(() => lab?.stop());

/** Each test begins with servers that hold nothing. */
beforeEach(async () => {
  for (const { policy, servers } of await lab.client.policies.ls.query({}))
    if (servers > 0) await rollOut(lab, policy, { remove: true });
});

function kernels(): Promise<string[]> {
  return Promise.all(servers.map((server) => server.kernel()));
}

async function roll(text: string): Promise<void> {
  await applyPolicy(lab, text);
  const name = /^policy: (\S+)/m.exec(text)?.[1] ?? "";
  expect(await rollOut(lab, name)).toMatchObject({ state: "completed" });
}

/** What comes of a connection to a port, the same on both servers and in both families. */
async function outcomesOf(port: number): Promise<string[]> {
  const outcomes = new Set<string>();
  await onEach(servers, async (server) => {
    for (const family of FAMILIES) outcomes.add(await knock(lab, server, port, { family }));
  });
  return [...outcomes];
}

test("of several policies on a server, the one with the lower order decides first", async () => {
  await roll(policy("closes", { port: 80, order: 20 }));
  await roll(policy("opens", { port: 80, order: 10, verdict: "ACCEPT" }));
  expect(await outcomesOf(80)).toEqual(["accepted"]);
  await roll(policy("opens", { port: 80, order: 30, verdict: "ACCEPT" }));
  expect(await outcomesOf(80)).toEqual(["refused"]);
});

test("a policy rolled back leaves the others as they are, with their counters", async () => {
  await roll(policy("stays", { port: 80 }));
  await roll(policy("moves", { port: 9000 }));
  await roll(policy("moves", { port: 9001 }));
  expect(await outcomesOf(9000)).toEqual(["accepted"]);
  expect(await outcomesOf(80)).toEqual(["refused"]);
  const before = await counters();
  expect(before[0]).toContain("[1:");

  expect(await rollBack(lab, "moves", 1)).toMatchObject({ kind: "rollback", state: "completed" });
  expect(await counters()).toEqual(before);
  expect(await outcomesOf(9000)).toEqual(["refused"]);
  const rows = await lab.client.servers.ls.query({});
  for (const { assigned } of rows)
    expect(assigned).toEqual([
      { policy: "moves", revision: 1 },
      { policy: "stays", revision: 1 },
    ]);

  /** of what `stays` has in the kernel */
  async function counters(): Promise<string[]> {
    const texts = await Promise.all(
      servers.map((server) => server.run(`${server.iptablesTool(4)}-save`, "-c")),
    );
    return texts.map((text) =>
      text
        .split("\n")
        .filter((line) => line.includes("-A SL-stays-"))
        .join("\n"),
    );
  }
});

test("a policy taken off leaves nothing of its own, the last one nothing at all", async () => {
  await roll(policy("first", { port: 80 }));
  const alone = await kernels();
  await roll(`${policy("second", { port: 9000 })}
shaping:
  eth0:
    classes:
      web: { rate: 2mbit, match: -p tcp --sport 80 }
      rest: { rate: 10mbit, default: true }
guards:
  ssh: { port: 22, limits: [{ hits: 100, within: 20s }] }
`);
  expect(await kernels()).not.toEqual(alone);
  expect(await rollOut(lab, "second", { remove: true })).toMatchObject({ state: "completed" });
  expect(await kernels()).toEqual(alone);
  expect(await outcomesOf(80)).toEqual(["refused"]);
  expect(await rollOut(lab, "first", { remove: true })).toMatchObject({ state: "completed" });
  expect(await kernels()).toEqual(empty);
});

test("variables differ by server and by label, and a new label that changes one reaches that server at once", async () => {
  await roll(`
policy: differs
targets: { servers: ["*"] }
vars:
  port: { value: 80, servers: { server-2: 9000 }, labels: { "rank=spare": 22222 } }
firewall:
  filter:
    INPUT: [ -p tcp --dport $port -j REJECT --reject-with tcp-reset ]
`);
  const [one, two] = servers;
  if (one === undefined || two === undefined) throw new Error("two servers were started");
  const ports = async (server: BackendServer) => [
    await knock(lab, server, 80),
    await knock(lab, server, 9000),
  ];
  expect(await ports(one)).toEqual(["refused", "accepted"]);
  expect(await ports(two)).toEqual(["accepted", "refused"]);

  await lab.client.servers.label.mutate({
    server: one.name,
    set: { rank: "spare" },
    reason: "has a rank now",
  });
  await waitUntil(
    "the new port on server-1",
    PATIENCE_MS,
    async () => (await knock(lab, one, 80)) === "accepted",
  );
  expect(await ports(two)).toEqual(["accepted", "refused"]);
  const { events } = await lab.client.audit.log.query({
    server: one.name,
    types: ["AssignmentDecided"],
    limit: 1,
  });
  expect(events).toMatchObject([{ reason: "has a rank now", data: { cause: "labels" } }]);
});

test("labels say which servers a rollout takes: one labelled later comes with the next rollout, one unlabelled keeps what it has", async () => {
  const [one, two] = servers;
  if (one === undefined || two === undefined) throw new Error("two servers were started");
  const text = policy("by-label", { port: 80 }).replace('{ servers: ["*"] }', "{ labels: { role: web } }");
  await lab.client.servers.label.mutate({ server: two.name, set: { role: "web" } });
  await roll(text);
  expect([await knock(lab, one, 80), await knock(lab, two, 80)]).toEqual(["accepted", "refused"]);

  await lab.client.servers.label.mutate({ server: one.name, set: { role: "web" } });
  expect(await knock(lab, one, 80)).toBe("accepted");
  expect(await rollOut(lab, "by-label")).toMatchObject({
    state: "completed",
    servers: [{ server: one.name }],
  });
  expect([await knock(lab, one, 80), await knock(lab, two, 80)]).toEqual(["refused", "refused"]);

  await lab.client.servers.label.mutate({ server: two.name, unset: ["role"] });
  await roll(text.replace("--dport 80", "--dport 9000"));
  expect([await knock(lab, one, 80), await knock(lab, two, 80)]).toEqual(["accepted", "refused"]);
});

test("two policies that want the same device's root are refused with both names and lines, and nothing is written", async () => {
  const shaping = (name: string, rate: string) =>
    `policy: ${name}\ntargets: { servers: ["*"] }\nshaping:\n  eth0: { tbf: { rate: ${rate}, burst: 10k, latency: 50ms } }\n`;
  await roll(shaping("first", "5mbit"));
  const before = await kernels();
  await applyPolicy(lab, shaping("second", "1mbit"));
  const message = expect.stringContaining("shaped twice: by first line 4 and by second line 4");
  const place = expect.objectContaining({ line: 4 });
  await expect(rollOut(lab, "second")).rejects.toMatchObject({
    data: { sluice: { code: "REFUSED", problems: servers.map(() => ({ message, place })) } },
  });
  expect(await kernels()).toEqual(before);
});
