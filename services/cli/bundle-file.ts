import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import type { AuditCheckView } from "@sluice/proto/api/proof";
import { SluiceError } from "@sluice/proto/base/errors";
import type { KeySet } from "@sluice/proto/base/sign";
import type { Terminal } from "./terminal.ts";

export interface CheckedFile {
  view: AuditCheckView;
  /** sha256 of the file, hex */
  digest: string;
  bytes: number;
}

/** Checks a bundle, with no control at hand. */
export async function checkFile(
  file: string,
  pinned: KeySet | undefined,
  terminal: Terminal,
): Promise<CheckedFile> {
  const { checkBundle } = await import("@sluice/control/audit/check-bundle");
  const hash = createHash("sha256");
  let bytes = 0;
  const lines = linesOf(file, terminal, (chunk) => {
    hash.update(chunk);
    bytes += chunk.length;
  });
  const view = await checkBundle(lines, pinned);
  terminal.status("");
  return { view, digest: hash.digest("hex"), bytes };
}

async function* linesOf(
  file: string,
  terminal: Terminal,
  onBytes: (chunk: Buffer) => void,
): AsyncGenerator<string> {
  const input = createReadStream(file);
  const failed = new Promise<never>((_, reject) => {
    input.on("error", (cause) => {
      reject(new SluiceError("INVALID", `${file} can't be read: ${cause.message}`, { cause }));
    });
  });
  failed.catch(() => {});
  const opened = new Promise<void>((resolve) => input.once("open", () => resolve()));
  await Promise.race([opened, failed]);
  let count = 0;
  const lines = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY });
  input.on("data", (chunk) => onBytes(Buffer.from(chunk)));
  for await (const line of lines) {
    yield line;
    count += 1;
    if (count % 10_000 === 0) terminal.status(`line ${count} of ${file}`);
  }
}
