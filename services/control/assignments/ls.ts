import { assignmentTable } from "@sluice/db/schema/assignments";
import type { AssignmentView, listAssignmentsInput } from "@sluice/proto/api/policies";
import { and, desc, eq, sql } from "drizzle-orm";
import type { z } from "zod";
import type { Context } from "../context/services.ts";

type Row = typeof assignmentTable.$inferSelect;

export interface Standing {
  /** what the server is to hold */
  newest: Row;
  /** what it has proven to hold */
  confirmed: Row | undefined;
}

/** What servers are to hold and have proven to hold, by server; only those that were ever told anything. */
export async function standings({ database }: Context, server?: string): Promise<Map<string, Standing>> {
  const own = server === undefined ? undefined : eq(assignmentTable.server, server);
  const latest = (only?: ReturnType<typeof eq>) =>
    database.db
      .selectDistinctOn([assignmentTable.server])
      .from(assignmentTable)
      .where(and(own, only))
      .orderBy(assignmentTable.server, desc(assignmentTable.generation));
  const [newest, confirmed] = await Promise.all([latest(), latest(eq(assignmentTable.outcome, "confirmed"))]);
  const confirmedOf = new Map(confirmed.map((row) => [row.server, row]));
  return new Map(newest.map((row) => [row.server, { newest: row, confirmed: confirmedOf.get(row.server) }]));
}

export async function listAssignments(
  ctx: Context,
  { server, policy }: z.output<typeof listAssignmentsInput>,
): Promise<AssignmentView[]> {
  const all = [...(await standings(ctx, server)).values()].map(viewAssignment);
  return policy === undefined
    ? all
    : all.filter(({ assigned }) => assigned.some((one) => one.policy === policy));
}

export function viewAssignment({ newest, confirmed }: Standing): AssignmentView {
  const { server, epoch, generation, assigned, manifest, cause, rollout, at, actor, reason } = newest;
  return {
    ...{ server, epoch, generation, assigned, manifest, cause },
    ...(rollout === null ? {} : { rollout }),
    decided: { at, actor, reason },
    ...(confirmed === undefined
      ? {}
      : {
          confirmed: {
            generation: confirmed.generation,
            manifest: confirmed.manifest,
            at: confirmed.outcomeAt ?? confirmed.at,
          },
        }),
  };
}

/** Servers that are assigned any revision of a policy, with the revision; sorted by name. */
export async function holdersOf(
  { database }: Context,
  policy: string,
): Promise<{ server: string; revision: number }[]> {
  const rows = await database.db.execute<{ server: string; revision: number }>(sql`
    select newest.server, (one ->> 'revision')::integer as revision
      from (select distinct on (server) server, assigned from assignments order by server, generation desc) as newest
     cross join lateral jsonb_array_elements(newest.assigned) as one
     where one ->> 'policy' = ${policy}
     order by newest.server`);
  return [...rows];
}
