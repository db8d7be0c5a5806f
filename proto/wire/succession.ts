import { z } from "zod";
import { canonicalJson } from "../base/canonical.ts";
import { type KeySet, keyId, openMessage } from "../base/sign.ts";
import type { Checkpoint } from "./checkpoint.ts";

/**
 * Control's keys, one after the other, as far as they sign the log.
 *
 *   K1 ──── signed the log up to event 4711 ────┐ succession, signed by K1 and K2
 *                                               └ K2 ──── signs what follows
 *
 * 1. Backwards: who trusts K2 trusts its word that K1 came before it, for what is no later than the event it names.
 * 2. Forwards: who trusts K1 trusts its word that K2 follows, where K1 was at hand to say so. Only keys that are trusted
 *    without it lead forwards: a key of before, stolen later, can name no successor to who trusts today's.
 */
export const succession = z.strictObject({
  /** the last event that `from` may stand for */
  upTo: z.int().min(0),
  /** SPKI public keys, base64 */
  from: z.string(),
  to: z.string(),
});
export type Succession = z.infer<typeof succession>;

/** With its signatures (domain `succession`) over its canonical JSON. */
export const signedSuccession = succession.extend({
  sigs: z.array(z.strictObject({ kid: z.string(), sig: z.string() })),
});
export type SignedSuccession = z.infer<typeof signedSuccession>;

/** Whose signature counts, and up to which event; without an end where none is named. */
export interface Signers {
  keys: KeySet;
  lastOf: Readonly<Record<string, number>>;
}

/** `said`: in the order of the log. */
export function signersOf(pinned: KeySet, said: readonly SignedSuccession[]): Signers {
  const keys: Record<string, string> = { ...pinned };
  const lastOf: Record<string, number> = {};
  for (const { upTo, from, to, sigs } of said) {
    const [older, newer] = [keyId(from), keyId(to)];
    const isLed = Object.hasOwn(keys, older) && !Object.hasOwn(lastOf, older);
    if (!isLed || !isSigned({ upTo, from, to }, from, sigs)) continue;
    lastOf[older] = upTo;
    keys[newer] ??= to;
  }
  for (const { upTo, from, to, sigs } of said.toReversed()) {
    const older = keyId(from);
    if (!Object.hasOwn(keys, keyId(to)) || !isSigned({ upTo, from, to }, to, sigs)) continue;
    keys[older] ??= from;
    lastOf[older] ??= upTo;
  }
  return { keys, lastOf };
}

function isSigned(said: Succession, key: string, sigs: SignedSuccession["sigs"]): boolean {
  const kid = keyId(key);
  const body = canonicalJson(said);
  return sigs.some(
    (one) =>
      one.kid === kid &&
      openMessage({ [kid]: key }, "succession", succession, JSON.stringify({ kid, body, sig: one.sig })).ok,
  );
}

/** Whether the succession is one that these signers go by. */
export function isHeld({ keys }: Signers, { sigs, ...said }: SignedSuccession): boolean {
  return Object.hasOwn(keys, keyId(said.to)) && isSigned(said, said.to, sigs);
}

/** Why a key's word of this event doesn't count; undefined where it does. */
export function tooLate(
  { lastOf }: Signers,
  kid: string,
  { seq }: Pick<Checkpoint, "seq">,
): string | undefined {
  const last = lastOf[kid];
  if (last === undefined || seq <= last) return undefined;
  return `key ${kid} signed up to event ${last}, and another one what follows`;
}
