import type { EventKeys } from "@sluice/db/log/event-body";
import { type SluiceEvent, streamOf } from "@sluice/proto/events/event";
import { createDice, type Dice, digest } from "./dice.ts";
import { type Draft, firstDraft } from "./policy-texts.ts";

/** An event of the year before it has its place in the log. */
export interface Told {
  event: SluiceEvent;
  stream: string;
  keys: EventKeys;
  actor: string;
  reason: string;
  correlation: string;
  at: string;
}

/** One command and all that follows from it. */
export interface Flow {
  actor: string;
  reason: string;
  correlation: string;
}

export interface FleetServer {
  name: string;
  role: string;
  site: string;
  generation: number;
  assigned: Map<string, number>;
  manifest: string;
}

/** A fleet, and what may happen in it: a year of it is as many events as are asked for, whatever its size. */
export interface Fleet {
  dice: Dice;
  servers: readonly FleetServer[];
  policies: { draft: Draft; revision: number }[];
  lists: Map<string, { rev: number; entries: Map<string, string | undefined> }>;
  tickets: number;
  tell(flow: Flow, stream: string, event: SluiceEvent, keys?: EventKeys): Told;
}

export const ROLES = ["web", "db", "mail", "cache", "queue", "build", "edge", "store"];
const SITES = ["ams", "fra", "lon", "mad", "nyc"];
export const LISTS = ["bans", "blocklist", "partners", "scanners"];

export function createFleet(events: number, clock: { tick(ms: number): string }, seed: number): Fleet {
  const dice = createDice(seed);
  const servers = Array.from({ length: Math.max(16, Math.round(Math.sqrt(events / 2.5))) }, (_, index) => ({
    name: `${ROLES[index % ROLES.length]}-${index + 1}`,
    role: ROLES[index % ROLES.length] ?? "",
    site: dice.pick(SITES),
    generation: 0,
    assigned: new Map<string, number>(),
    manifest: "",
  }));
  const policies = Array.from({ length: 40 }, (_, index) => {
    const role = index % 20 === 0 ? "*" : (ROLES[index % ROLES.length] ?? "");
    return { draft: firstDraft(`${role === "*" ? "all" : role}-${index + 1}`, role, dice), revision: 0 };
  });
  return {
    dice,
    servers,
    policies,
    lists: new Map(LISTS.map((list) => [list, { rev: 0, entries: new Map() }])),
    tickets: 10_000,
    tell: ({ actor, reason, correlation }, stream, event, keys = {}) => ({
      ...{ event, stream, keys, actor, reason, correlation },
      at: clock.tick(20 + dice.number(180)),
    }),
  };
}

export function flow(fleet: Fleet, actor: string, reason: string): Flow {
  return { actor, reason, correlation: fleet.dice.uuid() };
}

/** What a server holds under a generation of its own. */
export function* assign(
  fleet: Fleet,
  from: Flow,
  server: FleetServer,
  cause: "rollout" | "rollback" | "revert" | "facts" | "enrolment" | "labels",
  keys: EventKeys = {},
): Generator<Told> {
  server.generation += 1;
  const assigned = [...server.assigned].map(([policy, revision]) => ({ policy, revision }));
  server.manifest = digest(
    `${server.role} ${assigned.map(({ policy, revision }) => `${policy}@${revision}`)}`,
  );
  const rollout = keys.rollout === undefined ? {} : { rollout: keys.rollout };
  const { name, generation, manifest } = server;
  const factsDigest = digest(`${server.role} ${server.site}`);
  const decided = { assigned, cause, epoch: 1, factsDigest, generation, manifest, ...rollout, server: name };
  const bySluice = {
    ...from,
    actor: "sluice",
    reason: rollout.rollout ? `rollout ${rollout.rollout}` : cause,
  };
  yield fleet.tell(bySluice, streamOf.server(name), { type: "AssignmentDecided", data: decided }, keys);
}

export function* confirm(
  fleet: Fleet,
  from: Flow,
  { name, generation, manifest }: FleetServer,
  keys: EventKeys = {},
): Generator<Told> {
  const { dice } = fleet;
  const phasesMs = {
    apply: 2 + dice.number(20),
    confirm: 5 + dice.number(30),
    rehearse: 40 + dice.number(90),
  };
  const stats = { phasesMs, writes: dice.number(9) };
  const rollout = keys.rollout === undefined ? {} : { rollout: keys.rollout };
  const data = { generation, manifest, ...rollout, server: name, stats };
  const byAgent = { ...from, actor: `agent:${name}`, reason: "" };
  yield fleet.tell(byAgent, streamOf.server(name), { type: "ServerConfirmed", data }, keys);
}
