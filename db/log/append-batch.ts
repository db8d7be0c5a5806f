import type { Sql } from "../connect.ts";
import type { PreparedEvent } from "./event-body.ts";

/** One command as the SQL function `append_batch` takes it (migrations/0001-event-log.sql). */
export interface PreparedCommand {
  stream: string;
  expected: number;
  events: readonly PreparedEvent[];
}

export interface BatchRow {
  verdict: "stored" | "repeated" | "conflict" | "reused";
  version: number;
  seqs: number[] | null;
}

/** One round trip: appends the batch and returns a row per command, in their order. */
export async function appendBatch(sql: Sql, commands: readonly PreparedCommand[]): Promise<BatchRow[]> {
  const events = commands.flatMap((command) => command.events);
  const rows = await sql<BatchRow[]>`
    select verdict, version, seqs
      from append_batch(
             ${commands.map(({ stream }) => stream)}::text[],
             ${commands.map(({ expected }) => expected)}::bigint[],
             ${commands.map((command) => command.events.length)}::integer[],
             ${events.map(({ body }) => body)}::text[],
             ${events.map(({ actor }) => actor.value)}::text[],
             ${events.map(({ actor }) => actor.salt)}::text[],
             ${events.map(({ reason }) => reason.value)}::text[],
             ${events.map(({ reason }) => reason.salt)}::text[])
     order by command`;
  if (rows.length !== commands.length)
    throw new Error(`${commands.length} commands got ${rows.length} verdicts`);
  return rows;
}
