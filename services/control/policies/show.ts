import { policyRevisionTable } from "@sluice/db/schema/policies";
import type { PolicyView } from "@sluice/proto/api/policies";
import { SluiceError } from "@sluice/proto/base/errors";
import { and, eq } from "drizzle-orm";
import { holdersOf } from "../assignments/ls.ts";
import type { Context } from "../context/services.ts";
import { findPolicy } from "./find.ts";

/** One revision of a policy, the newest unless said. */
export async function showPolicy(
  ctx: Context,
  { policy, revision: asked }: { policy: string; revision?: number | undefined },
): Promise<PolicyView> {
  const newest = await findPolicy(ctx, policy);
  const revision = asked ?? newest.revision;
  const [row] = await ctx.database.db
    .select()
    .from(policyRevisionTable)
    .where(and(eq(policyRevisionTable.policy, policy), eq(policyRevisionTable.revision, revision)));
  if (!row) {
    throw new SluiceError(
      "NOT_FOUND",
      `${policy} has no revision ${revision}: its newest is ${newest.revision}`,
    );
  }
  const { text, digest, at, actor, reason } = row;
  const { description, targets } = await ctx.documents.of(ctx, policy, revision);
  return {
    ...{ policy, revision, digest, description, targets },
    retired: newest.retired,
    revised: { at, actor, reason },
    latest: newest.revision,
    text,
    servers: await holdersOf(ctx, policy),
  };
}
