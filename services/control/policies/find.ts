import { policyTable } from "@sluice/db/schema/policies";
import { SluiceError } from "@sluice/proto/base/errors";
import { eq } from "drizzle-orm";
import type { Context } from "../context/services.ts";

export type PolicyRow = typeof policyTable.$inferSelect;

/** The policy's newest state; throws NOT_FOUND where there is none of that name. */
export async function findPolicy(
  { database }: Pick<Context, "database">,
  policy: string,
): Promise<PolicyRow> {
  const [row] = await database.db.select().from(policyTable).where(eq(policyTable.policy, policy));
  if (row) return row;
  throw new SluiceError("NOT_FOUND", `there is no policy ${policy}`, {
    cure: "apply its file first, or check the name",
  });
}
