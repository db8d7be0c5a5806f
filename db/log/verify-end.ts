import type { Finding } from "@sluice/proto/api/proof";
import { sql } from "drizzle-orm";
import type { Queryable } from "../connect.ts";
import { checkpoints } from "../schema/checkpoints.ts";
import { events, head } from "../schema/events.ts";
import type { Claim } from "./claims.ts";

/** Whether the log ends where everybody who knows its end says. `claims` are those of later events than were walked through. */
export async function checkEnd(db: Queryable, claims: readonly Claim[]): Promise<Finding[]> {
  const [end] = await db
    .select({
      headSeq: head.seq,
      last: sql<number>`coalesce((select max(${events.seq}) from ${events}), 0)`.mapWith(Number),
      isSame: sql<boolean>`not exists (select from ${events} where ${events.seq} = ${head.seq} and ${events.hash} <> ${head.hash})`,
    })
    .from(head);
  const last = end?.last ?? (await newestSeq(db));
  const cutOff = truncated(last, whoKnowsMore(last, claims, end?.headSeq));
  return [
    ...(cutOff === undefined ? [] : [cutOff]),
    ...(end === undefined ? [ended(last, "altered", "the row that holds the log's end is gone")] : []),
    ...(end !== undefined && end.headSeq < last
      ? [
          ended(
            end.headSeq + 1,
            "added",
            `event ${end.headSeq + 1} stands after the end that the log knows of`,
          ),
        ]
      : []),
    ...(end !== undefined && end.headSeq === last && !end.isSame
      ? [ended(last, "edited", `event ${last} isn't the one that the log's end names`)]
      : []),
    ...(await readersAhead(db, last)),
  ];
}

async function newestSeq(db: Queryable): Promise<number> {
  const [row] = await db
    .select({ seq: sql<number>`coalesce(max(${events.seq}), 0)`.mapWith(Number) })
    .from(events);
  return row?.seq ?? 0;
}

function whoKnowsMore(
  last: number,
  claims: readonly Claim[],
  headSeq: number | undefined,
): Claim | { by: string; seq: number } | undefined {
  const known = [...claims, ...(headSeq === undefined ? [] : [{ by: "the log's end", seq: headSeq }])];
  return known.filter(({ seq }) => seq > last).sort((a, b) => b.seq - a.seq)[0];
}

function truncated(last: number, by: { by: string; seq: number } | undefined): Finding | undefined {
  if (by === undefined) return undefined;
  const gone = by.seq === last + 1 ? `event ${by.seq} is` : `events ${last + 1} to ${by.seq} are`;
  return ended(last + 1, "truncated", `${gone} gone: ${by.by} of event ${by.seq} knows of it`);
}

/** Projections and the Merkle tree keep how far they have come. */
async function readersAhead(db: Queryable, last: number): Promise<Finding[]> {
  const rows = await db
    .select({ name: checkpoints.name, position: checkpoints.position })
    .from(checkpoints)
    .where(sql`${checkpoints.position} > (select coalesce(max(${events.seq}), 0) from ${events})`);
  return rows.map(({ name, position }) =>
    ended(last + 1, "ahead", `${name} has come to event ${position}, and the log ends at ${last}`),
  );
}

function ended(seq: number, tampering: Finding["tampering"], message: string): Finding {
  return { tampering, seq, message };
}
