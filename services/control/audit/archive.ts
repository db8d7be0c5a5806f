import { firstSince } from "@sluice/db/history/first-since";
import { recordArchived } from "@sluice/db/log/archived";
import { hashAt } from "@sluice/db/log/evidence";
import { readHead } from "@sluice/db/log/read";
import { treeReader } from "@sluice/db/log/tree";
import type { ArchivableView, ArchiveView, archivableInput, archiveInput } from "@sluice/proto/api/archive";
import { SluiceError } from "@sluice/proto/base/errors";
import { type EventOf, type SluiceEvent, streamOf } from "@sluice/proto/events/event";
import { type Archive, keptDigest } from "@sluice/proto/wire/archive";
import type { z } from "zod";
import { execute, load } from "../context/execute.ts";
import type { Context } from "../context/services.ts";
import type { Watched } from "./aloud.ts";
import { dropArchived } from "./drop-archived.ts";
import { type Kept, keptUpTo } from "./kept-up-to.ts";
import { type LogState, logEntity } from "./log-state.ts";
import { lastSigned, signCheckpoint } from "./sign-checkpoint.ts";

/**
 * Old events go into a file, and then out of the database.
 *
 * 1. Who archives has the events in a file and has checked it. Control is told its digest and its last hash, holds that
 *    against its own log, and says so in an event that it signs. Only then is anything dropped.
 * 2. What the service goes on to need stays (kept.ts), and nothing goes that hasn't left the database in other ways: it
 *    is in every table, in the feed, and under a signed checkpoint.
 * 3. Whatever dies, dropping goes on: the event says all that is to be done.
 */
const YOUNGEST_MS = 24 * 3_600_000;

/** Which events would be archived now: after those that are, up to a time or an event, and none of the last day. */
export async function archivable(
  ctx: Context,
  { before, to: wanted }: z.output<typeof archivableInput>,
): Promise<ArchivableView> {
  const { state } = await load(ctx, streamOf.log(), logEntity);
  const from = (state.archived?.to ?? 0) + 1;
  const { seq: head } = await readHead(ctx.database.db);
  const young = new Date(ctx.clock.now().getTime() - YOUNGEST_MS).toISOString();
  const old = await lastBefore(ctx, young, head);
  const to = Math.min(wanted ?? head, before === undefined ? head : await lastBefore(ctx, before, head), old);
  if (wanted !== undefined && wanted > old)
    throw new SluiceError(
      "REFUSED",
      `event ${wanted} can't be archived yet: those after ${old} are of the last day`,
      {
        cure: "what servers say may come twice, and is known by its event until then",
      },
    );
  if (to < from) throw new SluiceError("REFUSED", nothing(from, old));
  return { from, to, events: to - from + 1 };
}

function nothing(from: number, old: number): string {
  const which = from === 1 ? "no event" : `no event after ${from - 1}, up to which all are archived,`;
  return `there is nothing to archive: ${which} is that old${old < from ? ", or older than a day" : ""}`;
}

/** The last event before the first that is no older than this time. */
async function lastBefore({ database }: Context, time: string, head: number): Promise<number> {
  const first = await firstSince(database.db, time);
  return first === undefined ? head : first - 1;
}

/**
 * The caller has these events in a file that holds: says so in the log, and lets those be dropped that needn't stay. Which
 * stay is chosen among all events up to there, so of millions it takes minutes. Asked again for the same file, it goes on.
 */
export async function archiveLog(
  ctx: Context,
  { from, to, hash, file, bytes, reason }: z.output<typeof archiveInput>,
  watched: Partial<Watched> = {},
): Promise<ArchiveView> {
  const { state } = await load(ctx, streamOf.log(), logEntity);
  if (state.archived?.to !== to || state.archived.file !== file) {
    const can = await archivable(ctx, { to });
    if (can.from !== from) throw another(`the next event to be archived is ${can.from}, not ${from}`);
    await mustBeElsewhere(ctx, to);
    if ((await hashAt(ctx.database.db, to))?.toString("hex") !== hash)
      throw another(`its event ${to} isn't the one that the log has`);
    const kept = await keptUpTo(ctx, to, watched);
    const told = await toldOf(ctx, { from, to, hash, file, bytes }, kept);
    const { state: now } = await execute(ctx, {
      stream: streamOf.log(),
      entity: logEntity,
      reason,
      decide: (before) => decideArchived(before, told),
    });
    if (now.archived !== undefined)
      await recordArchived(ctx.database.db, { eventSeq: now.archived.seq, upTo: to, kept: kept.kept });
  }
  await signCheckpoint(ctx);
  return await dropArchived(ctx, { most: 1 });
}

function another(why: string): SluiceError {
  return new SluiceError("CONFLICT", `the file is no archive of this log as it is: ${why}`, {
    cure: "archive anew",
  });
}

function decideArchived({ archived }: LogState, event: EventOf<"LogArchived">): SluiceEvent[] {
  const next = (archived?.to ?? 0) + 1;
  if (event.data.from !== next)
    throw another(`the next event to be archived is ${next}, not ${event.data.from}`);
  return [event];
}

/** Nothing is dropped that a table, the feed or a checkpoint still has to be made of. */
async function mustBeElsewhere(ctx: Context, to: number): Promise<void> {
  await Promise.all([ctx.projections.waitFor(to), ctx.past.waitFor(to)]);
  const signed = await lastSigned(ctx);
  if ((signed?.checkpoint.seq ?? 0) < to)
    throw new SluiceError("REFUSED", `event ${to} is under no signed checkpoint yet`, { cure: "try again" });
  const relayed = ctx.link.connected() ? await ctx.link.lastEvent() : undefined;
  if (relayed === undefined)
    throw new SluiceError("UNAVAILABLE", "NATS is away: whether the feed has these events can't be told");
  if (relayed < to)
    throw new SluiceError("REFUSED", `the feed has come to event ${relayed}, not yet to ${to}`, {
      cure: "try again",
    });
}

async function toldOf(
  { database, sign }: Context,
  file: Pick<Archive, "from" | "to" | "hash" | "file" | "bytes">,
  { kept, until }: Kept,
): Promise<EventOf<"LogArchived">> {
  const root = await treeReader(database.db)({ from: 0, to: file.to });
  const said: Archive = {
    ...file,
    until,
    root: root.toString("hex"),
    kept: kept.length,
    keptDigest: keptDigest(kept),
  };
  const { kid, sig } = sign("archive", said);
  return { type: "LogArchived", data: { ...said, kid, sig } };
}
