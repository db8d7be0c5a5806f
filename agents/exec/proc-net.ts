import { createReadStream } from "node:fs";
import type { Namespace } from "./namespace.ts";

/** A file of `/proc` as the kernel prints it, in pieces; false: there is none. */
export async function readProcNet(path: string, heard: (bytes: Uint8Array) => void): Promise<boolean> {
  try {
    for await (const bytes of createReadStream(path)) heard(bytes);
    return true;
  } catch {
    return false;
  }
}

/** The same as a text; nothing where there is none. */
export async function readNetText(at: Pick<Namespace, "readNet">, file: string): Promise<string> {
  const pieces: Uint8Array[] = [];
  await at.readNet(file, (bytes) => pieces.push(bytes));
  return Buffer.concat(pieces).toString();
}
