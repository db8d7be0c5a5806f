import type { EventOf, SluiceEvent } from "@sluice/proto/events/event";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decideAssignment, decideOutcome, decideRevert } from "../assignments/decide.ts";
import type { SeenEvent } from "../context/entity.ts";
import { decideUninstalled } from "../servers/decide.ts";
import { type ServerState, serverEntity } from "../servers/state.ts";
import { createKeeper, isWhole } from "./kept.ts";

interface Placed {
  seq: number;
  stream: string;
  event: SluiceEvent;
}

function keptOf(events: readonly Placed[]): number[] {
  const keeper = createKeeper();
  for (const { seq, stream, event } of events)
    keeper.see({ seq, stream, type: event.type, whole: isWhole(event) ? event : undefined });
  return keeper.kept();
}

function stateOf(events: readonly Placed[]): ServerState {
  return events.reduce(
    (state, { event, seq }) => serverEntity.evolve(state, seen(event, seq)),
    serverEntity.initial,
  );
}

function seen(event: SluiceEvent, seq: number): SeenEvent {
  return { ...event, seq, meta: { at: `at ${seq}`, correlation: "" } };
}

const EMPTY = { manifest: "empty", factsDigest: "f" };
const server = "web-1";
const drift = { generation: 1, differences: [], action: "repaired" as const };

/** What may become of a server: each step decides on its state, as control does. */
const STEPS: Record<string, (state: ServerState, n: number) => SluiceEvent[]> = {
  assign: (state, n) =>
    decideAssignment(state, {
      ...{
        assigned: [{ policy: "web", revision: n + 1 }],
        manifest: `m${n % 4}`,
        factsDigest: "f",
        epoch: 1,
      },
      ...{ cause: "rollout", rollout: `r-${n}` },
    }),
  confirm: (state) => outcome(state, state.open.at(-1)?.generation, "confirmed"),
  "confirm an older one": (state) => outcome(state, state.open[0]?.generation, "confirmed"),
  refuse: (state) => [...failing(state, "refused")],
  revert: (state) => [...failing(state, "reverted")],
  "revert by hand": (state) => outcome(state, state.held?.generation, "reverted"),
  uninstall: (state) => decideUninstalled(state, { at: "2026-01-01T00:00:00.000Z", epoch: 1, empty: EMPTY }),
  enrol: () => [{ type: "ServerEnrolled", data: { server, publicKey: "k", natsKey: "n" } }],
  drift: () => [{ type: "DriftDetected", data: { server, ...drift } }],
  pause: (_, n) => [{ type: "ServerPaused", data: { server, until: `${n}` } }],
  label: (_, n) => [
    { type: "ServerLabelled", data: { server, set: { [`l${n % 3}`]: `${n}` }, unset: ["l0"] } },
  ],
  repair: () => [{ type: "DriftRepairAsked", data: { server } }],
};

function outcome(
  state: ServerState,
  generation: number | undefined,
  result: "confirmed" | "refused" | "reverted",
) {
  const told = [...state.open, state.held].find((one) => one?.generation === generation);
  if (generation === undefined || told === undefined) return [];
  return decideOutcome(state, { epoch: 1, generation, digest: told.manifest, result });
}

function failing(state: ServerState, result: "refused" | "reverted"): SluiceEvent[] {
  const failed = state.open.at(-1)?.generation;
  const events = outcome(state, failed, result);
  const after = events.reduce((now, event) => serverEntity.evolve(now, seen(event, 0)), state);
  return [...events, ...decideRevert(after, { failed: failed ?? 0, epoch: 1, empty: EMPTY })];
}

const history = fc
  .array(fc.tuple(fc.constantFrom(...Object.keys(STEPS)), fc.nat(9)), { maxLength: 40 })
  .map((steps) => {
    const added: SluiceEvent = { type: "ServerAdded", data: { server, labels: { l0: "a" }, tokenHash: "t" } };
    const placed: Placed[] = [{ seq: 1, stream: "server-web-1", event: added }];
    for (const [name, n] of steps)
      for (const event of STEPS[name]?.(stateOf(placed), n) ?? [])
        placed.push({ seq: placed.length + 1, stream: "server-web-1", event });
    return placed;
  });

