import { policyRevisionTable } from "@sluice/db/schema/policies";
import { digestOf } from "@sluice/proto/base/digest";
import { formatProblem, SluiceError } from "@sluice/proto/base/errors";
import type { PolicyDocument } from "@sluice/proto/policy/document";
import { and, eq } from "drizzle-orm";
import type { Context, ParsePolicy } from "../context/services.ts";

const MOST = 1_000;

/** Stored revisions as documents. A revision never changes, so what was parsed once is kept. */
export class Documents {
  readonly #parse: ParsePolicy;
  readonly #kept = new Map<string, PolicyDocument>();

  constructor(parse: ParsePolicy) {
    this.#parse = parse;
  }

  async of(ctx: Pick<Context, "database">, policy: string, revision: number): Promise<PolicyDocument> {
    const key = `${policy}@${revision}`;
    const kept = this.#kept.get(key);
    if (kept !== undefined) return kept;
    const document = this.#read(await textOf(ctx, policy, revision), key);
    if (this.#kept.size >= MOST) this.#kept.clear();
    this.#kept.set(key, document);
    return document;
  }

  /** Of a revision's content: comments and spelling don't count. */
  async digestOf(ctx: Pick<Context, "database">, policy: string, revision: number): Promise<string> {
    return digestOf(await this.of(ctx, policy, revision));
  }

  #read(text: string, name: string): PolicyDocument {
    const parsed = this.#parse(text, name);
    if (parsed.ok) return parsed.document;
    const [first] = parsed.problems;
    throw new SluiceError("REFUSED", `${name} can't be read any more: ${first ? formatProblem(first) : ""}`, {
      cure: "apply it again in today's policy language",
      problems: parsed.problems,
    });
  }
}

/** The text of a stored revision; throws NOT_FOUND where there is none. */
export async function textOf(
  { database }: Pick<Context, "database">,
  policy: string,
  revision: number,
): Promise<string> {
  const [row] = await database.db
    .select({ text: policyRevisionTable.text })
    .from(policyRevisionTable)
    .where(and(eq(policyRevisionTable.policy, policy), eq(policyRevisionTable.revision, revision)));
  if (row) return row.text;
  throw new SluiceError("NOT_FOUND", `there is no revision ${revision} of ${policy}`);
}
