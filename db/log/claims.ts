import type { Finding } from "@sluice/proto/api/proof";
import { leafHash } from "@sluice/proto/base/merkle";
import { found } from "./check-event.ts";

/** What somebody says of the log at an event; signed, so that only the log may be wrong. */
export interface Claim {
  /** who: `a signed checkpoint`, `web-1` */
  by: string;
  seq: number;
  /** 64 hex digits */
  hash: string;
  /** of the Merkle tree over the events up to it */
  root: string;
}

/** What the log has at an event. */
interface Place {
  hash: string;
  /** undefined where it can't be told */
  root: string | undefined;
}

/** Another place that holds the log's hashes: its Merkle tree, or a stream outside the database. */
export interface Copy {
  leaf(seq: number): Promise<Buffer | undefined>;
}

/** Holds claims against the log as it is walked through. */
export interface Claims {
  judge(claim: Claim, place: Place): void;
  /** how many held */
  held(): number;
  /** the newest event for which one held */
  heldUpTo(): number;
  /** the first that didn't hold, and the newest event before it for which one did */
  broken(): { claim: Claim; after: number } | undefined;
}

export function createClaims(): Claims {
  let held = 0;
  let heldUpTo = 0;
  let broken: { claim: Claim; after: number } | undefined;
  return {
    judge(claim, { hash, root }) {
      if (claim.hash !== hash || (root !== undefined && claim.root !== root)) {
        broken ??= { claim, after: Math.min(heldUpTo, claim.seq - 1) };
      } else {
        held += 1;
        heldUpTo = claim.seq;
      }
    },
    held: () => held,
    heldUpTo: () => heldUpTo,
    broken: () => broken,
  };
}

/**
 * The first event that was written anew, of those after `after` and up to the claim. A copy of the log's hashes that agrees with
 * the claim is the log as it was; hashes that once differ differ from there on, so it is found by halves.
 */
export async function firstRewritten(
  { claim, after }: { claim: Claim; after: number },
  log: Copy,
  copies: readonly Copy[],
): Promise<number | undefined> {
  const wanted = leafHash(Buffer.from(claim.hash, "hex"));
  for (const copy of copies) {
    if (!(await copy.leaf(claim.seq))?.equals(wanted)) continue;
    let [same, other] = [after, claim.seq];
    while (other - same > 1) {
      const middle = Math.floor((same + other) / 2);
      const [here, there] = await Promise.all([log.leaf(middle), copy.leaf(middle)]);
      if (here !== undefined && there?.equals(here)) same = middle;
      else other = middle;
    }
    return other;
  }
  return undefined;
}

/** What a claim that doesn't hold says of the log. */
export function rewritten(
  { claim, after }: { claim: Claim; after: number },
  first: number | undefined,
  names: { type: string; stream: string } | undefined,
): Finding {
  const known = `${claim.by} of event ${claim.seq} knows another history`;
  if (first !== undefined) return found("rewritten", first, names, `isn't the one that was signed: ${known}`);
  const span = `one of the events ${after + 1} to ${claim.seq} isn't the one that was signed`;
  return { tampering: "rewritten", seq: after + 1, upTo: claim.seq, message: `${span}: ${known}` };
}