describe("of a server's stream", () => {
  test("what is kept says all that the whole said, wherever it is cut and whatever comes then", () => {
    fc.assert(
      fc.property(history, fc.nat(), (events, at) => {
        const cut = events.slice(0, at % (events.length + 1));
        const seqs = new Set(keptOf(cut));
        const left = events.filter(({ seq }) => seq > cut.length || seqs.has(seq));
        expect(stateOf(left)).toEqual(stateOf(events));
      }),
      { numRuns: 400 },
    );
  });

  test("what is kept is the same while events are dropped, from the first on, and after that", () => {
    fc.assert(
      fc.property(history, fc.nat(), (events, at) => {
        const seqs = keptOf(events);
        const droppedTo = at % (events.length + 1);
        const left = events.filter(({ seq }) => seq > droppedTo || seqs.includes(seq));
        expect(keptOf(left)).toEqual(seqs);
      }),
      { numRuns: 200 },
    );
  });

  test("a year of drift and confirmed changes comes down to a handful of events", () => {
    const year: Placed[] = [];
    let state = stateOf([]);
    for (let n = 0; n < 400; n += 1)
      for (const name of ["assign", "confirm", "drift", "repair"])
        for (const event of STEPS[name]?.(state, n) ?? []) {
          year.push({ seq: year.length + 1, stream: "server-web-1", event });
          state = serverEntity.evolve(state, seen(event, year.length));
        }
    expect(year.length).toBeGreaterThan(1_000);
    expect(keptOf(year).length).toBeLessThan(10);
  });
});

const rollout = "r-1";
const ROLLED: SluiceEvent[] = [
  {
    type: "RolloutStarted",
    data: { rollout, kind: "rollout", policy: "web", revision: 1, waves: [[server]], before: {} },
  },
  { type: "WaveStarted", data: { rollout, wave: 1, servers: [server] } },
  { type: "RolloutHalted", data: { rollout, reason: "silent" } },
];
const TOLD: EventOf<"AssignmentDecided"> = {
  type: "AssignmentDecided",
  data: {
    ...{ server, epoch: 1, generation: 1, assigned: [], manifest: "m", factsDigest: "f" },
    ...{ rollout, cause: "rollout" },
  },
};
const CONFIRMED: SluiceEvent = { type: "ServerConfirmed", data: { server, generation: 1, manifest: "m" } };

function placed(...streams: [string, SluiceEvent[]][]): Placed[] {
  return streams
    .flatMap(([stream, events]) => events.map((event) => ({ stream, event })))
    .map((one, index) => ({ ...one, seq: index + 1 }));
}

describe("of other streams", () => {
  test("a rollout and a plan go when they are over, whole; before that they stay, whole", () => {
    const plan: SluiceEvent[] = [
      { type: "PlanRequested", data: { plan: "p", policy: "web", text: "", servers: [], expiresAt: "" } },
      { type: "PlanFinished", data: { plan: "p", result: "ok" } },
    ];
    expect(keptOf(placed(["rollout-r-1", ROLLED], ["plan-p", plan]))).toEqual([]);
    expect(keptOf(placed(["rollout-r-1", ROLLED.slice(0, 2)], ["plan-p", plan.slice(0, 1)]))).toEqual([
      1, 2, 3,
    ]);
  });

  test("a rollout that a server still owes an outcome to stays, though it was halted", () => {
    expect(keptOf(placed(["rollout-r-1", ROLLED], ["server-web-1", [TOLD]]))).toEqual([1, 2, 3, 4]);
    expect(keptOf(placed(["rollout-r-1", ROLLED], ["server-web-1", [TOLD, CONFIRMED]]))).toEqual([4, 5]);
  });

  test("of a list its newest event stays, for the stream's version", () => {
    const changed = (rev: number): SluiceEvent => ({
      type: "ListChanged",
      data: { list: "bans", rev, previous: "", digest: "", add: [], del: [] },
    });
    expect(keptOf(placed(["list-bans", [changed(1), changed(2), changed(3)]]))).toEqual([3]);
  });

  test("what this version doesn't know stays", () => {
    const keeper = createKeeper();
    for (const seq of [1, 2])
      keeper.see({ seq, stream: "server-a", type: "ServerPainted", whole: undefined });
    expect(keeper.kept()).toEqual([1, 2]);
  });
});
