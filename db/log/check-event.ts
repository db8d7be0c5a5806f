import type { Finding, Tampering } from "@sluice/proto/api/proof";
import { sha256 } from "@sluice/proto/base/digest";
import { tryJson } from "@sluice/proto/base/json";
import { type CheckedBody, checkedBody } from "@sluice/proto/events/body";
import { chainHash, saltedDigest } from "./event-body.ts";
import type { Evidence } from "./evidence.ts";

/**
 * Whether events follow each other as they were written; pure, for the log and for what was exported of it. A fault doesn't
 * end it: what follows is held against what stands there, so that one bad event isn't taken for many.
 */
export interface Before extends Names {
  seq: number;
  hash: Buffer;
  /** it was named as bad: what follows can't be held against it */
  isBad: boolean;
}

export const ORIGIN: Before = { seq: 0, hash: Buffer.alloc(32), isBad: false };

interface Names {
  type?: string | undefined;
  stream?: string | undefined;
}

export interface Checked {
  /** undefined where it is no event's */
  body: CheckedBody | undefined;
  finding: Finding | undefined;
  /** what follows can't be held against it */
  isBad: boolean;
}

/** `followingPrev`: the previous hash that the event after it names. */
export function checkEvent(before: Before, event: Evidence, followingPrev?: Buffer): Checked {
  const read = checkedBody.safeParse(tryJson(event.body));
  const body = read.success ? read.data : undefined;
  const finding = checkLink(before, event, body, followingPrev) ?? checkPersonal(event, body);
  const isBad = finding !== undefined && (finding.seq === event.seq || finding.tampering === "added");
  return { body, finding, isBad };
}

function checkLink(
  before: Before,
  event: Evidence,
  body: CheckedBody | undefined,
  followingPrev: Buffer | undefined,
): Finding | undefined {
  const { seq, prev, hash } = event;
  const made = chainHash(before.hash, seq, event.body);
  if (made.equals(hash)) {
    if (!prev.equals(before.hash))
      return found("altered", seq, body, "names another previous hash than it follows");
    return body === undefined ? found("edited", seq, body, "has what is no event for its body") : undefined;
  }
  if (chainHash(prev, seq, event.body).equals(hash)) {
    // as it was written, so it is the one before that isn't
    if (before.isBad) return undefined;
    return found("edited", before.seq, before, `isn't the one that event ${seq} was written after`);
  }
  if (followingPrev?.equals(made)) return found("edited", seq, body, "has a hash that isn't its body's");
  const place = placeOf(event);
  if (place === undefined)
    return found("edited", seq, body, "isn't the one that was written here: its body was edited");
  // all before it are sound, and still it stands too far on
  if (place < seq && !before.isBad)
    return found(
      "added",
      place,
      place === before.seq ? before : undefined,
      `was put in: what is ${seq} was it`,
    );
  return found("moved", seq, body, `isn't the one that was written here: it was event ${place}`);
}

/** How far from its place an event is looked for. */
const MOVED_MOST = 10_000;

/** Where it was written, as its own hash tells. */
function placeOf({ seq, prev, hash, body }: Evidence): number | undefined {
  const content = sha256(body);
  const place = Buffer.alloc(8);
  for (let far = 1; far <= MOVED_MOST; far += 1) {
    for (const other of [seq - far, seq + far]) {
      if (other < 1) continue;
      place.writeBigInt64BE(BigInt(other));
      const made = sha256(Buffer.concat([prev, place, content]));
      if (made.equals(hash)) return other;
    }
  }
  return undefined;
}

/** Whether the actor and the reason that are kept are those of which the body has the digests. */
function checkPersonal(event: Evidence, body: CheckedBody | undefined): Finding | undefined {
  for (const field of ["actor", "reason"] as const) {
    const kept = event[field];
    if (kept !== undefined && saltedDigest(Buffer.from(kept.salt, "hex"), kept.value) !== body?.meta[field])
      return found("altered", event.seq, body, `has another ${field} beside it than was recorded`);
  }
  return undefined;
}

/** A finding about one event, by its names as far as they are known. */
export function found(tampering: Tampering, seq: number, names: Names | undefined, is: string): Finding {
  const { type, stream } = names ?? {};
  const called = type === undefined || stream === undefined ? "" : ` (${type} on ${stream})`;
  return {
    ...{ tampering, seq },
    ...(type !== undefined && { type }),
    ...(stream !== undefined && { stream }),
    message: `event ${seq}${called} ${is}`,
  };
}
