import { policyRevisionTable } from "@sluice/db/schema/policies";
import type { BlamePolicyView, blamePolicyInput } from "@sluice/proto/api/policies";
import { SluiceError } from "@sluice/proto/base/errors";
import { and, asc, eq, lte } from "drizzle-orm";
import type { z } from "zod";
import type { Context } from "../context/services.ts";
import { blameLines } from "./blame-lines.ts";
import { findPolicy } from "./find.ts";

/** Which revision each line came with, who made it, when and why. */
export async function blamePolicy(
  ctx: Pick<Context, "database">,
  { policy, revision: asked }: z.output<typeof blamePolicyInput>,
): Promise<BlamePolicyView> {
  const revision = asked ?? (await findPolicy(ctx, policy)).revision;
  const rows = await revisionsUpTo(ctx, policy, revision);
  const revised = new Map(rows.map(({ revision: its, at, actor, reason }) => [its, { at, actor, reason }]));
  const lines = blameLines(rows).flatMap(({ line, text, since }) => {
    const by = revised.get(since);
    return by === undefined ? [] : [{ line, text, revision: since, revised: by }];
  });
  return { policy, revision, lines };
}

/** Oldest first; throws NOT_FOUND where there is none of that number. */
export async function revisionsUpTo(
  { database }: Pick<Context, "database">,
  policy: string,
  revision: number,
) {
  const rows = await database.db
    .select()
    .from(policyRevisionTable)
    .where(and(eq(policyRevisionTable.policy, policy), lte(policyRevisionTable.revision, revision)))
    .orderBy(asc(policyRevisionTable.revision));
  if (rows.at(-1)?.revision === revision) return rows;
  throw new SluiceError("NOT_FOUND", `there is no revision ${revision} of ${policy}`);
}
