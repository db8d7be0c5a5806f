import type { DiffPolicyView, diffPolicyInput } from "@sluice/proto/api/policies";
import { createTwoFilesPatch } from "diff";
import type { z } from "zod";
import type { Context } from "../context/services.ts";
import { textOf } from "./documents.ts";
import { findPolicy } from "./find.ts";

/** A unified diff of two revisions; unless said, of the newest and the one before it. */
export async function diffPolicy(
  ctx: Pick<Context, "database">,
  { policy, from: askedFrom, to: askedTo }: z.output<typeof diffPolicyInput>,
): Promise<DiffPolicyView> {
  const { revision } = await findPolicy(ctx, policy);
  const to = askedTo ?? revision;
  const from = askedFrom ?? to - 1;
  const text = (of: number) => (of === 0 ? Promise.resolve("") : textOf(ctx, policy, of));
  const [before, after] = await Promise.all([text(from), text(to)]);
  const identical = before === after;
  const diff = identical ? "" : unified(policy, { from, before, to, after });
  return { policy, from, to, identical, diff };
}

function unified(
  policy: string,
  { from, before, to, after }: { from: number; before: string; to: number; after: string },
): string {
  const patch = createTwoFilesPatch(`${policy}@${from}`, `${policy}@${to}`, before, after, "", "", {
    context: 3,
  });
  // the first line is a rule of `=` that no other diff tool prints
  return patch.replace(/^=+\n/, "").replace(/^((?:---|\+\+\+) .*?)\t$/gm, "$1");
}
