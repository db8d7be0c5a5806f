import { policyTable } from "@sluice/db/schema/policies";
import type { listPoliciesInput, PolicyRowView } from "@sluice/proto/api/policies";
import { asc } from "drizzle-orm";
import type { z } from "zod";
import { standings } from "../assignments/ls.ts";
import type { Context } from "../context/services.ts";

export async function listPolicies(
  ctx: Context,
  { retired }: z.output<typeof listPoliciesInput>,
): Promise<PolicyRowView[]> {
  const [rows, servers] = await Promise.all([
    ctx.database.db.select().from(policyTable).orderBy(asc(policyTable.policy)),
    standings(ctx),
  ]);
  const assigned = [...servers.values()].flatMap(({ newest }) => newest.assigned);
  return await Promise.all(
    rows
      .filter((row) => retired || !row.retired)
      .map(async ({ policy, revision, digest, retired, at, actor, reason }) => {
        const { description, targets } = await ctx.documents.of(ctx, policy, revision);
        const held = assigned.filter((one) => one.policy === policy).length;
        const revised = { at, actor, reason };
        return { policy, revision, digest, description, targets, servers: held, retired, revised };
      }),
  );
}
