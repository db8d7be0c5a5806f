import { type Before, checkEvent, found, ORIGIN } from "@sluice/db/log/check-event";
import { createClaims, rewritten } from "@sluice/db/log/claims";
import type { AuditCheckView, Finding } from "@sluice/proto/api/proof";
import { SluiceError } from "@sluice/proto/base/errors";
import { tryJson } from "@sluice/proto/base/json";
import { isConsistent, leafHash, rootFromInclusion } from "@sluice/proto/base/merkle";
import type { KeySet, Opened } from "@sluice/proto/base/sign";
import { type BundleEvent, type BundleHeader, type BundleLine, bundleLine } from "@sluice/proto/wire/bundle";
import type { Checkpoint } from "@sluice/proto/wire/checkpoint";
import { signersOf } from "@sluice/proto/wire/succession";
import { openCheckpoint } from "./signers.ts";
import { openWitness } from "./witnesses.ts";

const FINDINGS_MOST = 20;

/**
 * Checks a bundle with nothing but itself, and the keys that are pinned where some are given. Reads line by line.
 *
 * Every event follows the one before it, or begins a run; every run ends with an event that stands in the anchor's tree, and
 * the anchor is signed. So nothing in it can be changed; of a bundle of everything, nothing can be left out either.
 */
export async function checkBundle(
  lines: AsyncIterable<string>,
  pinned: KeySet | undefined,
): Promise<AuditCheckView> {
  const iterator = lines[Symbol.asyncIterator]();
  const first = await iterator.next();
  const opening = first.done ? undefined : readLine(first.value);
  if (opening === undefined || !("bundle" in opening)) {
    throw new SluiceError("INVALID", "this is no bundle of the audit log", {
      cure: "sluice audit export writes one",
    });
  }
  const check = createBundleCheck(opening.bundle, pinned);
  let number = 1;
  for (let next = await iterator.next(); !next.done; next = await iterator.next()) {
    number += 1;
    const line = readLine(next.value);
    if (line === undefined || "bundle" in line) check.unreadable(number);
    else check.take(line);
  }
  return check.result();
}

function readLine(text: string): BundleLine | undefined {
  return bundleLine.safeParse(tryJson(text)).data;
}

interface BundleCheck {
  take(line: Exclude<BundleLine, { bundle: unknown }>): void;
  unreadable(line: number): void;
  result(): AuditCheckView;
}

