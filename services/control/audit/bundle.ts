import { byColumns } from "@sluice/db/history/question";
import { type EvidenceRow, readEvidence } from "@sluice/db/log/evidence";
import { checkpointsBetween } from "@sluice/db/log/signed-checkpoints";
import type { SpanHash } from "@sluice/db/log/tiles";
import { treeReader } from "@sluice/db/log/tree";
import { events } from "@sluice/db/schema/events";
import { serverTable } from "@sluice/db/schema/servers";
import type { ArchiveFileView } from "@sluice/proto/api/archive";
import type { AuditBundleView, auditBundleInput } from "@sluice/proto/api/proof";
import { SluiceError } from "@sluice/proto/base/errors";
import { consistencySpans, inclusionSpans, type Span } from "@sluice/proto/base/merkle";
import type { BundleEvent, BundleLine } from "@sluice/proto/wire/bundle";
import { and, lte } from "drizzle-orm";
import type { z } from "zod";
import type { Context } from "../context/services.ts";
import { archivedSince } from "./archived-files.ts";
import { asHistory } from "./log.ts";
import { signCheckpoint } from "./sign-checkpoint.ts";
import { successionsSaid } from "./signers.ts";
import { openWitness, readWitnesses } from "./witnesses.ts";

type Input = z.output<typeof auditBundleInput>;
type At = NonNullable<Input["at"]>;

/** Proofs of neighbours are made of the same nodes of the tree: larger parts make each of them once. */
const PAGE = 2_000;
/** As many events are looked through for those that are meant. */
const WINDOW = 20_000;
/** Where a run was written anew, it is known to within so many events. */
const PROVEN_EVERY = 16;

/**
 * Part after part of a bundle (proto/wire/bundle.ts). The first signs a checkpoint of the log as it is now, and all of the bundle
 * is proven by that one: what is stored meanwhile isn't in it. Nothing is kept between the parts.
 */
export async function exportBundle(ctx: Context, input: Input): Promise<AuditBundleView> {
  return input.at === undefined ? await begin(ctx, input) : await goOn(ctx, input, input.at);
}

function bounds({ from = 1, to }: Input, anchor: number): { from: number; to: number } {
  const last = Math.min(to ?? anchor, anchor);
  if (from > last)
    throw new SluiceError(
      "INVALID",
      `there is nothing from event ${from} to ${last}: the log ends at ${anchor}`,
    );
  return { from, to: last };
}

/** What is asked for beside the range; undefined where that is all of it. */
function selectionOf({
  from: _,
  to: __,
  at: ___,
  ...filter
}: Input): Omit<Input, "from" | "to" | "at"> | undefined {
  return Object.values(filter).every((value) => value === undefined) ? undefined : filter;
}

async function begin(ctx: Context, input: Input): Promise<AuditBundleView> {
  const signed = await signCheckpoint(ctx);
  if (signed === undefined) throw new SluiceError("NOT_FOUND", "the log is empty");
  const anchor = signed.checkpoint.seq;
  const { from, to } = bounds(input, anchor);
  const selection = selectionOf(input);
  const { archived = [] } = await archivedSince(ctx);
  const archivedTo = archived.at(-1)?.to ?? 0;
  if (selection === undefined && from <= archivedTo) throw inArchives(archived);
  const successions = (await successionsSaid(ctx.database.db)).map(({ seq: _, ...said }) => said);
  const header = {
    ...{ format: "sluice-audit" as const, version: 1 as const, at: ctx.clock.now().toISOString(), from, to },
    ...(selection && { selection }),
    ...(from <= archivedTo && { archivedTo }),
    ...{ keys: { ...ctx.enrolment.keys }, checkpoint: signed.message },
    ...(successions.length > 0 && { successions }),
  };
  const lines: BundleLine[] = [{ bundle: header }, ...(await witnessLines(ctx, anchor))];
  return { lines: lines.map(asText), next: { anchor, after: from - 1, events: 0 } };
}

function inArchives(files: readonly ArchiveFileView[]): SluiceError {
  const upTo = files.at(-1)?.to ?? 0;
  return new SluiceError(
    "REFUSED",
    `events up to ${upTo} are archived, and not all of them are in the database`,
    {
      cure: `export from event ${upTo + 1} on; the others are in the archives`,
      problems: files.map(({ from, to, file }) => ({ message: `events ${from} to ${to}: sha256 ${file}` })),
    },
  );
}

async function witnessLines(ctx: Context, anchor: number): Promise<BundleLine[]> {
  const { database, signers, witnesses } = ctx;
  await witnesses.save(database);
  const { server, publicKey } = serverTable;
  const rows = await database.db.select({ server, publicKey }).from(serverTable);
  const keys = new Map(rows.map((row) => [row.server, row.publicKey]));
  const spanHash = treeReader(database.db);
  const lines: BundleLine[] = [];
  for (const { server, message } of await readWitnesses(database.db)) {
    const key = keys.get(server) ?? "";
    const opened = openWitness(server, key, signers, message);
    const seq = opened.ok ? opened.value.checkpoint.seq : 0;
    const consistency = seq < 1 || seq > anchor ? [] : await pathOf(spanHash, consistencySpans(seq, anchor));
    lines.push({ witness: { server, publicKey: key, message, consistency } });
  }
  return lines;
}

async function goOn(ctx: Context, input: Input, at: At): Promise<AuditBundleView> {
  const { db } = ctx.database;
  const { to } = bounds(input, at.anchor);
  const selection = selectionOf(input);
  const windowEnd = Math.min(at.after + WINDOW, to);
  const meant = and(lte(events.seq, windowEnd), selection && byColumns(asHistory(selection)));
  const rows = await readEvidence(db, at.after, PAGE, meant);
  const after = rows.length < PAGE ? windowEnd : (rows.at(-1)?.seq ?? windowEnd);
  const spanHash = treeReader(db);
  const lines: { seq: number; line: BundleLine }[] = [];
  for (const row of rows) {
    const isProven = selection !== undefined || row.seq % PROVEN_EVERY === 0 || row.seq === to;
    const inclusion = isProven
      ? await pathOf(spanHash, inclusionSpans(row.seq - 1, { from: 0, to: at.anchor }))
      : undefined;
    lines.push({ seq: row.seq, line: { event: eventOf(row, inclusion) } });
  }
  for (const { seq, message } of await checkpointsBetween(db, at.after + 1, after)) {
    const consistency = await pathOf(spanHash, consistencySpans(seq, at.anchor));
    lines.push({ seq, line: { checkpoint: { message, consistency } } });
  }
  lines.sort((a, b) => a.seq - b.seq); // stable: a checkpoint stands after its event
  const written = at.events + rows.length;
  const isOver = after >= to;
  const end: BundleLine[] = isOver ? [{ end: { events: written } }] : [];
  return {
    lines: [...lines.map(({ line }) => line), ...end].map(asText),
    ...(!isOver && { next: { anchor: at.anchor, after, events: written } }),
  };
}

function eventOf({ seq, prev, hash, body, actor, reason }: EvidenceRow, inclusion?: string[]): BundleEvent {
  return {
    ...{ seq, prev: prev.toString("hex"), hash: hash.toString("hex"), body },
    ...(actor && { actor }),
    ...(reason && { reason }),
    ...(inclusion && { inclusion }),
  };
}

async function pathOf(spanHash: SpanHash, spans: readonly Span[]): Promise<string[]> {
  const hashes = await Promise.all(spans.map(spanHash));
  return hashes.map((hash) => hash.toString("hex"));
}

function asText(line: BundleLine): string {
  return JSON.stringify(line);
}
