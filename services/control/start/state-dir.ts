import { mkdir, open, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { SluiceError } from "@sluice/proto/base/errors";
import { createSigningKey, type SigningKey } from "@sluice/proto/base/sign";
import { z } from "zod";
import { type Authority, authority } from "../link/authority.ts";

/** Control's secrets, mode 0600 in a folder of their own (0700). They are in no database and on no broker. */
const signingKey = z.strictObject({ kid: z.string(), publicKey: z.string(), privateKey: z.string() });

const NOW = "signing-key.json";
/** made, and maybe in the log already; the old one is still in its place */
const NEXT = "signing-key.next.json";

/** The key that signs all that agents obey; made at the first start. */
export async function keepSigningKey(stateDir: string): Promise<SigningKey> {
  return await keepKey(stateDir, NOW);
}

/** The one that is to follow it. */
export async function keepNextKey(stateDir: string): Promise<SigningKey> {
  return await keepKey(stateDir, NEXT);
}

export async function readNextKey(stateDir: string): Promise<SigningKey | undefined> {
  return await readKey(stateDir, NEXT);
}

/** Puts it in the place of the old one, which is gone then. */
export async function takeNextKey(stateDir: string): Promise<void> {
  await rename(join(stateDir, NEXT), join(stateDir, NOW));
}

async function readKey(stateDir: string, name: string): Promise<SigningKey | undefined> {
  const stored = await readJson(join(stateDir, name));
  return stored === undefined ? undefined : signingKey.parse(stored);
}

async function keepKey(stateDir: string, name: string): Promise<SigningKey> {
  await mkdir(stateDir, { recursive: true, mode: 0o700 });
  const stored = await readKey(stateDir, name);
  if (stored !== undefined) return stored;
  const path = join(stateDir, name);
  const made = createSigningKey();
  const file = await open(path, "wx", 0o600);
  try {
    await file.writeFile(JSON.stringify(made));
    await file.sync();
  } finally {
    await file.close();
  }
  return made;
}

/** The authority over NATS logins, `authority.json`; absent where the broker takes plain connections. */
export async function readAuthority(stateDir: string): Promise<Authority | undefined> {
  const stored = await readJson(join(stateDir, "authority.json"));
  if (stored === undefined) return undefined;
  const parsed = authority.safeParse(stored);
  if (parsed.success) return parsed.data;
  throw new SluiceError("INVALID", "authority.json in the state folder is none of this version", {
    cure: "make the authority over NATS logins anew, give nats-server its configuration, and enrol the servers again",
  });
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, "utf8"));
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}
