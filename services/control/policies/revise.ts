import { policyTable } from "@sluice/db/schema/policies";
import type { ApplyPoliciesView, applyPoliciesInput } from "@sluice/proto/api/policies";
import { SluiceError } from "@sluice/proto/base/errors";
import { streamOf } from "@sluice/proto/events/event";
import { eq } from "drizzle-orm";
import type { z } from "zod";
import { holdersOf } from "../assignments/ls.ts";
import { execute, load } from "../context/execute.ts";
import type { Context } from "../context/services.ts";
import { decideRevise, policyEntity } from "./decide.ts";
import { mustSayWhy, mustSayWhyOf } from "./must-say-why.ts";
import { mustRead, type ReadFile } from "./read-files.ts";
import { retirePolicy } from "./retire.ts";

type Applied = ApplyPoliciesView["policies"][number];

/**
 * Stores what is new in a set of files. Any problem in any file, and any policy that `prune` can't retire, refuses all
 * of it before anything is stored.
 */
export async function applyPolicies(
  ctx: Context,
  { files, prune, dryRun, reason }: z.output<typeof applyPoliciesInput>,
): Promise<ApplyPoliciesView> {
  const read = await mustRead(ctx, files);
  const surplus = prune ? await surplusPolicies(ctx, read) : [];
  if (!dryRun) await mustSayWhyAll(ctx, read, surplus, reason);
  const policies: Applied[] = [];
  for (const file of read)
    policies.push(await (dryRun ? foresee(ctx, file) : revisePolicy(ctx, file, reason)));
  if (!dryRun) for (const policy of surplus) await retirePolicy(ctx, { policy, reason });
  return { dryRun, policies, retired: surplus };
}

/** Of what would be stored or retired: by what it says now, or by what it said before. */
async function mustSayWhyAll(
  ctx: Context,
  read: readonly ReadFile[],
  surplus: readonly string[],
  reason: string,
): Promise<void> {
  if (reason.trim() !== "") return;
  for (const policy of surplus) await mustSayWhyOf(ctx, policy, reason);
  for (const file of read) {
    const { policy } = file.document;
    if ((await foresee(ctx, file)).action === "unchanged") continue;
    mustSayWhy(file.document, reason);
    await mustSayWhyOf(ctx, policy, reason);
  }
}

async function revisePolicy(ctx: Context, read: ReadFile, reason: string): Promise<Applied> {
  const { digest, text } = read;
  const { policy } = read.document;
  const { state, events } = await execute(ctx, {
    stream: streamOf.policy(policy),
    entity: policyEntity,
    reason,
    decide: (before) => decideRevise(before, { policy, digest, text }),
  });
  return viewOf(read, state.revision, events.length > 0);
}

/** What `revisePolicy` would do. */
async function foresee(ctx: Context, read: ReadFile): Promise<Applied> {
  const { digest, text } = read;
  const { policy } = read.document;
  const { state } = await load(ctx, streamOf.policy(policy), policyEntity);
  const changes = decideRevise(state, { policy, digest, text }).length > 0;
  return viewOf(read, state.revision + (changes ? 1 : 0), changes);
}

function viewOf({ file, document, digest }: ReadFile, revision: number, changed: boolean): Applied {
  const action = !changed ? "unchanged" : revision === 1 ? "created" : "revised";
  return { file, policy: document.policy, action, revision, digest };
}

/** Policies that aren't in the set. Throws where a server is still assigned one of them. */
async function surplusPolicies(ctx: Context, read: readonly ReadFile[]): Promise<string[]> {
  const kept = new Set(read.map(({ document }) => document.policy));
  const rows = await ctx.database.db
    .select({ policy: policyTable.policy })
    .from(policyTable)
    .where(eq(policyTable.retired, false))
    .orderBy(policyTable.policy);
  const surplus = rows.map(({ policy }) => policy).filter((policy) => !kept.has(policy));
  const held: string[] = [];
  for (const policy of surplus) {
    const holders = await holdersOf(ctx, policy);
    if (holders.length > 0) held.push(`${policy} (${holders.map(({ server }) => server).join(", ")})`);
  }
  if (held.length === 0) return surplus;
  throw new SluiceError("REFUSED", `still assigned to servers, so not to be retired: ${held.join("; ")}`, {
    cure: "take them off their servers first, or put their files back",
  });
}
