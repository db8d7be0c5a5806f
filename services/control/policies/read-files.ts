import type { PolicyFile } from "@sluice/proto/api/policies";
import { digestOf } from "@sluice/proto/base/digest";
import { type Problem, SluiceError } from "@sluice/proto/base/errors";
import type { PolicyDocument } from "@sluice/proto/policy/document";
import type { Context } from "../context/services.ts";

export interface ReadFile {
  file: string;
  text: string;
  document: PolicyDocument;
  /** of the document: comments and spelling don't count */
  digest: string;
}

export type FileResult = { file: string; read?: ReadFile; problems: readonly Problem[] };

/** Every file by itself, and two files with one policy's name. */
export function readFiles(
  { parsePolicy }: Pick<Context, "parsePolicy">,
  files: readonly PolicyFile[],
): FileResult[] {
  const firstWith = new Map<string, string>();
  return files.map(({ name: file, text }) => {
    const parsed = parsePolicy(text, file);
    if (!parsed.ok) return { file, problems: parsed.problems };
    const { document } = parsed;
    const read = { file, text, document, digest: digestOf(document) };
    const first = firstWith.get(document.policy);
    firstWith.set(document.policy, first ?? file);
    if (first === undefined) return { file, read, problems: [] };
    const message = `policy ${document.policy} is in ${first} already`;
    return { file, read, problems: [{ message, place: { file, line: 1, column: 1 }, path: "policy" }] };
  });
}

/** All files as documents; throws INVALID with every problem of every file where there is one. */
export function mustRead(ctx: Pick<Context, "parsePolicy">, files: readonly PolicyFile[]): ReadFile[] {
  const results = readFiles(ctx, files);
  const problems = results.flatMap((result) => result.problems);
  if (problems.length > 0) {
    const count = results.filter((result) => result.problems.length > 0).length;
    const noun = files.length === 1 ? "the policy is" : `${count} of ${files.length} files are`;
    throw new SluiceError("INVALID", `${noun} wrong, nothing was stored`, { problems });
  }
  return results.flatMap(({ read }) => (read === undefined ? [] : [read]));
}
