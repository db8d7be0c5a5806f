import { listTable } from "@sluice/db/schema/lists";
import { digestOf } from "@sluice/proto/base/digest";
import { type Problem, SluiceError } from "@sluice/proto/base/errors";
import type { Facts } from "@sluice/proto/manifest/facts";
import { EMPTY_MANIFEST } from "@sluice/proto/manifest/manifest";
import type { PolicyDocument } from "@sluice/proto/policy/document";
import { eq } from "drizzle-orm";
import { compileKey, relevantFacts } from "../compile/facts-digest.ts";
import type { AssignedPolicy, CompileInput } from "../compile/input.ts";
import type { CompileMemo, Context } from "../context/services.ts";
import { factsOf } from "../servers/facts.ts";
import type { Assigned } from "../servers/state.ts";
import { EMPTY_MANIFEST_DIGEST, keepManifest } from "./manifests.ts";

export type Compiled =
  | { ok: true; digest: string; factsDigest: string; warnings: readonly string[] }
  | { ok: false; problems: readonly Problem[] };

export interface CompileFor {
  server: string;
  labels: Readonly<Record<string, string>>;
  assigned: Assigned;
  /** stands in for the stored revision of the same policy: a document that isn't stored yet */
  unstored?: PolicyDocument | undefined;
  /** instead of those stored */
  facts?: Facts | undefined;
  /** instead of those stored, for many servers at once */
  lists?: CompileInput["lists"] | undefined;
}

/** The manifest that an assignment makes on one server; kept, ready to be told. */
export async function compileFor(ctx: Context, request: CompileFor): Promise<Compiled> {
  const { server, labels, assigned, unstored } = request;
  if (assigned.length === 0) {
    await keepManifest(ctx, EMPTY_MANIFEST);
    return { ok: true, digest: EMPTY_MANIFEST_DIGEST, factsDigest: "", warnings: [] };
  }
  const facts = request.facts ?? (await factsOf(ctx, server))?.facts;
  if (facts === undefined) {
    const message = `${server} has not reported what it is yet: its agent has never been connected`;
    return { ok: false, problems: [{ message }] };
  }
  const documents = await documentsOf(ctx, assigned, unstored);
  if (!documents.ok) return documents;
  const lists = request.lists ?? (await listFamilies(ctx));
  const input = { assigned: documents.assigned, server: { name: server, labels }, facts, lists };
  const result = await compileOnce(ctx, input);
  return result.ok ? { ...result, factsDigest: digestOf(relevantFacts(facts)) } : result;
}

const MOST_KEPT = 2_000;

/** Servers that are alike in all that compile reads share one compile. */
async function compileOnce(ctx: Context, input: CompileInput): Promise<CompileMemo> {
  const key = compileKey(input);
  const known = ctx.compiled.get(key);
  if (known !== undefined) return known;
  const result = ctx.compile(input);
  const memo: CompileMemo = result.ok
    ? { ok: true, digest: await keepManifest(ctx, result.manifest), warnings: result.warnings }
    : result;
  if (ctx.compiled.size >= MOST_KEPT) ctx.compiled.clear();
  ctx.compiled.set(key, memo);
  return memo;
}

export async function listFamilies({ database }: Context): Promise<CompileInput["lists"]> {
  const rows = await database.db
    .select({ list: listTable.list, families: listTable.families })
    .from(listTable)
    .where(eq(listTable.retired, false));
  return Object.fromEntries(rows.map(({ list, families }) => [list, { families }]));
}

async function documentsOf(
  ctx: Context,
  assigned: Assigned,
  unstored: PolicyDocument | undefined,
): Promise<{ ok: true; assigned: AssignedPolicy[] } | { ok: false; problems: readonly Problem[] }> {
  try {
    const all = assigned.map(async ({ policy, revision }) =>
      unstored?.policy === policy
        ? { revision: 0, document: unstored }
        : { revision, document: await ctx.documents.of(ctx, policy, revision) },
    );
    return { ok: true, assigned: await Promise.all(all) };
  } catch (error) {
    if (!(error instanceof SluiceError) || error.code !== "REFUSED") throw error;
    return { ok: false, problems: [{ message: error.message }, ...error.problems] };
  }
}
