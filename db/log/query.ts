import { SluiceError } from "@sluice/proto/base/errors";
import { and, desc, eq, gte, ilike, inArray, lt, lte, or, type SQL } from "drizzle-orm";
import type { Queryable } from "../connect.ts";
import { events } from "../schema/events.ts";
import { actorOf, reasonOf, type StoredEvent, selectStored, toStored } from "./stored-event.ts";

/** What of the history is asked for; every field given must hold. */
export interface HistoryFilter {
  stream?: string | undefined;
  types?: readonly string[] | undefined;
  policy?: string | undefined;
  server?: string | undefined;
  list?: string | undefined;
  rollout?: string | undefined;
  correlation?: string | undefined;
  actor?: string | undefined;
  /** ISO times, both included. */
  from?: string | undefined;
  to?: string | undefined;
  /** Found anywhere in the body, the actor or the reason, in any case. */
  text?: string | undefined;
  /** The cursor: only what stands before this seq. */
  before?: number | undefined;
  /** 100 unless said, 1,000 at most. */
  limit?: number | undefined;
}

export interface HistoryPage {
  /** Newest first. */
  rows: StoredEvent[];
  /** `before` of the next page; absent on the last one. */
  next?: number;
}

export async function queryHistory(db: Queryable, filter: HistoryFilter): Promise<HistoryPage> {
  const limit = Math.min(Math.max(filter.limit ?? 100, 1), 1_000);
  const found = await selectStored(db)
    .where(and(...conditions(filter)))
    .orderBy(desc(events.seq))
    .limit(limit + 1);
  const rows = found.slice(0, limit).map(toStored);
  const last = rows.at(-1);
  return found.length > limit && last ? { rows, next: last.seq } : { rows };
}

function conditions(filter: HistoryFilter): (SQL | undefined)[] {
  const { stream, types, policy, server, list, rollout, correlation, actor, from, to, text, before } = filter;
  const pattern = text === undefined ? undefined : `%${text.replace(/[\\%_]/g, "\\$&")}%`;
  return [
    stream === undefined ? undefined : eq(events.stream, stream),
    types === undefined ? undefined : inArray(events.type, [...types]),
    policy === undefined ? undefined : eq(events.policy, policy),
    server === undefined ? undefined : eq(events.server, server),
    list === undefined ? undefined : eq(events.list, list),
    rollout === undefined ? undefined : eq(events.rollout, rollout),
    correlation === undefined ? undefined : eq(events.correlation, correlation),
    actor === undefined ? undefined : eq(actorOf.value, actor),
    from === undefined ? undefined : gte(events.at, time(from)),
    to === undefined ? undefined : lte(events.at, time(to)),
    before === undefined ? undefined : lt(events.seq, before),
    pattern === undefined
      ? undefined
      : or(ilike(events.body, pattern), ilike(actorOf.value, pattern), ilike(reasonOf.value, pattern)),
  ];
}

function time(text: string): Date {
  const date = new Date(text);
  if (Number.isNaN(date.getTime())) {
    throw new SluiceError("INVALID", `${text} is no ISO time`, { cure: "write it as 2026-01-31T14:02:00Z" });
  }
  return date;
}
