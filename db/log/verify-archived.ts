import type { Finding } from "@sluice/proto/api/proof";
import { keptDigest } from "@sluice/proto/wire/archive";
import type { Queryable } from "../connect.ts";
import { readArchived } from "./archived.ts";
import { type Copy, firstRewritten } from "./claims.ts";

/** An archive as an event of the log tells of it, signed. */
export interface ArchiveTold {
  /** its event's */
  seq: number;
  to: number;
  hash: string;
  root: string;
  keptDigest: string;
}

/** Up to where rows may be missing, and which of them may not. */
export interface ArchivedRows {
  /** 0 where none may */
  upTo: number;
  kept: readonly number[];
  findings: Finding[];
}

/**
 * What the database holds to be archived, against what the log tells of it. Only what is told and signed counts: whoever
 * raises the bound without an event takes events out that verify then misses.
 */
export async function checkArchived(db: Queryable, told: readonly ArchiveTold[]): Promise<ArchivedRows> {
  const { eventSeq, upTo, kept } = await readArchived(db);
  const newest = told.at(-1);
  if (eventSeq === 0) return { upTo: 0, kept: [], findings: [] };
  const meant = told.find(({ seq }) => seq === eventSeq);
  if (meant !== undefined && meant.to === upTo && meant.keptDigest === keptDigest(kept))
    return { upTo, kept, findings: [] };
  const message = `the database says that events up to ${upTo} are archived, and which of them stay; the log says otherwise`;
  const finding: Finding = { tampering: "altered", seq: Math.min(upTo, newest?.to ?? 0) + 1, message };
  return { upTo: newest?.to ?? 0, kept: [], findings: [finding] };
}

/**
 * The first event that was written anew where events are archived: of those up to the bound each stands by itself, since the
 * chain between them is in the archives.
 */
export async function firstUnlike(
  broken: Parameters<typeof firstRewritten>[0],
  { upTo, kept }: ArchivedRows,
  log: Copy,
  copies: readonly Copy[],
): Promise<number | undefined> {
  for (const seq of kept.filter((one) => one > broken.after && one <= broken.claim.seq)) {
    const here = await log.leaf(seq);
    for (const copy of copies) {
      const there = await copy.leaf(seq);
      if (there !== undefined && here !== undefined && !there.equals(here)) return seq;
    }
  }
  if (broken.claim.seq <= upTo) return undefined;
  return await firstRewritten({ ...broken, after: Math.max(broken.after, upTo) }, log, copies);
}
