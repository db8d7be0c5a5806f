import { readHead } from "@sluice/db/log/read";
import { checkpointsAfter, checkpointsBetween } from "@sluice/db/log/signed-checkpoints";
import { SluiceError } from "@sluice/proto/base/errors";
import { byAge, type Checkpoint } from "@sluice/proto/wire/checkpoint";
import { lastSigned, type SignedCheckpoint, signCheckpoint } from "../audit/sign-checkpoint.ts";
import { openCheckpoint } from "../audit/signers.ts";
import type { Services } from "../context/services.ts";
import { every } from "./every.ts";
import type { Publisher } from "./publish-desired.ts";

type Place = Pick<Checkpoint, "epoch" | "seq">;

/** As many events don't wait for the time to be over. */
const MOST_EVENTS = 1_000;
const PAGE = 100;
/** Who came later hears it, too. */
const TOLD_AGAIN_MS = 60_000;

/**
 * Signs a checkpoint of the log whenever one is due; puts all of them onto the CHECKPOINTS stream, in order, from where that
 * stream ends, and tells servers the newest.
 *
 * 1. The stream is asked first: what it knows must be known here, too. One that knows more than this database of the same
 *    epoch, or another history, stops both: the log was cut off or is another one's, and the stream's word must not be buried
 *    under newer ones.
 * 2. Where it doesn't answer for as long as an event may stand unsigned, it is signed without it. Those are put when it is
 *    back, and held against it then.
 */
export function createCheckpointPublisher(services: Services): Publisher {
  const { database, link, clock, timings, signers, log } = services;
  /** the newest in the stream */
  let last: Place | undefined;
  /** the newest that this process has seen beside the log */
  let known: Place | undefined;
  /** since when the stream hasn't said where it ends */
  let silentSinceMs: number | undefined;
  /** what it said isn't this log's */
  let isStranger = false;
  let told: { seq: number; atMs: number } | undefined;

  async function sign(): Promise<void> {
    const nowMs = clock.now().getTime();
    if (last === undefined) silentSinceMs ??= nowMs;
    else silentSinceMs = undefined;
    if (isStranger || (silentSinceMs !== undefined && nowMs - silentSinceMs < timings.checkpointMs)) return;
    await signIfDue();
  }

  async function publish(): Promise<void> {
    last ??= await endOfStream();
    const newest = await lastSigned(services);
    if (newest === undefined) return;
    for (;;) {
      const page = await checkpointsAfter(database.db, last, PAGE);
      for (const { epoch, seq, message } of page) {
        await link.putCheckpoint(`${epoch}-${seq}`, message);
        last = { epoch, seq };
      }
      if (page.length < PAGE) break;
    }
    await tell(newest);
  }

  async function signIfDue(): Promise<void> {
    const [newest, head] = await Promise.all([lastSigned(services), readHead(database.db)]);
    mustKnow(newest?.checkpoint, known);
    const waiting = head.seq - (newest?.checkpoint.seq ?? 0);
    const signedAtMs = newest === undefined ? 0 : Date.parse(newest.checkpoint.at);
    const isOld = clock.now().getTime() - signedAtMs >= timings.checkpointMs;
    const isDue = waiting >= MOST_EVENTS || (waiting !== 0 && isOld);
    known = (isDue ? await signCheckpoint(services) : newest)?.checkpoint;
  }

  async function endOfStream(): Promise<Place> {
    const text = await link.lastCheckpoint();
    isStranger = true;
    const end = text === undefined ? { epoch: 0, seq: 0 } : await endIn(text);
    isStranger = false;
    return end;
  }

  async function endIn(text: string): Promise<Place> {
    const opened = openCheckpoint(signers, text);
    if (!opened.ok) throw notOurs(`its newest is ${opened.reason}`);
    const { epoch, seq } = opened.value;
    const newest = await lastSigned(services);
    if (epoch >= services.epoch && (newest === undefined || byAge(opened.value, newest.checkpoint) > 0))
      throw notOurs(
        `it knows event ${seq}, and here the newest that was signed is ${newest?.checkpoint.seq ?? 0}`,
      );
    if (epoch >= services.epoch && !(await isKept(opened.value)))
      throw notOurs(`what it knows of event ${seq} was never signed here, as far as the database goes`);
    return { epoch, seq };
  }

  async function isKept({ epoch, seq, hash }: Checkpoint): Promise<boolean> {
    const kept = await checkpointsBetween(database.db, seq, seq);
    return kept.some((one) => {
      const its = openCheckpoint(signers, one.message);
      return one.epoch === epoch && its.ok && its.value.hash === hash;
    });
  }

  async function tell({ checkpoint: { seq }, message }: SignedCheckpoint): Promise<void> {
    const nowMs = clock.now().getTime();
    if (told?.seq === seq && nowMs - told.atMs < TOLD_AGAIN_MS) return;
    await link.tellCheckpoint(message);
    told = { seq, atMs: nowMs };
  }

  return {
    again() {
      last = undefined;
      told = undefined;
    },
    async run(signal) {
      const until = { signal, log };
      await Promise.all([
        every(timings.checkpointLookMs, "signing the log's checkpoint", sign, until),
        every(timings.checkpointLookMs, "publishing the log's checkpoint", publish, until),
      ]);
    },
  };
}

/** What was seen beside the log can't be gone again, unless somebody took it away. */
function mustKnow(newest: Place | undefined, known: Place | undefined): void {
  if (known === undefined || (newest !== undefined && byAge(newest, known) >= 0)) return;
  throw new SluiceError(
    "CONFLICT",
    `the signed checkpoint of event ${known.seq} is gone: nothing more is signed`,
    {
      cure: "sluice audit verify says what is wrong with the log",
    },
  );
}

function notOurs(why: string): SluiceError {
  return new SluiceError("CONFLICT", `the CHECKPOINTS stream isn't this log's: ${why}`, {
    cure: "sluice audit verify says what is wrong; a restored database needs a new epoch",
  });
}
