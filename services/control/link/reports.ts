import { setTimeout as delay } from "node:timers/promises";
import type { JetStreamClient, JetStreamManager, JsMsg } from "@nats-io/jetstream";
import { AckPolicy, DeliverPolicy } from "@nats-io/jetstream";
import { isPassing } from "@sluice/db/faults";
import { messageOf, SluiceError } from "@sluice/proto/base/errors";
import { report } from "@sluice/proto/wire/report";
import { STREAMS } from "@sluice/proto/wire/subjects";
import type { LinkIn } from "./link.ts";
import { openFrom } from "./open-from.ts";

const CONSUMER = "control";
const RETRY_MS = 1_000;
const RETRY_LAST_MS = 60_000;
/** After about five minutes of tries. */
const TRIES_MOST = 12;
/** A request that a broker lost with its store is made again after about this long. */
const PULL_MS = 5_000;
const ACK_WAIT_NS = 60 * 1e9;

export interface ReportLog {
  warn(details: object, message: string): void;
}

/** Where control is in the stream of reports is kept by the broker. Made where it is missing. */
export async function ensureReportConsumer(manager: JetStreamManager): Promise<void> {
  await manager.consumers.add(STREAMS.reports.name, {
    durable_name: CONSUMER,
    ack_policy: AckPolicy.Explicit,
    deliver_policy: DeliverPolicy.All,
    ack_wait: ACK_WAIT_NS,
    max_ack_pending: 256,
  });
}

/**
 * Hands every report to control, one after the other, in the order of the stream.
 *
 * 1. While the database is away the report under way is tried again and no other overtakes it: what a server said last
 *    is what counts.
 * 2. One that can't be recorded for another reason comes again later and the others go on; after many tries it is given
 *    up, and said so. Else a server that sends nonsense could stop the reports of all.
 * 3. One that isn't signed by its server's own key, or that no database takes, is dropped, and said so.
 */
export async function consumeReports(
  jetstream: JetStreamClient,
  linkIn: LinkIn,
  log: ReportLog,
): Promise<{ close(): Promise<void> }> {
  const consumer = await jetstream.consumers.get(STREAMS.reports.name, CONSUMER);
  const messages = await consumer.consume({ max_messages: 64, expires: PULL_MS });
  const stop = new AbortController();
  const done = (async () => {
    for await (const message of messages) await handle(message, linkIn, log, stop.signal);
  })();
  return {
    async close() {
      stop.abort();
      await messages.close();
      await done;
    },
  };
}

async function handle(message: JsMsg, linkIn: LinkIn, log: ReportLog, signal: AbortSignal): Promise<void> {
  const server = message.subject.split(".").at(-1) ?? "";
  while (!signal.aborted) {
    try {
      const dropped = await record(message, server, linkIn);
      if (dropped !== undefined) log.warn({ server, reason: dropped }, "a report was dropped");
      return message.ack();
    } catch (error) {
      log.warn({ server, error: messageOf(error) }, "a report could not be recorded yet");
      if (!mayPass(error)) return giveBack(message, server, log);
    }
    message.working();
    await delay(RETRY_MS, undefined, { signal }).catch(() => undefined);
  }
  message.nak();
}

/** Why it isn't recorded; undefined where it is. */
async function record(message: JsMsg, server: string, linkIn: LinkIn): Promise<string | undefined> {
  const opened = await openFrom(linkIn, server, "report", report, message.data);
  if (!opened.ok) return opened.reason;
  await linkIn.onReport(opened.value);
  return undefined;
}

function mayPass(error: unknown): boolean {
  return (
    isPassing(error) || (error instanceof SluiceError && ["UNAVAILABLE", "CONFLICT"].includes(error.code))
  );
}

function giveBack(message: JsMsg, server: string, log: ReportLog): void {
  const { deliveryCount } = message.info;
  if (deliveryCount < TRIES_MOST) {
    message.nak(Math.min(RETRY_MS * 2 ** deliveryCount, RETRY_LAST_MS));
  } else {
    log.warn({ server, tries: deliveryCount }, "a report was given up");
    message.term("control can't record it");
  }
}
