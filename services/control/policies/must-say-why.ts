import { policyTable } from "@sluice/db/schema/policies";
import { SluiceError } from "@sluice/proto/base/errors";
import type { PolicyDocument } from "@sluice/proto/policy/document";
import { eq } from "drizzle-orm";
import type { Context } from "../context/services.ts";

/** Throws where the policy asks for a reason and there is none; `path` of the problem tells whoever can ask for it. */
export function mustSayWhy(
  { policy, reason: asks }: Pick<PolicyDocument, "policy" | "reason">,
  reason: string,
): void {
  if (asks !== "required" || reason.trim() !== "") return;
  throw new SluiceError("INVALID", `${policy} asks for a reason, and there is none`, {
    cure: 'say why: --reason "…"',
    problems: [{ message: "a reason is missing", path: "reason" }],
  });
}

/** The same of the policy's newest revision, where there is one. */
export async function mustSayWhyOf(
  ctx: Pick<Context, "database" | "documents">,
  policy: string,
  reason: string,
): Promise<void> {
  if (reason.trim() !== "") return;
  const [row] = await ctx.database.db.select().from(policyTable).where(eq(policyTable.policy, policy));
  if (row !== undefined) mustSayWhy(await ctx.documents.of(ctx, policy, row.revision), reason);
}
