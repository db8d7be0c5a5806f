import { messageOf } from "@sluice/proto/base/errors";
import type { PolicyDocument } from "@sluice/proto/policy/document";
import type { Context } from "../context/services.ts";
import { sinceImport } from "../import/since-import.ts";
import { importServer } from "../servers/import.ts";
import type { Assigned } from "../servers/state.ts";

/** How a server differs from an imported policy, unless the policy is enforced there already. */
export async function warnSinceImport(
  ctx: Context,
  document: PolicyDocument,
  { server, assigned }: { server: string; assigned: Assigned },
): Promise<string[]> {
  const { policy, mode } = document;
  if (mode !== "imported") return [];
  const held = assigned.find((one) => one.policy === policy);
  if (held !== undefined && (await ctx.documents.of(ctx, policy, held.revision)).mode !== "imported")
    return [];
  try {
    const { text, left } = await importServer(ctx, { server, policy });
    const now = ctx.parsePolicy(text, server);
    return now.ok ? sinceImport(document, now.document, left) : [];
  } catch (error) {
    return [`whether it still is as it was imported can't be told: ${messageOf(error)}`];
  }
}
