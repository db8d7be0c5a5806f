import type { Lab } from "@sluice/infra/lab/start-lab";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type BackendServer, FAMILIES, knock, onEach, startBothBackends } from "./both-backends.ts";
import { applyPolicy, endOf, rollOut } from "./lab.ts";

/** What the servers hold before each mistake: something of every kind. */
const STANDING = `
policy: standing
targets: { servers: ["*"] }
deadline: 5s # the longest of all policies counts
sets:
  office: { type: "hash:net", entries: [10.77.0.0/24, "fd77::/64"] }
firewall:
  filter:
    INPUT:
      - -p tcp --dport 22 -m set --match-set office src -j ACCEPT
      - -p tcp --dport 8080 -j DROP
shaping:
  eth0:
    classes:
      web: { rate: 2mbit, match: -p tcp --sport 80 }
      rest: { rate: 10mbit, default: true }
reach: [tcp/22]
`;

const CUT_OFF = `
policy: proxy
targets: { servers: ["*"] }
deadline: 5s
firewall:
  nat:
    OUTPUT:
      - -p tcp --dport 4222 -j DNAT --to-destination 192.0.2.99:4222
`;

const SHUT = `
policy: quiet
targets: { servers: ["*"] }
order: 5
deadline: 5s
firewall:
  filter:
    INPUT:
      - -p tcp --dport 22 -j DROP
reach: [tcp/22]
`;

/** Its probe is never answered, so it stays unconfirmed until its deadline; it changes something of every kind. */
const UNCONFIRMED = `
policy: standing
targets: { servers: ["*"] }
deadline: 8s
sets:
  office: { type: "hash:net", entries: [192.0.2.0/24] }
  more: { type: "hash:ip", entries: [192.0.2.7, "2001:db8::7"] }
firewall:
  filter:
    INPUT:
      - -p tcp --dport 22 -m set --match-set office src -j ACCEPT
      - -m set --match-set more src -j DROP
      - -p tcp --dport 80 -j DROP
shaping:
  eth0: { tbf: { rate: 5mbit, burst: 10k, latency: 50ms }, ingress: { rate: 5mbit } }
probes: [{ tcp: "192.0.2.200:443" }]
`;

const DEADLINE_MS = 8_000;
/** what the undo itself, and seeing it, may take on a busy machine */
const UNDO_MS = 30_000;
const PATIENCE_MS = 60_000;

let lab: Lab;
let servers: BackendServer[];
let before: string[];

beforeAll(async () => {
  ({ lab, servers } = await startBothBackends());
  await applyPolicy(lab, STANDING, "as it should be");
  expect(await rollOut(lab, "standing")).toMatchObject({ state: "completed" });
  before = await kernels();
});
afterAll(() => lab?.stop());

function kernels(): Promise<string[]> {
  return Promise.all(servers.map((server) => server.kernel()));
}

describe.each([
  {
    what: "cuts a server off from control",
    policy: "proxy",
    text: CUT_OFF,
    because: /control could not be asked/,
  },
  {
    what: "shuts ssh from outside",
    policy: "quiet",
    text: SHUT,
    because: /not reached from outside: 10\.77\.0\.1\d:22/,
  },
  {
    what: "shuts ssh from outside over IPv6 alone",
    policy: "quiet",
    text: SHUT.replace(
      "- -p tcp --dport 22 -j DROP",
      '- { rule: "-p tcp --dport 22 -j DROP", family: ipv6 }',
    ),
    because: /not reached from outside: \[fd77::1\d\]:22 [^:]*$/,
  },
])("a policy that $what", ({ policy, text, because }) => {
  test.each([
    ["nft", ["server-1", "server-2"]],
    ["legacy", ["server-2", "server-1"]],
  ])(
    "is undone by the server itself (%s), halts, and reaches no later wave",
    async (_, [first = "", later = ""]) => {
      await applyPolicy(lab, text, "looked harmless");
      const generation = await generationOf(later);
      const rollout = await rollOut(lab, policy, { waves: [[first], [later]] });
      expect(rollout).toMatchObject({ state: "halted", haltedBy: first, wave: 1 });
      expect(rollout.servers).toMatchObject([
        {
          server: first,
          state: "reverted",
          refusal: { step: "confirm", reason: expect.stringMatching(because) },
        },
        { server: later, state: "unreached" },
      ]);
      expect(await generationOf(later)).toBe(generation);
      expect(await kernels()).toEqual(before);
      await onEach(servers, async (server) => {
        for (const family of FAMILIES) expect(await knock(lab, server, 22, { family })).toBe("accepted");
      });
    },
  );
});

test("an agent killed right after it applied a change is not needed to undo it: the server does, at the deadline", async () => {
  await applyPolicy(lab, UNCONFIRMED, "a probe that is never answered");
  const { rollout } = await lab.client.rollouts.start.mutate({ policy: "standing" });
  await onEach(servers, async (server) => {
    const applied = async () =>
      (await server.iptables(6, "-S", "SL-standing-INPUT")).includes("--dport 80") &&
      (await server.run("tc", "qdisc", "show", "dev", "eth0")).includes("qdisc tbf 1: root") &&
      (await server.run("ip", "link", "show", "slifb-eth0")).includes("UP");
    await waitUntil("the applied change", PATIENCE_MS, applied);
  });
  const killedAt = performance.now();
  const agents = servers.map(({ name }) => lab.agent(name));
  await Promise.all(
    agents.map((agent) => {
      const gone = agent.down();
      agent.signal("SIGKILL");
      return gone;
    }),
  );
  expect(await kernels()).not.toEqual(before);
  await waitUntil("the undo", PATIENCE_MS, async () =>
    (await kernels()).every((text, n) => text === before[n]),
  );
  expect(performance.now() - killedAt).toBeLessThan(DEADLINE_MS + UNDO_MS);
  expect(agents.map((agent) => agent.pid())).toEqual([undefined, undefined]);

  for (const agent of agents) agent.start();
  expect(await endOf(lab, rollout)).toMatchObject({ state: "halted" });
  await waitUntil("both outcomes", PATIENCE_MS, async () => {
    const { servers } = await lab.client.rollouts.show.query({ rollout });
    return servers.every(({ state }) => state === "reverted");
  });
  expect(await kernels()).toEqual(before);
});

/** What the server was told last, once it has confirmed that: after a revert that is the old content again. */
async function generationOf(name: string): Promise<number> {
  let generation = 0;
  await waitUntil(`${name} to have confirmed`, PATIENCE_MS, async () => {
    const { confirmedGeneration, ...row } = await lab.client.servers.show.query({ server: name });
    generation = row.generation;
    return generation === confirmedGeneration;
  });
  return generation;
}
