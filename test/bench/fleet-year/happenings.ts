import { streamOf } from "@sluice/proto/events/event";
import { digest } from "./dice.ts";
import { revise, textOf } from "./policy-texts.ts";
import { assign, confirm, type Fleet, type FleetServer, flow, LISTS, type Told } from "./story.ts";
import { PEOPLE, partner, reasonFor } from "./words.ts";

/** What may happen, each with its share of the year's events. */
export const HAPPENINGS: readonly { share: number; tell: (fleet: Fleet) => Generator<Told> }[] = [
  { share: 0.5, tell: changePolicy },
  { share: 0.25, tell: changeList },
  { share: 0.1, tell: driftAway },
  { share: 0.08, tell: changeFacts },
  { share: 0.04, tell: label },
  { share: 0.02, tell: pause },
  { share: 0.01, tell: reject },
];

/** The fleet as it begins. */
export function* begin(fleet: Fleet): Generator<Told> {
  const { dice } = fleet;
  for (const { name, role, site } of fleet.servers) {
    const added = flow(fleet, dice.pick(PEOPLE), `CHG-${fleet.tickets++}: ${name} is new`);
    const data = { labels: { role, site }, server: name, tokenHash: digest(`token of ${name}`) };
    yield fleet.tell(added, streamOf.server(name), { type: "ServerAdded", data });
    const enrolled = { natsKey: `U${digest(name)}`, publicKey: digest(name), server: name };
    const byAgent = { ...added, actor: `agent:${name}`, reason: "" };
    yield fleet.tell(byAgent, streamOf.server(name), { type: "ServerEnrolled", data: enrolled });
  }
  for (const list of LISTS) {
    const created = { description: "", families: [4 as const, 6 as const], list };
    yield fleet.tell(flow(fleet, dice.pick(PEOPLE), "a new list"), streamOf.list(list), {
      type: "ListCreated",
      data: created,
    });
  }
}

function* changePolicy(fleet: Fleet): Generator<Told> {
  const { dice } = fleet;
  const own = dice.pick(fleet.policies);
  if (own.draft.role === "*" && !dice.once(8)) return;
  if (own.revision > 0) own.draft = revise(own.draft, dice);
  own.revision += 1;
  const { policy } = own.draft;
  const { revision } = own;
  const text = textOf(own.draft);
  const from = flow(
    fleet,
    dice.pick(PEOPLE),
    reasonFor(dice.pick(["open", "close", "order"]), fleet.tickets++, dice),
  );
  const revised = { digest: digest(text), policy, revision, text };
  yield fleet.tell(from, streamOf.policy(policy), { type: "PolicyRevised", data: revised });
  const { role } = own.draft;
  const servers = fleet.servers.filter((server) => role === "*" || server.role === role);
  yield* rollOut(fleet, servers, policy, revision);
}

function* rollOut(fleet: Fleet, servers: FleetServer[], policy: string, revision: number): Generator<Told> {
  const { dice } = fleet;
  const rollout = `r-${dice.uuid().slice(0, 8)}`;
  const from = flow(fleet, dice.pick(PEOPLE), reasonFor(`roll out ${policy}`, fleet.tickets++, dice));
  const keys = { policy, rollout };
  const stream = streamOf.rollout(rollout);
  const quarter = Math.ceil(servers.length / 4);
  const waves = [servers.slice(0, 1), servers.slice(1, quarter), servers.slice(quarter)].filter(
    ({ length }) => length > 0,
  );
  const held = new Map(servers.map(({ name, assigned }) => [name, assigned.get(policy) ?? 0]));
  const before = Object.fromEntries([...held].sort(([a], [b]) => (a < b ? -1 : 1)));
  const names = waves.map((wave) => wave.map(({ name }) => name));
  const started = { before, kind: "rollout" as const, policy, revision, rollout, waves: names };
  yield fleet.tell(from, stream, { type: "RolloutStarted", data: started }, keys);
  const unlucky = dice.once(30) ? dice.pick(servers) : undefined;
  for (const [index, wave] of waves.entries()) {
    const data = { rollout, servers: names[index] ?? [], wave: index + 1 };
    yield fleet.tell({ ...from, actor: "sluice", reason: "" }, stream, { type: "WaveStarted", data }, keys);
    for (const server of wave) {
      const held = new Map(server.assigned);
      server.assigned.set(policy, revision);
      yield* assign(fleet, from, server, "rollout", keys);
      if (server !== unlucky) {
        yield* confirm(fleet, from, server, keys);
        continue;
      }
      yield* undo(fleet, from, server, held, keys);
      return;
    }
  }
  yield fleet.tell(
    { ...from, actor: "sluice", reason: "" },
    stream,
    { type: "RolloutCompleted", data: { rollout } },
    keys,
  );
}

