import { setImmediate as othersTurn } from "node:timers/promises";
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

/**
 * Every file by itself, and two files with one policy's name. A large file takes a second: whoever waits for something
 * else (a server that asks whether it may confirm) is heard after each of them, however many ask at once.
 */
export async function readFiles(
  { parsePolicy, queue }: Pick<Context, "parsePolicy" | "queue">,
  files: readonly PolicyFile[],
): Promise<FileResult[]> {
  const firstWith = new Map<string, string>();
  const results: FileResult[] = [];
  for (const { name: file, text } of files) {
    const parsed = await queue.run("read a policy", async () => {
      await othersTurn();
      return parsePolicy(text, file);
    });
    if (!parsed.ok) {
      results.push({ file, problems: parsed.problems });
      continue;
    }
    const { document } = parsed;
    const read = { file, text, document, digest: digestOf(document) };
    const first = firstWith.get(document.policy);
    firstWith.set(document.policy, first ?? file);
    const message = `policy ${document.policy} is in ${first} already`;
    const twice = { message, place: { file, line: 1, column: 1 }, path: "policy" };
    results.push({ file, read, problems: first === undefined ? [] : [twice] });
  }
  return results;
}

/** All files as documents; throws INVALID with every problem of every file where there is one. */
export async function mustRead(
  ctx: Pick<Context, "parsePolicy" | "queue">,
  files: readonly PolicyFile[],
): Promise<ReadFile[]> {
  const results = await readFiles(ctx, files);
  const problems = results.flatMap((result) => result.problems);
  if (problems.length > 0) {
    const count = results.filter((result) => result.problems.length > 0).length;
    const noun = files.length === 1 ? "the policy is" : `${count} of ${files.length} files are`;
    throw new SluiceError("INVALID", `${noun} wrong, nothing was stored`, { problems });
  }
  return results.flatMap(({ read }) => (read === undefined ? [] : [read]));
}
