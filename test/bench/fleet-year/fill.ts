import { hash, randomBytes } from "node:crypto";
import { setImmediate as othersTurn } from "node:timers/promises";
import { keysOf } from "@sluice/control/context/execute";
import type { Database } from "@sluice/db/connect";
import { EVENTS_PER_BLOCK, HISTORY, indexBlock } from "@sluice/db/history/blocks";
import type { Indexed } from "@sluice/db/history/terms";
import type { EventBody, EventKeys } from "@sluice/db/log/event-body";
import { copyInto } from "./copy.ts";
import { begin, HAPPENINGS } from "./happenings.ts";
import { createFleet, type Fleet, type Told } from "./story.ts";
import { openTables } from "./tables.ts";

/**
 * A year of a fleet in an empty, migrated log: as many events as are asked for, chained as `append_batch` chains them, by
 * COPY. What the log's constraints check is checked at the end, all at once.
 */
export interface FleetYear {
  events: number;
  servers: number;
  policies: readonly string[];
  from: string;
  to: string;
  seconds: number;
}

interface FillOptions {
  events: number;
  seed?: number;
  progress?: (text: string) => void;
  /** aborted, the year ends where it is */
  signal?: AbortSignal | undefined;
}

const YEAR_MS = 365 * 86_400_000;
const BEGINS = Date.parse("2025-11-01T00:00:00Z");
const LOOK_EVERY = 1_000;

const CONSTRAINTS = [
  ["personal", "personal_pkey", "primary key (seq)"],
  ["events", "events_id_key", "unique (id)"],
  ["events", "events_stream_stream_version_key", "unique (stream, stream_version)"],
  ["events", "events_pkey", "primary key (seq)"],
  ["history_terms", "history_terms_pkey", "primary key (term, block)"],
] as const;

export async function fillFleetYear(
  database: Database,
  { events, seed = 1, progress = () => {}, signal }: FillOptions,
): Promise<FleetYear> {
  const begun = performance.now();
  const builder = database.client({ max: 1, name: "sluice-fleet-year", statementTimeoutMs: 0 });
  await builder`set maintenance_work_mem = '1GB'`;
  for (const [table, name] of CONSTRAINTS)
    await builder.unsafe(`alter table ${table} drop constraint ${name}`);
  let now = BEGINS;
  const clock = {
    tick(ms: number): string {
      now += ms;
      return new Date(now).toISOString();
    },
  };
  const fleet = createFleet(events, clock, seed);
  const log = await openLog(database);
  const tables = await openTables(database);
  for (const told of story(fleet, events, (seq) => {
    now = Math.max(now, BEGINS + Math.floor((seq / events) * YEAR_MS));
  })) {
    if (signal?.aborted) break;
    log.take(told);
    tables.take(told, log.seq());
    if (log.seq() % LOOK_EVERY === 0) {
      await log.drained();
      await tables.drained();
      await othersTurn(); // writes that the server takes at once leave nobody else a turn
    }
    if (log.seq() % 1_000_000 === 0) progress(`${log.seq()} events`);
  }
  const head = await log.end();
  await tables.end();
  await builder`update head set seq = ${head.seq}, hash = ${head.hash}`;
  for (const [table, name, constraint] of CONSTRAINTS.toReversed()) {
    progress(`${name}`);
    await builder.unsafe(`alter table ${table} add constraint ${name} ${constraint}`);
  }
  await builder`
    insert into checkpoints (name, position)
    values ('control', ${head.seq}), ('past', ${head.seq}), (${HISTORY}, ${head.seq - (head.seq % EVENTS_PER_BLOCK)})
        on conflict (name) do update set position = excluded.position`;
  await builder`vacuum analyze`;
  await builder.end({ timeout: 5 });
  return {
    events: head.seq,
    servers: fleet.servers.length,
    policies: fleet.policies.map(({ draft }) => draft.policy),
    from: new Date(BEGINS).toISOString(),
    to: new Date(now).toISOString(),
    seconds: (performance.now() - begun) / 1000,
  };
}

/** Ends exactly at the last event: a happening may be cut short, as a log may. */
function* story(fleet: Fleet, events: number, wait: (seq: number) => void): Generator<Told> {
  let seq = 0;
  const told = HAPPENINGS.map(() => 0);
  function* counted(from: Generator<Told>, happening?: number): Generator<Told> {
    for (const one of from) {
      if (seq === events) return;
      seq += 1;
      if (happening !== undefined) told[happening] = (told[happening] ?? 0) + 1;
      yield one;
    }
  }
  yield* counted(begin(fleet));
  while (seq < events) {
    wait(seq);
    const owed = HAPPENINGS.map(({ share }, index) => share * (seq + 1) - (told[index] ?? 0));
    const next = owed.indexOf(Math.max(...owed));
    const happening = HAPPENINGS[next];
    if (happening) yield* counted(happening.tell(fleet), next);
  }
}