function* undo(
  fleet: Fleet,
  from: { actor: string; reason: string; correlation: string },
  server: FleetServer,
  held: Map<string, number>,
  keys: { policy: string; rollout: string },
): Generator<Told> {
  const { name, generation, manifest } = server;
  const { rollout } = keys;
  const refusal = {
    reason: `${fleet.dice.address()} tcp/22 isn't reached from outside`,
    step: "confirm" as const,
  };
  const reverted = { generation, manifest, refusal, rollout, server: name };
  const byAgent = { ...from, actor: `agent:${name}`, reason: "" };
  yield fleet.tell(byAgent, streamOf.server(name), { type: "ServerReverted", data: reverted }, keys);
  const halted = { reason: `${name} reverted: ${refusal.reason}`, rollout, server: name };
  yield fleet.tell(
    { ...from, actor: "sluice", reason: "" },
    streamOf.rollout(rollout),
    { type: "RolloutHalted", data: halted },
    keys,
  );
  server.assigned = held;
  yield* assign(fleet, from, server, "revert", { policy: keys.policy });
  yield* confirm(fleet, from, server, { policy: keys.policy });
}

const HOUR_MS = 3_600_000;
const LIVE_ENTRIES = 200;

function* changeList(fleet: Fleet): Generator<Told> {
  const { dice, lists } = fleet;
  const name = dice.once(4) ? dice.pick(LISTS) : "bans";
  const list = lists.get(name);
  if (list === undefined) return;
  const expires = list.entries.size > LIVE_ENTRIES;
  const from = expires
    ? flow(fleet, "sluice", "their time is up")
    : flow(
        fleet,
        dice.pick(["ban-bot", "ban-bot", ...PEOPLE]),
        `password guessing on ${dice.pick(fleet.servers).name}`,
      );
  const del = expires ? [...list.entries.keys()].slice(0, 1 + dice.number(4)) : [];
  const until = new Date(Date.parse("2027-01-01T00:00:00Z") + dice.number(24) * HOUR_MS).toISOString();
  const add = expires ? [] : [{ entry: dice.address(), ...(dice.once(5) ? {} : { until }) }];
  const previous = digest(`${name} ${list.rev}`);
  list.rev += 1;
  for (const entry of del) list.entries.delete(entry);
  for (const one of add) list.entries.set(one.entry, one.until);
  const data = { add, del, digest: digest(`${name} ${list.rev}`), list: name, previous, rev: list.rev };
  yield fleet.tell(from, streamOf.list(name), { type: "ListChanged", data });
}

function* driftAway(fleet: Fleet): Generator<Told> {
  const { dice } = fleet;
  const { name, generation, assigned } = dice.pick(fleet.servers);
  const policy = [...assigned.keys()][0];
  if (policy === undefined) return;
  const port = 1 + dice.number(65_000);
  const user = dice.pick(PEOPLE);
  const chain = `SL-${policy}-INPUT`;
  const data = {
    action: "repaired" as const,
    by: {
      command: `iptables -I ${chain} -p tcp --dport ${port}`,
      pid: 1000 + dice.number(30_000),
      tool: "iptables",
      user,
    },
    detectedMs: 10 + dice.number(50),
    differences: [
      {
        driver: "iptables" as const,
        have: [`-A ${chain} -s ${dice.address()}/32 -p tcp -m tcp --dport ${port} -j ACCEPT`],
        kind: "changed" as const,
        object: `ip4/filter/${chain}`,
      },
    ],
    generation,
    repairedMs: 20 + dice.number(90),
    server: name,
  };
  yield fleet.tell(
    flow(fleet, `agent:${name}`, ""),
    streamOf.server(name),
    { type: "DriftDetected", data },
    { policy },
  );
}

function* changeFacts(fleet: Fleet): Generator<Told> {
  const server = fleet.dice.pick(fleet.servers);
  const from = flow(fleet, "sluice", "facts");
  yield* assign(fleet, from, server, "facts");
  yield* confirm(fleet, from, server);
}

function* label(fleet: Fleet): Generator<Told> {
  const { dice } = fleet;
  const server = dice.pick(fleet.servers);
  const from = flow(fleet, dice.pick(PEOPLE), reasonFor("label", fleet.tickets++, dice));
  const data = { server: server.name, set: { owner: partner(dice) }, unset: [] };
  yield fleet.tell(from, streamOf.server(server.name), { type: "ServerLabelled", data });
}

function* pause(fleet: Fleet): Generator<Told> {
  const { dice } = fleet;
  const { name } = dice.pick(fleet.servers);
  const from = flow(
    fleet,
    `agent:${name}`,
    `${dice.pick(PEOPLE)}: looking for a lost packet of ${partner(dice)}`,
  );
  const until = "2027-01-01T00:00:00.000Z";
  yield fleet.tell(from, streamOf.server(name), { type: "ServerPaused", data: { server: name, until } });
  yield fleet.tell(from, streamOf.server(name), { type: "ServerResumed", data: { server: name } });
}

function* reject(fleet: Fleet): Generator<Told> {
  const { name, generation } = fleet.dice.pick(fleet.servers);
  const data = {
    reason: `generation ${generation} isn't newer than what is held`,
    server: name,
    what: "envelope",
  };
  yield fleet.tell(flow(fleet, `agent:${name}`, ""), streamOf.server(name), {
    type: "MessageRejected",
    data,
  });
}
