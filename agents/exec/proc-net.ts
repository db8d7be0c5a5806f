import { createReadStream } from "node:fs";

/** A file of `/proc` as the kernel prints it, in pieces; false: there is none. */
export async function readProcNet(path: string, heard: (bytes: Uint8Array) => void): Promise<boolean> {
  try {
    for await (const bytes of createReadStream(path)) heard(bytes);
    return true;
  } catch {
    return false;
  }
}
