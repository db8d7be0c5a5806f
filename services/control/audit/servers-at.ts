import type { AuditAtView } from "@sluice/proto/api/audit";
import { assignedView, labels as labelsOf } from "@sluice/proto/api/common";
import { sql } from "drizzle-orm";
import { z } from "zod";
import type { Context } from "../context/services.ts";

export interface ServersAsked {
  server?: string | undefined;
  /** only those that held it, or were to hold it */
  policy?: string | undefined;
  after?: string | undefined;
  limit?: number | undefined;
}

type ServerAt = AuditAtView["servers"][number];

/** Rows come as Postgres writes them. */
const moment = z.string().transform((text) => new Date(text).toISOString());
const assigned = z.string().transform((text) => z.array(assignedView).parse(JSON.parse(text)));
const held = { epoch: z.int(), generation: z.int(), assigned, manifest: z.string(), at: moment };
const row = z.object({
  server: z.string(),
  labels: z.string().transform((text) => labelsOf.parse(JSON.parse(text))),
  decided: z.object({ ...held, cause: z.string(), actor: z.string(), reason: z.string() }).nullable(),
  confirmed: z.object(held).nullable(),
});

/**
 * Every server there was by then, by name: what it was to hold and had proven to hold. A lookup per server for each,
 * however long ago it is.
 */
export async function serversAt(
  { database }: Pick<Context, "database">,
  time: string,
  { server, policy, after, limit }: ServersAsked,
): Promise<ServerAt[]> {
  const then = sql`${time}::text::timestamptz`;
  const holds = JSON.stringify([{ policy }]);
  const rows = await database.db.execute(sql`
    select s.server, l.labels::text as labels, to_json(d)::text as decided, to_json(c)::text as confirmed
      from servers as s
     cross join lateral (
             select labels from server_labels as x where x.server = s.server and x.at <= ${then}
              order by x.at desc, x.seq desc limit 1) as l
      left join lateral (
             select epoch, generation, assigned::text, manifest, at, cause, actor, reason
               from assignments as a where a.server = s.server and a.at <= ${then}
              order by a.at desc, a.generation desc limit 1) as d on true
      left join lateral (
             select epoch, generation, assigned::text, manifest, outcome_at as at
               from assignments as a
              where a.server = s.server and a.outcome = 'confirmed' and a.outcome_at <= ${then}
              order by a.outcome_at desc, a.generation desc limit 1) as c on true
     where ${server === undefined ? sql`true` : sql`s.server = ${server}`}
       and ${after === undefined ? sql`true` : sql`s.server > ${after}`}
       and ${policy === undefined ? sql`true` : sql`(d.assigned::jsonb @> ${holds}::text::jsonb or c.assigned::jsonb @> ${holds}::text::jsonb)`}
     order by s.server
     limit ${limit ?? null}::integer`);
  return rows.map((found) => viewOf(found));
}

function viewOf(found: Record<string, unknown>): ServerAt {
  const { server, labels, decided, confirmed } = row.parse({
    ...found,
    decided: parsedOf(found.decided),
    confirmed: parsedOf(found.confirmed),
  });
  const view: ServerAt = { server, labels };
  if (decided) {
    const { cause, actor, reason, ...its } = decided;
    view.decided = { ...its, cause, by: { at: its.at, actor, reason } };
  }
  if (confirmed) view.confirmed = confirmed;
  return view;
}

function parsedOf(text: unknown): unknown {
  return typeof text === "string" ? JSON.parse(text) : null;
}
