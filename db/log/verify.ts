import type { Finding } from "@sluice/proto/api/proof";
import { leafHash } from "@sluice/proto/base/merkle";
import type { Queryable } from "../connect.ts";
import { type Before, checkEvent, found, ORIGIN } from "./check-event.ts";
import { type Claim, type Claims, type Copy, createClaims, rewritten } from "./claims.ts";
import { differingColumn } from "./columns.ts";
import { type EvidenceRow, hashAt, namesAt, readEvidence } from "./evidence.ts";
import { type Position, readHead } from "./read.ts";
import { treeReader, treeSize } from "./tree.ts";
import { createTreeCheck, type TreeCheck } from "./tree-check.ts";
import { type ArchivedRows, type ArchiveTold, checkArchived, firstUnlike } from "./verify-archived.ts";
import { checkEnd } from "./verify-end.ts";

/**
 * Walks the whole log and tells what isn't as it was written, the first bad event first.
 *
 * 1. The hashes are computed here, not in SQL, so what wrote them doesn't judge them.
 * 2. It reads page by page: writers may go on, memory stays flat.
 * 3. Of what is archived, every leaf stands in the Merkle tree: an event that stayed is held against its own, one that is gone
 *    is proven by it as far as anything was signed. Nothing may be missing but what an archive tells of.
 * 4. The chain alone can't tell that its newest events were cut off with the head set back, or that all of it was written anew
 *    by who may write to the database. Claims can: what was signed of the log, and is kept elsewhere too.
 *
 * What was appended after the newest claim is as safe as the database is, until the next one.
 */
export interface Proof {
  /** claims from outside, in any order */
  claims: readonly Claim[];
  /** those beside the log, of events `from` to `to` */
  claimsBetween(from: number, to: number): Promise<readonly Claim[]>;
  /** the log's hashes outside the database */
  copies: readonly Copy[];
  /** what the log tells of archives, oldest first, each signed */
  archives: readonly ArchiveTold[];
  onProgress(progress: { seq: number; of: number }): void;
  /** ends it, by throwing */
  signal: AbortSignal | undefined;
}

export interface Verification {
  events: number;
  head: Position;
  /** the root is undefined where the stored tree can't be read */
  tree: { size: number; root: string | undefined };
  claims: Pick<Claims, "held" | "heldUpTo">;
  /** up to which event rows may be gone, and how many stay */
  archived: { upTo: number; kept: number };
  findings: Finding[];
}

const PAGE = 1_024;
const FINDINGS_MOST = 20;
const WITHOUT: Proof = {
  claims: [],
  claimsBetween: async () => [],
  copies: [],
  archives: [],
  onProgress: () => undefined,
  signal: undefined,
};

export async function verify(db: Queryable, given: Partial<Proof> = {}): Promise<Verification> {
  const proof = { ...WITHOUT, ...given };
  const size = await treeSize(db);
  const claims = createClaims();
  const tree = createTreeCheck(db, size);
  const archived = await checkArchived(db, proof.archives);
  const { last, findings } = await walk(db, proof, { claims, tree, archived });
  const anew = await whatClaimsSay(db, proof, { claims, archived }, findings);
  const ofTree = await tree.finding();
  const later = [...proof.claims.filter(({ seq }) => seq > last.seq)];
  later.push(...(await proof.claimsBetween(last.seq + 1, Number.MAX_SAFE_INTEGER)));
  const all = [
    ...archived.findings,
    ...findings,
    ...(anew === undefined ? [] : [anew]),
    // a log that was written anew isn't what the tree was made of: said once
    ...(ofTree === undefined || anew !== undefined || findings.some(({ seq }) => seq <= ofTree.seq)
      ? []
      : [ofTree]),
    ...(await checkEnd(db, later)),
  ].sort((a, b) => a.seq - b.seq);
  return {
    events: last.seq,
    head: { seq: last.seq, hash: last.hash.toString("hex") },
    tree: { size, root: await tree.root() },
    claims,
    archived: { upTo: archived.upTo, kept: archived.kept.length },
    findings: all.slice(0, FINDINGS_MOST),
  };
}

interface Against {
  claims: Claims;
  tree: TreeCheck;
  archived: ArchivedRows;
}