function createBundleCheck(header: BundleHeader, pinned: KeySet | undefined): BundleCheck {
  const signers = signersOf(pinned ?? header.keys, header.successions ?? []);
  const findings: Finding[] = [];
  const claims = createClaims();
  const signed = openCheckpoint(signers, header.checkpoint);
  const anchor = signed.ok ? signed.value : undefined;
  if (!signed.ok)
    find({ tampering: "forged", seq: header.to, message: `its checkpoint isn't signed: ${signed.reason}` });
  const isWhole = header.selection === undefined;
  const counts = { events: 0, checkpoints: 0, witnesses: 0 };
  let firstSeq = 0;
  let before: Before =
    header.from === 1 ? ORIGIN : { seq: header.from - 1, hash: Buffer.alloc(0), isBad: true };
  /** the last event that is known to stand in the anchor's tree */
  let provenUpTo = header.from - 1;
  let ended: number | undefined;

  function find(finding: Finding): void {
    findings.push(finding);
  }

  function takeEvent(line: BundleEvent): void {
    const event = { ...line, prev: Buffer.from(line.prev, "hex"), hash: Buffer.from(line.hash, "hex") };
    const { seq } = event;
    counts.events += 1;
    if (firstSeq === 0) firstSeq = seq;
    if (counts.events > 1 && seq <= before.seq) {
      outOfOrder(line);
      return;
    }
    if (seq !== before.seq + 1) {
      if (isWhole) find(gone(before.seq + 1, seq - 1));
      else mustBeProven();
    }
    const isRun = seq === before.seq + 1 && (counts.events > 1 || seq === 1);
    const held: Before = isRun ? before : { seq: seq - 1, hash: event.prev, isBad: true };
    const { body, finding, isBad } = checkEvent(held, { ...event, actor: line.actor, reason: line.reason });
    if (finding !== undefined) find(finding);
    before = { seq, hash: event.hash, type: body?.type, stream: body?.stream, isBad };
    prove(line);
  }

  function prove({ seq, hash, inclusion }: BundleEvent): void {
    if (anchor === undefined) return;
    if (seq === anchor.seq) judge("the anchor", anchor, hash);
    if (inclusion === undefined) return;
    const path = inclusion.map((one) => Buffer.from(one, "hex"));
    const root = rootFromInclusion(leafHash(Buffer.from(hash, "hex")), seq - 1, anchor.size, path);
    const hashThere =
      root !== undefined && Buffer.from(root).toString("hex") === anchor.root ? hash : "another";
    judge("the signed tree", { ...anchor, seq, hash: hashThere }, hash);
  }

  function judge(by: string, { seq, hash, root }: Checkpoint, here: string): void {
    const isHeld = hash === here;
    claims.judge({ by, seq, hash, root }, { hash: here, root: undefined });
    if (isHeld && claims.broken() === undefined) provenUpTo = seq;
  }

  function outOfOrder({ seq, body }: BundleEvent): void {
    const missed = findings.findIndex((one) => one.tampering === "deleted" && one.seq === seq);
    if (missed !== -1) findings.splice(missed, 1);
    const names = tryJson(body) as { type?: string; stream?: string } | undefined;
    find(found("moved", seq, names, "stands behind one that came after it"));
  }

  function mustBeProven(): void {
    if (before.seq > provenUpTo && claims.broken() === undefined)
      find(
        found(
          "incomplete",
          before.seq,
          before,
          "isn't proven: nothing shows that it stands in the signed tree",
        ),
      );
  }

  function takeSigned(
    what: string,
    opened: Opened<Checkpoint>,
    seq: number,
    path: readonly string[],
  ): boolean {
    if (!opened.ok) {
      find({ tampering: "forged", seq, message: `${what} isn't what was signed: ${opened.reason}` });
      return false;
    }
    const { size, root, hash } = opened.value;
    if (opened.value.seq === before.seq && counts.events > 0)
      judge(what, opened.value, before.hash.toString("hex"));
    if (anchor === undefined) return true;
    const [older, newer] = [opened.value, anchor].map((one) => ({
      size: one.size,
      root: Buffer.from(one.root, "hex"),
    }));
    const proof = path.map((one) => Buffer.from(one, "hex"));
    if (older && newer && isConsistent(older, newer, proof)) return true;
    const knows = size > anchor.size ? "is of a longer log" : "is of another history";
    find({
      tampering: size > anchor.size ? "truncated" : "rewritten",
      seq: Math.min(size, anchor.size + 1),
      message: `${what} of event ${size} ${knows} than this bundle is (${hash === anchor.hash ? root : hash})`,
    });
    return false;
  }

  return {
    take(line) {
      if ("event" in line) takeEvent(line.event);
      if ("end" in line) ended = line.end.events;
      if ("checkpoint" in line) {
        const { message, consistency } = line.checkpoint;
        const opened = openCheckpoint(signers, message);
        if (takeSigned("a checkpoint", opened, before.seq, consistency)) counts.checkpoints += 1;
      }
      if ("witness" in line) {
        const { server, publicKey, message, consistency } = line.witness;
        const word = openWitness(server, publicKey, signers, message);
        const opened: Opened<Checkpoint> = word.ok ? { ok: true, value: word.value.checkpoint } : word;
        if (takeSigned(`what ${server} has seen`, opened, header.to, consistency)) counts.witnesses += 1;
      }
    },

    unreadable(line) {
      const message = `line ${line} can't be read: cut off or damaged`;
      find({ tampering: "incomplete", seq: before.seq + 1, message });
    },

    result() {
      const broken = claims.broken();
      if (broken !== undefined && !findings.some(({ seq }) => seq <= broken.claim.seq)) {
        const isOne = broken.after + 1 === broken.claim.seq;
        const seq = isOne ? broken.claim.seq : undefined;
        find(rewritten(broken, seq, undefined));
      }
      if (isWhole && before.seq < header.to) {
        const message = `events ${before.seq + 1} to ${header.to} are gone: cut off`;
        find({ tampering: "truncated", seq: before.seq + 1, message });
      } else {
        mustBeProven();
      }
      if (ended !== counts.events)
        find({
          tampering: "incomplete",
          seq: before.seq + 1,
          message: "it ends too early: its last line isn't there",
        });
      findings.sort((a, b) => a.seq - b.seq);
      return {
        ok: findings.length === 0,
        ...counts,
        hash: before.hash.toString("hex"),
        ...{ from: firstSeq, to: before.seq, signedUpTo: anchor?.seq ?? 0, pinned: pinned !== undefined },
        findings: findings.slice(0, FINDINGS_MOST),
        notes: notesOf(header, anchor, pinned),
      };
    },
  };
}

function notesOf(header: BundleHeader, anchor: Checkpoint | undefined, pinned: KeySet | undefined): string[] {
  const { from, to, selection, keys, archivedTo } = header;
  const isPart = anchor !== undefined && (from > 1 || to < anchor.seq);
  return [
    ...(pinned === undefined
      ? [
          `the keys are the bundle's own word (${Object.keys(keys).join(", ")}): give the one that your servers pin with --key`,
        ]
      : []),
    ...(isPart ? [`it has the events ${from} to ${to} of a log of ${anchor.seq}`] : []),
    ...(selection === undefined
      ? []
      : ["it is a selection: what is in it is proven, not that nothing was left out"]),
    ...(archivedTo === undefined
      ? []
      : [
          `events up to ${archivedTo} were archived when it was written: of them it has those that stayed in the database`,
        ]),
  ];
}

function gone(from: number, to: number): Finding {
  const which = from === to ? `event ${from} is` : `events ${from} to ${to} are`;
  return { tampering: "deleted", seq: from, message: `${which} gone: deleted` };
}