async function openLog(database: Database) {
  const rows = await copyInto(database, "events", [
    ...["seq", "stream", "stream_version", "id", "type", "schema_version", "body", "prev_hash", "hash"],
    ...["at", "correlation", "policy", "server", "list", "rollout"],
  ]);
  const personal = await copyInto(database, "personal", [
    ...["seq", "actor", "actor_salt", "reason", "reason_salt"],
  ]);
  const history = await openHistory(database);
  const versions = new Map<string, number>();
  const ids = idSource();
  let seq = 0;
  let head = "0".repeat(64);
  return {
    seq: () => seq,
    take(told: Told) {
      const { event, stream, actor, reason, correlation, at } = told;
      seq += 1;
      const streamVersion = (versions.get(stream) ?? 0) + 1;
      versions.set(stream, streamVersion);
      const id = ids.uuid();
      const keys = inOrder({ ...told.keys, ...keysOf(event) });
      const salts = { actor: ids.salt(), reason: ids.salt() };
      // canonical as it stands, since every object of the story is written in the order of its names: a test holds it to that
      const body: EventBody = {
        ...{ data: event.data, id, keys },
        meta: { actor: salted(salts.actor, actor), at, correlation, reason: salted(salts.reason, reason) },
        ...{ schemaVersion: 1, stream, streamVersion, type: event.type },
      };
      const text = JSON.stringify(body);
      const previous = head;
      head = follow(previous, seq, text);
      rows.row([
        ...[seq, stream, streamVersion, id, event.type, 1, text, { hex: previous }, { hex: head }],
        ...[
          at,
          correlation,
          keys.policy ?? null,
          keys.server ?? null,
          keys.list ?? null,
          keys.rollout ?? null,
        ],
      ]);
      personal.row([seq, actor, { hex: salts.actor }, reason, { hex: salts.reason }]);
      history.take({
        seq,
        type: event.type,
        keys,
        data: event.data,
        meta: { at, correlation, actor, reason },
      });
    },
    async drained() {
      await rows.drained();
      await personal.drained();
      await history.drained();
    },
    async end() {
      await rows.end();
      await personal.end();
      await history.end();
      return { seq, hash: Buffer.from(head, "hex") };
    },
  };
}

/** The blocks that are complete, as the follower of the log writes them. */
async function openHistory(database: Database) {
  const terms = await copyInto(database, "history_terms", ["term", "block", "places"]);
  const blocks = await copyInto(database, "history_blocks", ["block", "first_at", "last_at"]);
  let waiting: Indexed[] = [];
  let block = 0;
  return {
    take(event: Indexed) {
      if (waiting.push(event) < EVENTS_PER_BLOCK) return;
      const index = indexBlock(waiting);
      for (const [term, places] of index.terms) terms.row([term, block, { hex: places.toString("hex") }]);
      blocks.row([block, index.firstAt, index.lastAt]);
      waiting = [];
      block += 1;
    },
    drained: () => terms.drained(),
    async end() {
      await terms.end();
      await blocks.end();
    },
  };
}

function inOrder({ list, policy, rollout, server }: EventKeys): EventKeys {
  return { list, policy, rollout, server };
}

const LINK = Buffer.alloc(72);

/** As `chainHash`, in one call of the hash function each; hashes as hex. */
function follow(previous: string, seq: number, body: string): string {
  LINK.write(previous, "hex");
  LINK.writeBigInt64BE(BigInt(seq), 32);
  LINK.write(hash("sha256", body), 40, "hex");
  return hash("sha256", LINK);
}

const SALT_BYTES = 16;

function salted(salt: string, value: string): string {
  const bytes = Buffer.allocUnsafe(SALT_BYTES + Buffer.byteLength(value));
  bytes.write(salt, "hex");
  bytes.write(value, SALT_BYTES);
  return hash("sha256", bytes);
}

/** Random bytes, as hex, are asked for many at a time. */
function idSource() {
  let pool = "";
  let place = 0;
  function take(bytes: number): string {
    if (place + 2 * bytes > pool.length) {
      pool = randomBytes(64 * 1024).toString("hex");
      place = 0;
    }
    place += 2 * bytes;
    return pool.slice(place - 2 * bytes, place);
  }
  return {
    salt: () => take(SALT_BYTES),
    uuid() {
      const hex = take(16);
      return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`;
    },
  };
}
