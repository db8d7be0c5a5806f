import { randomUUID } from "node:crypto";
import { connect, type Database } from "@sluice/db/connect";
import { Appender, type AppendVerdict } from "@sluice/db/log/append";
import type { EventKeys, JsonObject, NewEvent } from "@sluice/db/log/event-body";
import { migrate } from "@sluice/db/migrate";

/** A migrated log in a schema of its own. */
export interface LogFixture extends AsyncDisposable {
  database: Database;
  appender: Appender;
}

export async function freshLog(url: string): Promise<LogFixture> {
  const database = await connect(url, { schema: `t_${randomUUID().replaceAll("-", "")}` });
  await migrate(database);
  const appender = new Appender(database);
  return {
    database,
    appender,
    async [Symbol.asyncDispose]() {
      await appender.close();
      await database.sql`drop schema ${database.sql(database.schema)} cascade`;
      await database.close();
    },
  };
}

export interface EventParts {
  id?: string;
  type?: string;
  data?: JsonObject;
  at?: string;
  actor?: string;
  reason?: string;
  keys?: EventKeys;
}

export function newEvent(parts: EventParts = {}): NewEvent {
  return {
    id: parts.id ?? randomUUID(),
    type: parts.type ?? "FleetFrozen",
    schemaVersion: 1,
    data: parts.data ?? {},
    meta: {
      at: parts.at ?? "2026-01-02T03:04:05.000Z",
      actor: parts.actor ?? "ada",
      reason: parts.reason ?? "because",
      correlation: "c-1",
    },
    keys: parts.keys ?? {},
  };
}

/** The seqs of a command that must have been stored. */
export function seqsOf(verdict: AppendVerdict): number[] {
  if (verdict.outcome !== "stored") throw new Error(`a conflict: the stream is at ${verdict.actual}`);
  return verdict.seqs;
}

/** Appends events one after another, each to the end of its stream. */
export async function appendAll(appender: Appender, stream: string, events: readonly NewEvent[], from = 0) {
  return seqsOf(await appender.append({ stream, expected: from, events }));
}

/** All of them. (Array.fromAsync isn't in the library of types yet.) */
export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
