import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from "node:crypto";
import type { ZodType } from "zod";
import { z } from "zod";
import { canonicalJson } from "./canonical.ts";
import { tryJson } from "./json.ts";

/**
 * Signed messages (Ed25519).
 *
 * 1. The signature covers the domain and the exact body text, so a message of one kind can't pass for another.
 * 2. The body is read only after its signature holds.
 * 3. Keys are named by `kid`, the first 16 hex digits of sha256 of the raw public key; a reader pins a key set.
 */
export const signedMessage = z.strictObject({ kid: z.string(), body: z.string(), sig: z.string() });
export type SignedMessage = z.infer<typeof signedMessage>;

export type Domain =
  | "desired"
  | "plan"
  | "list"
  | "pulse"
  | "report"
  | "hits"
  | "checkpoint"
  | "witness"
  | "archive"
  | "succession";

/** what a reason repeats of a stranger's key id */
const KID_SHOWN = 32;

/** Private key as PKCS#8 base64, public key as SPKI base64: both are safe in JSON. */
export interface SigningKey {
  kid: string;
  publicKey: string;
  privateKey: string;
}

/** kid → SPKI public key, base64 */
export type KeySet = Readonly<Record<string, string>>;

export function createSigningKey(): SigningKey {
  const pair = generateKeyPairSync("ed25519");
  const publicKey = pair.publicKey.export({ type: "spki", format: "der" }).toString("base64");
  const privateKey = pair.privateKey.export({ type: "pkcs8", format: "der" }).toString("base64");
  return { kid: keyId(publicKey), publicKey, privateKey };
}

export function keyId(publicKey: string): string {
  return createHash("sha256").update(Buffer.from(publicKey, "base64")).digest("hex").slice(0, 16);
}

export function signMessage(key: SigningKey, domain: Domain, value: unknown): SignedMessage {
  const body = canonicalJson(value);
  const signature = sign(null, signedBytes(domain, body), privateKeyOf(key));
  return { kid: key.kid, body, sig: signature.toString("base64") };
}

/** Reading a key costs twice what signing with it does. */
const privateKeys = new WeakMap<SigningKey, KeyObject>();

function privateKeyOf(key: SigningKey): KeyObject {
  const known = privateKeys.get(key);
  if (known !== undefined) return known;
  const privateKey = createPrivateKey({
    key: Buffer.from(key.privateKey, "base64"),
    type: "pkcs8",
    format: "der",
  });
  privateKeys.set(key, privateKey);
  return privateKey;
}

export type Opened<T> = { ok: true; value: T } | { ok: false; reason: string };

/** Checks the signature against the pinned keys, then the shape. Never throws on bad input. */
export function openMessage<T>(
  keys: KeySet,
  domain: Domain,
  schema: ZodType<T>,
  bytes: Uint8Array | string,
): Opened<T> {
  const outer = signedMessage.safeParse(
    tryJson(typeof bytes === "string" ? bytes : Buffer.from(bytes).toString()),
  );
  if (!outer.success) return { ok: false, reason: "not a signed message" };
  const { kid, body, sig } = outer.data;
  const pinned = Object.hasOwn(keys, kid) ? keys[kid] : undefined;
  if (pinned === undefined)
    return { ok: false, reason: `signed by an unknown key ${kid.slice(0, KID_SHOWN)}` };
  const publicKey = publicKeyIn(keys, pinned);
  if (publicKey === undefined) return { ok: false, reason: `the pinned key ${kid} can't be read` };
  if (!verify(null, signedBytes(domain, body), publicKey, Buffer.from(sig, "base64")))
    return { ok: false, reason: "wrong signature" };
  const inner = schema.safeParse(tryJson(body));
  if (!inner.success)
    return { ok: false, reason: `signed, but not of the expected shape: ${z.prettifyError(inner.error)}` };
  return { ok: true, value: inner.data };
}

/** Reading a key costs half of what checking a signature with it does, and a set has few. */
const readKeys = new WeakMap<KeySet, Map<string, KeyObject | undefined>>();

function publicKeyIn(keys: KeySet, pinned: string): KeyObject | undefined {
  const known = readKeys.get(keys) ?? new Map<string, KeyObject | undefined>();
  readKeys.set(keys, known);
  if (!known.has(pinned)) known.set(pinned, readPublicKey(pinned));
  return known.get(pinned);
}

/** An Ed25519 public key (SPKI, base64); undefined where the text is none. */
export function readPublicKey(text: string): KeyObject | undefined {
  try {
    const key = createPublicKey({ key: Buffer.from(text, "base64"), type: "spki", format: "der" });
    return key.asymmetricKeyType === "ed25519" ? key : undefined;
  } catch {
    return undefined;
  }
}

function signedBytes(domain: Domain, body: string): Buffer {
  return Buffer.from(`sluice/v1/${domain}\n${body}`);
}