async function walk(
  db: Queryable,
  proof: Proof,
  { claims, tree, archived }: Against,
): Promise<{ last: Before; findings: Finding[] }> {
  const findings: Finding[] = [];
  const stay = new Set(archived.kept);
  let before = ORIGIN;

  async function leave(from: number, to: number, claimed: Map<number, Claim[]>): Promise<void> {
    const archivedTo = Math.min(to, archived.upTo);
    for (let seq = from; seq <= archivedTo; seq += 1) {
      if (stay.has(seq)) findings.push(gone(seq, seq));
      const leaf = await tree.addStored(seq);
      for (const claim of claimed.get(seq) ?? []) judge(claim, leaf);
    }
    if (archivedTo === to) return;
    findings.push(gone(Math.max(from, archivedTo + 1), to));
    tree.lose();
  }

  /** Of an archived event the hash is known by its leaf. */
  function judge(claim: Claim, leaf: Buffer | undefined): void {
    const isSame = leaf === undefined || leafHash(Buffer.from(claim.hash, "hex")).equals(leaf);
    claims.judge(claim, { hash: isSame ? claim.hash : "another", root: tree.rootHere() });
  }

  for (let ahead = readOn(db, proof, 0); ; ) {
    proof.signal?.throwIfAborted();
    const { rows, following, head, claimed } = await ahead;
    if (following !== undefined) ahead = readOn(db, proof, rows.at(-1)?.seq ?? 0);
    await tree.readLeaves(rows.filter(({ seq }) => seq > archived.upTo));
    for (const [index, row] of rows.entries()) {
      if (row.seq !== before.seq + 1) {
        await leave(before.seq + 1, row.seq - 1, claimed);
        before = { seq: row.seq - 1, hash: row.prev, isBad: true };
      }
      const headHash = head.seq === row.seq ? Buffer.from(head.hash, "hex") : undefined;
      before = checkRow(before, row, (rows[index + 1] ?? following)?.prev ?? headHash, findings);
      const leaf = leafHash(row.hash);
      if (row.seq > archived.upTo) tree.add(row.seq, leaf);
      else if ((await tree.addStored(row.seq))?.equals(leaf) === false && !before.isBad)
        findings.push(found("edited", row.seq, before, "isn't the one that was archived"));
      for (const claim of claimed.get(row.seq) ?? []) judge(claim, leaf);
    }
    proof.onProgress({ seq: before.seq, of: Math.max(head.seq, before.seq) });
    if (following === undefined) return { last: before, findings };
  }
}

interface Page {
  rows: EvidenceRow[];
  /** the event after them, which holds the hash of the last one as it was written; undefined at the end */
  following: EvidenceRow | undefined;
  /** the log's, read after them */
  head: Position;
  claimed: Map<number, Claim[]>;
}

/** Begun while the page before is checked, so its failure may come before anybody waits for it. */
function readOn(db: Queryable, proof: Proof, after: number): Promise<Page> {
  async function read(): Promise<Page> {
    const rows = await readEvidence(db, after, PAGE + 1);
    const following = rows.length > PAGE ? rows.pop() : undefined;
    const head = await readHead(db);
    return { rows, following, head, claimed: await claimsOf(proof, after + 1, rows.at(-1)?.seq ?? 0) };
  }
  const page = read();
  page.catch(() => {});
  return page;
}

function checkRow(
  before: Before,
  row: EvidenceRow,
  following: Buffer | undefined,
  findings: Finding[],
): Before {
  const { body, finding, isBad } = checkEvent(before, row, following);
  const column = finding === undefined && body !== undefined ? differingColumn(row, body) : undefined;
  if (finding !== undefined) findings.push(finding);
  if (column !== undefined) {
    const is = `says another ${column} in its column than in its body`;
    findings.push(found("altered", row.seq, body, is));
  }
  const { seq, hash } = row;
  return { seq, hash, type: body?.type, stream: body?.stream, isBad };
}

function gone(from: number, to: number): Finding {
  const which = from === to ? `event ${from} is` : `events ${from} to ${to} are`;
  return { tampering: "deleted", seq: from, message: `${which} gone: deleted` };
}

async function claimsOf(proof: Proof, from: number, to: number): Promise<Map<number, Claim[]>> {
  const outside = proof.claims.filter(({ seq }) => seq >= from && seq <= to);
  const told = proof.archives.map(({ to: seq, hash, root }) => ({ by: "its archive", seq, hash, root }));
  const ofArchives = told.filter(({ seq }) => seq >= from && seq <= to);
  const all = [...outside, ...ofArchives, ...(await proof.claimsBetween(from, to))];
  return Map.groupBy(all, ({ seq }) => seq);
}

/** A claim that doesn't hold tells of a log written anew, unless what was found already explains it. */
async function whatClaimsSay(
  db: Queryable,
  proof: Proof,
  { claims, archived }: Pick<Against, "claims" | "archived">,
  findings: readonly Finding[],
): Promise<Finding | undefined> {
  const broken = claims.broken();
  if (broken === undefined || findings.some(({ seq }) => seq <= broken.claim.seq)) return undefined;
  const log: Copy = { leaf: async (seq) => leafOf(await hashAt(db, seq)) };
  const spanHash = treeReader(db);
  const stored: Copy = { leaf: (seq) => spanHash({ from: seq - 1, to: seq }).catch(() => undefined) };
  const first = await firstUnlike(broken, archived, log, [...proof.copies, stored]);
  const certain = first ?? (broken.after + 1 === broken.claim.seq ? broken.claim.seq : undefined);
  return rewritten(broken, certain, certain === undefined ? undefined : await namesAt(db, certain));
}

function leafOf(hash: Buffer | undefined): Buffer | undefined {
  return hash && leafHash(hash);
}
