import type { JetStreamClient, JetStreamManager, JsMsg } from "@nats-io/jetstream";
import { AckPolicy, DeliverPolicy } from "@nats-io/jetstream";
import { messageOf } from "@sluice/proto/base/errors";
import { keyId, openMessage } from "@sluice/proto/base/sign";
import { report } from "@sluice/proto/wire/report";
import { STREAMS } from "@sluice/proto/wire/subjects";
import type { LinkIn } from "./link.ts";

const CONSUMER = "control";
const RETRY_MS = 1_000;
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
 * Hands every report to control, one after the other. One that can't be recorded now comes again; one that isn't
 * signed by its server's own key is dropped, and said so.
 */
export async function consumeReports(
  jetstream: JetStreamClient,
  linkIn: LinkIn,
  log: ReportLog,
): Promise<{ close(): Promise<void> }> {
  const consumer = await jetstream.consumers.get(STREAMS.reports.name, CONSUMER);
  const messages = await consumer.consume({ max_messages: 64, expires: PULL_MS });
  const done = (async () => {
    for await (const message of messages) await handle(message, linkIn, log);
  })();
  return {
    async close() {
      await messages.close();
      await done;
    },
  };
}

async function handle(message: JsMsg, linkIn: LinkIn, log: ReportLog): Promise<void> {
  const server = message.subject.split(".").at(-1) ?? "";
  try {
    const key = await linkIn.reportKey(server);
    if (key === undefined) {
      log.warn({ server }, "a report of an unknown server was dropped");
      message.ack();
      return;
    }
    const opened = openMessage({ [keyId(key)]: key }, "report", report, message.data);
    if (!opened.ok || opened.value.server !== server) {
      const reason = opened.ok ? `it speaks for ${opened.value.server}` : opened.reason;
      log.warn({ server, reason }, "a report was dropped");
      message.ack();
      return;
    }
    await linkIn.onReport(opened.value);
    message.ack();
  } catch (error) {
    log.warn({ server, error: messageOf(error) }, "a report could not be recorded yet");
    message.nak(RETRY_MS);
  }
}
