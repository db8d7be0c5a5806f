import type { EventKeys, NewEvent } from "@sluice/db/log/event-body";
import { readStream } from "@sluice/db/log/read";
import { upcastEvent } from "@sluice/db/log/upcast-events";
import { SluiceError } from "@sluice/proto/base/errors";
import { SCHEMA_VERSIONS, type SluiceEvent } from "@sluice/proto/events/event";
import { upcast } from "@sluice/proto/events/upcast";
import type { Entity } from "./entity.ts";
import { uuidOf } from "./ids.ts";
import type { Context } from "./services.ts";

/**
 * The one way in which anything is decided.
 *
 * 1. The decision is made on the stream's whole state, and stored only if nothing came in between; else it is made
 *    again on the new state, a few times.
 * 2. What it returns is stored and visible to every read that begins afterwards.
 * 3. With a `seed`, the same command again (a report that came twice) is stored once.
 *
 * `decide` may be asynchronous (it may compile), and may run several times: it must have no effect of its own, and
 * must never execute anything on the same stream.
 */
export interface Command<State> {
  stream: string;
  entity: Entity<State>;
  reason: string;
  /** what the events are found by, beside what stands in them */
  keys?: EventKeys;
  seed?: string;
  decide(state: State): readonly SluiceEvent[] | Promise<readonly SluiceEvent[]>;
}

export interface Executed<State> {
  /** the stream's state with the new events */
  state: State;
  events: readonly SluiceEvent[];
}

const ATTEMPTS = 8;

export async function execute<State>(ctx: Context, command: Command<State>): Promise<Executed<State>> {
  return await ctx.queue.run(command.stream, () => tryAgain(ctx, command));
}

/** A stream's state now, and its version. */
export async function load<State>(
  ctx: Pick<Context, "database">,
  stream: string,
  entity: Entity<State>,
): Promise<{ state: State; version: number }> {
  let state = entity.initial;
  let version = 0;
  for await (const stored of readStream(ctx.database.db, stream)) {
    version = stored.streamVersion;
    const event = upcastEvent(stored, upcast);
    if (event) state = entity.evolve(state, event);
  }
  return { state, version };
}

async function tryAgain<State>(ctx: Context, command: Command<State>): Promise<Executed<State>> {
  const { stream, entity } = command;
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const { state, version } = await load(ctx, stream, entity);
    const events = await command.decide(state);
    if (events.length === 0) return { state, events };
    const stored = toStore(ctx, command, events);
    const verdict = await ctx.appender.append({ stream, expected: version, events: stored });
    if (verdict.outcome === "conflict") continue;
    await visible(ctx, Math.max(...verdict.seqs));
    if (verdict.repeated) return { state: (await load(ctx, stream, entity)).state, events: [] };
    const after = events.reduce((current, event, index) => {
      const at = stored[index]?.meta.at ?? "";
      const seq = verdict.seqs[index] ?? 0;
      return entity.evolve(current, { ...event, seq, meta: { at, correlation: ctx.correlation } });
    }, state);
    return { state: after, events };
  }
  throw new SluiceError("CONFLICT", `${stream} was changed by others ${ATTEMPTS} times meanwhile`, {
    cure: "try again",
  });
}

/** Returns when every read sees the log up to `seq`, and wakes who watches. */
export async function visible(ctx: Context, seq: number): Promise<void> {
  await ctx.projections.waitFor(seq);
  ctx.hub.poke();
}

/** Events as the log takes them. */
export function toStore(
  ctx: Context,
  { keys = {}, seed, reason }: Pick<Command<unknown>, "keys" | "seed" | "reason">,
  events: readonly SluiceEvent[],
): NewEvent[] {
  const at = ctx.clock.now().toISOString();
  return events.map((event, index) => ({
    id: seed === undefined ? ctx.ids.uuid() : uuidOf(`${seed}/${index}`),
    type: event.type,
    schemaVersion: SCHEMA_VERSIONS[event.type] ?? 1,
    data: event.data,
    meta: { at, actor: ctx.actor, reason, correlation: ctx.correlation },
    keys: { ...keys, ...keysOf(event) },
  }));
}

/** What an event is found by: the names that stand in it. */
export function keysOf({ data }: SluiceEvent): EventKeys {
  return {
    ...("policy" in data ? { policy: data.policy } : {}),
    ...("server" in data && data.server !== undefined ? { server: data.server } : {}),
    ...("list" in data ? { list: data.list } : {}),
    ...("rollout" in data && data.rollout !== undefined ? { rollout: data.rollout } : {}),
  };
}
