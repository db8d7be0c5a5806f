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
const held = {
  epoch: z.int(),
  generation: z.int(),
  assigned: z.array(assignedView),
  manifest: z.string(),
  at: moment,
};
const row = z.object({
  server: z.string(),
  labels: z.string().transform((text) => labelsOf.parse(JSON.parse(text))),
  decided: z.object({ ...held, cause: z.string(), actor: z.string(), reason: z.string() }).nullable(),
  confirmed: z.object(held).nullable(),
});

/**
 * Every server there was by then, by name: what it was to hold and had proven to hold. A lookup per server for each,
 * however long ago it is; for a policy only of servers that were ever to hold it.
 */
export async function serversAt(
  { database }: Pick<Context, "database">,
  time: string,
  { server, policy, after, limit }: ServersAsked,
): Promise<ServerAt[]> {
  const then = sql`${time}::text::timestamptz`;
  const holds = sql`${JSON.stringify([{ policy }])}::text::jsonb`;
  const conditions = [
    server === undefined ? [] : sql`s.server = ${server}`,
    after === undefined ? [] : sql`s.server > ${after}`,
    policy === undefined
      ? []
      : sql`s.policy = ${policy} and (d.assigned @> ${holds} or c.assigned @> ${holds})`,
  ].flat();
  const rows = await database.db.execute(sql`
    select s.server, l.labels::text as labels, to_json(d)::text as decided, to_json(c)::text as confirmed
      from ${policy === undefined ? sql`servers` : sql`policy_servers`} as s
      left join lateral (
             select epoch, generation, assigned, manifest, at, cause, actor, reason
               from assignments as a where a.server = s.server and a.at <= ${then}
              order by a.at desc, a.generation desc limit 1) as d on true
      left join lateral (
             select epoch, generation, assigned, manifest, outcome_at as at
               from assignments as a
              where a.server = s.server and a.outcome = 'confirmed' and a.outcome_at <= ${then}
              order by a.outcome_at desc, a.generation desc limit 1) as c on true
     cross join lateral (
             select labels from server_labels as x where x.server = s.server and x.at <= ${then}
              order by x.at desc, x.seq desc limit 1) as l
     where ${sql.join([sql`true`, ...conditions], sql` and `)}
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
