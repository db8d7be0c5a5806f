import { sql } from "drizzle-orm";
import type { Queryable } from "../connect.ts";
import { events } from "../schema/events.ts";
import type { EventBody, EventKeys } from "./event-body.ts";
import { personalBeside } from "./personal-beside.ts";

/** Where an event stands and who is behind it. Actor and reason are null once they have been erased. */
export interface Envelope {
  seq: number;
  stream: string;
  streamVersion: number;
  id: string;
  meta: { at: string; correlation: string; actor: string | null; reason: string | null };
  keys: EventKeys;
}

/** An event as it is stored, in whatever version it was written; `upcastEvents` brings it to today's. */
export interface StoredEvent extends Envelope {
  /** 64 hex digits; {seq, hash} of the newest event is a checkpoint of the whole log. */
  hash: string;
  type: string;
  schemaVersion: number;
  data: unknown;
}

/** The one select of events: add `where`, `orderBy` and `limit`, then read each row with `toStored`. */
export function selectStored(db: Queryable) {
  const { seq, hash, body } = events;
  const beside = personalBeside(db);
  return db
    .select({ seq, hash, body, actor: beside.actor, reason: beside.reason })
    .from(events)
    .leftJoinLateral(beside, sql`true`);
}

export type StoredRow = Awaited<ReturnType<typeof selectStored>>[number];

export function toStored({ seq, hash, body, actor, reason }: StoredRow): StoredEvent {
  const { id, stream, streamVersion, type, schemaVersion, data, keys, meta }: EventBody = JSON.parse(body);
  return {
    seq,
    stream,
    streamVersion,
    id,
    hash: hash.toString("hex"),
    type,
    schemaVersion,
    data,
    keys,
    meta: { at: meta.at, correlation: meta.correlation, actor, reason },
  };
}
