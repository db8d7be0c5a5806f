import { readFile } from "node:fs/promises";
import { sha256Hex } from "@sluice/proto/base/digest";
import { messageOf } from "@sluice/proto/base/errors";
import type { ZodType } from "zod";
import { z } from "zod";
import { removeDurably, writeFileAtomically } from "./atomic-file.ts";

/**
 * One value on the disk, with the digest of its text beside it: a file that a crash, a full disk or a hand left torn is
 * told apart from a good one, and is never trusted.
 */
export interface RecordFile<T> {
  readonly path: string;
  read(): Promise<Stored<T>>;
  write(value: T): Promise<void>;
  remove(): Promise<void>;
}

export type Stored<T> =
  | { kind: "none" }
  | { kind: "value"; value: T }
  /** it is there and can't be trusted */
  | { kind: "torn"; reason: string };

const envelope = z.strictObject({ sha256: z.string(), text: z.string() });

export function recordFile<T>(path: string, schema: ZodType<T>): RecordFile<T> {
  return {
    path,
    async read() {
      const content = await readIfThere(path);
      return content === undefined ? { kind: "none" } : parse(path, schema, content);
    },
    async write(value) {
      const text = JSON.stringify(value);
      await writeFileAtomically(path, `${JSON.stringify({ sha256: sha256Hex(text), text })}\n`);
    },
    remove: () => removeDurably(path),
  };
}

/** The value, or undefined where there is none; what is torn is told to `onTorn` and counts as none. */
export async function readOr<T>(
  file: RecordFile<T>,
  onTorn: (reason: string) => void,
): Promise<T | undefined> {
  const stored = await file.read();
  if (stored.kind === "torn") onTorn(stored.reason);
  return stored.kind === "value" ? stored.value : undefined;
}

function parse<T>(path: string, schema: ZodType<T>, content: string): Stored<T> {
  try {
    const { sha256, text } = envelope.parse(JSON.parse(content));
    if (sha256Hex(text) !== sha256) return { kind: "torn", reason: `${path}: its digest doesn't match` };
    return { kind: "value", value: schema.parse(JSON.parse(text)) };
  } catch (error) {
    return { kind: "torn", reason: `${path}: ${messageOf(error)}` };
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}
