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
  const rows = await sql<BatchRow[]>`
    select verdict, version, seqs from append_batch(${JSON.stringify(commands)}::text::json) order by command`;
  if (rows.length !== commands.length)
    throw new Error(`${commands.length} commands got ${rows.length} verdicts`);
  return rows;
}
