import { policyRevisionTable } from "@sluice/db/schema/policies";
import type { PolicyHistoryView } from "@sluice/proto/api/policies";
import { desc, eq } from "drizzle-orm";
import type { Context } from "../context/services.ts";
import { findPolicy } from "./find.ts";

/** All revisions, newest first. */
export async function policyHistory(
  ctx: Context,
  { policy }: { policy: string },
): Promise<PolicyHistoryView> {
  await findPolicy(ctx, policy);
  const rows = await ctx.database.db
    .select()
    .from(policyRevisionTable)
    .where(eq(policyRevisionTable.policy, policy))
    .orderBy(desc(policyRevisionTable.revision));
  return rows.map(({ revision, digest, text, at, actor, reason }) => ({
    ...{ revision, digest },
    bytes: Buffer.byteLength(text),
    revised: { at, actor, reason },
  }));
}
