import type { LintPoliciesView, PolicyFile } from "@sluice/proto/api/policies";
import type { Problem } from "@sluice/proto/base/errors";
import { listFamilies } from "../assignments/compile-for.ts";
import type { Context } from "../context/services.ts";
import { type ReadFile, readFiles } from "./read-files.ts";

/** Every problem of every file that can be told without a server; nothing is stored. */
export async function lintPolicies(
  ctx: Context,
  { files }: { files: readonly PolicyFile[] },
): Promise<LintPoliciesView> {
  const lists = await listFamilies(ctx);
  const results = (await readFiles(ctx, files)).map(({ file, read, problems }) => ({
    file,
    ...(read && { policy: read.document.policy }),
    problems: [...problems, ...(read ? unknownLists(read, Object.keys(lists)) : [])],
  }));
  return { ok: results.every(({ problems }) => problems.length === 0), files: results };
}

function unknownLists({ file, document }: ReadFile, known: readonly string[]): Problem[] {
  return document.blocks
    .filter(({ list }) => !known.includes(list))
    .map(({ list, line, column }) => ({
      message: `there is no list ${list}`,
      place: { file, line, column },
      path: "blocks",
      found: list,
      expected: known.length === 0 ? "a list, created first" : `one of ${known.join(", ")}`,
    }));
}
