import { type JetStreamClient, type JetStreamManager, jetstream, jetstreamManager } from "@nats-io/jetstream";
import type { KV } from "@nats-io/kv";
import type { Msg, NatsConnection } from "@nats-io/transport-node";
import { messageOf, SluiceError } from "@sluice/proto/base/errors";
import { type Domain, openMessage, type SigningKey, signMessage } from "@sluice/proto/base/sign";
import {
  confirmRequest,
  type DesiredEnvelope,
  desiredEnvelope,
  type Wake,
} from "@sluice/proto/wire/envelope";
import { type HitsReply, hits } from "@sluice/proto/wire/hits";
import type { AskReply } from "@sluice/proto/wire/report";
import { askReply, pulse } from "@sluice/proto/wire/report";
import { planKey, STREAMS, subjects } from "@sluice/proto/wire/subjects";
import pRetry from "p-retry";
import { putBlob } from "./blobs.ts";
import { type Buckets, ensureStreams, missingStreams, openBuckets } from "./buckets.ts";
import { connectNats, type NatsLogin } from "./connect.ts";
import type { LinkIn, LinkOut } from "./link.ts";
import { openFrom } from "./open-from.ts";
import { dropReader, putReader, readerPlace } from "./readers.ts";
import { consumeReports, ensureReportConsumer, type ReportLog } from "./reports.ts";
import { isStorable } from "./storable.ts";

export interface ControlLinkOptions {
  login: NatsLogin;
  signingKey: SigningKey;
  log: ReportLog;
}

export type ControlLink = LinkOut & {
  close(): Promise<void>;
};

/**
 * NATS for control: see LinkOut and LinkIn for what it promises. After every reconnection the streams, buckets
 * and the consumer of reports are made again where they are missing, before anything else is put.
 *
 * What has to do with streams goes over one connection, what control and agents say to each other over another: see
 * `authority` for why they are in different accounts.
 */
export async function createControlLink(options: ControlLinkOptions, linkIn: LinkIn): Promise<ControlLink> {
  const { signingKey, log } = options;
  const stop = new AbortController();
  const { streams, agents } = await connectNats(options.login);
  const connections = [...new Set([streams, agents])];
  const manager = await patiently(() => jetstreamManager(streams), stop.signal);
  const client = jetstream(streams);
  let buckets = await patiently(() => prepare(streams, manager), stop.signal);
  const away = new Set<NatsConnection>();
  let up = true;

  async function renew(): Promise<void> {
    buckets = await patiently(() => prepare(streams, manager), stop.signal);
    up = away.size === 0;
    linkIn.onConnected();
  }

  const watching = connections.map((connection) =>
    watchStatus(connection, {
      lost: () => {
        away.add(connection);
        up = false;
      },
      back: () => {
        away.delete(connection);
        if (away.size > 0) return;
        renew().catch((error) => log.warn({ error: messageOf(error) }, "NATS could not be prepared again"));
      },
    }),
  );
  agents.subscribe(subjects.allPulses, { callback: (_error, message) => onPulse(message, linkIn) });
  agents.subscribe(subjects.allHits, {
    callback: (_error, message) => void onHits(message, linkIn, log),
  });
  agents.subscribe(subjects.allConfirms, {
    callback: (_error, message) => void onConfirm(message, linkIn, log),
  });
  const reports = await patiently(() => consumeReports(client, linkIn, log), stop.signal);
  linkIn.onConnected();

  function put<T>(action: (open: Buckets) => Promise<T>): Promise<T> {
    return patiently(() => action(buckets), stop.signal);
  }
  function sign(domain: Domain, value: unknown): string {
    return JSON.stringify(signMessage(signingKey, domain, value));
  }
  function wakeUp(server: string, wake: Wake): void {
    agents.publish(subjects.wake(server), JSON.stringify(wake));
  }

  return {
    connected: () => up && !connections.some((connection) => connection.isClosed()),

    async mend() {
      const missing = up ? await missingStreams(manager) : [];
      if (missing.length === 0) return;
      log.warn({ missing }, "streams are gone from NATS, and made again");
      await renew();
    },

    putBlob: (bytes) => put(({ blobs }) => putBlob(blobs, bytes)),

    async putDesired(envelope) {
      await put(({ desired }) => putNewest(desired, signingKey, envelope));
      wakeUp(envelope.server, { what: "desired" });
    },

    async putPlan(envelope) {
      await put(({ plans }) => plans.put(planKey(envelope.server, envelope.plan), sign("plan", envelope)));
      wakeUp(envelope.server, { what: "plan", plan: envelope.plan });
    },

    async dropPlan(server, plan) {
      await put(({ plans }) => plans.purge(planKey(server, plan)));
    },

    async putList(delta, head) {
      if (delta !== undefined) {
        const text = sign("list", delta);
        const msgID = `${delta.epoch}.${delta.list}.${delta.rev}`;
        await put(() => client.publish(subjects.list(delta.list), text, { msgID }));
      }
      await put(({ lists }) => lists.put(head.list, sign("list", head)));
    },

    async putEvent(seq, type, text) {
      await put(() => publishEvent(client, manager, seq, type, text));
    },

    lastEvent: () => put(async () => (await manager.streams.info(STREAMS.events.name)).state.last_seq),

    async putCheckpoint(id, message) {
      const text = JSON.stringify(message);
      await put(() => client.publish(subjects.checkpoint, text, { msgID: `checkpoint-${id}` }));
    },

    async lastCheckpoint() {
      const query = { last_by_subj: subjects.checkpoint };
      return (await put(() => manager.streams.getMessage(STREAMS.checkpoints.name, query)))?.string();
    },

    async eventText(seq) {
      const message = await manager.streams.getMessage(STREAMS.events.name, { seq }).catch(() => null);
      return message?.string();
    },

    putReader: async (reader) => up && (await putReader(manager, reader)),
    readerPlace: (consumer) => readerPlace(manager, consumer),
    dropReader: async (consumer) => up && (await dropReader(manager, consumer)),

    async tellCheckpoint(message) {
      if (up) agents.publish(subjects.control, JSON.stringify(message));
    },

    async ask(server, ask, timeoutMs) {
      return await request(agents, server, JSON.stringify(ask), timeoutMs);
    },

    async pulse(value) {
      if (up) agents.publish(subjects.control, sign("pulse", value));
    },

    async close() {
      stop.abort(new SluiceError("UNAVAILABLE", "control is stopping"));
      await reports.close().catch(() => undefined);
      for (const connection of connections) await connection.close();
      await Promise.all(watching);
    },
  };
}

async function prepare(connection: NatsConnection, manager: JetStreamManager): Promise<Buckets> {
  await ensureStreams(manager);
  await ensureReportConsumer(manager);
  return await openBuckets(connection);
}

/** Tries until it works or the link closes: NATS away is waited for, a refusal for good is thrown at once. */
async function patiently<T>(action: () => Promise<T>, signal: AbortSignal): Promise<T> {
  return await pRetry(action, {
    retries: Number.POSITIVE_INFINITY,
    minTimeout: 100,
    maxTimeout: 2_000,
    signal,
    shouldRetry: ({ error }) => !(error instanceof SluiceError),
  });
}

async function watchStatus(connection: NatsConnection, on: { lost(): void; back(): void }): Promise<void> {
  for await (const status of connection.status()) {
    if (status.type === "disconnect") on.lost();
    if (status.type === "reconnect") on.back();
  }
}

/**
 * Never puts an older generation over a newer one, whoever else puts at the same time. What lies there counts only with
 * our own signature: no agent obeys anything else, so it must not stand in the way either.
 */
async function putNewest(bucket: KV, key: SigningKey, next: DesiredEnvelope): Promise<void> {
  const text = JSON.stringify(signMessage(key, "desired", next));
  const stored = await bucket.get(next.server);
  if (stored === null || stored.operation !== "PUT") {
    await bucket.put(next.server, text);
    return;
  }
  const ours = openMessage({ [key.kid]: key.publicKey }, "desired", desiredEnvelope, stored.value);
  if (ours.ok) {
    const { epoch, generation, server } = ours.value;
    const isNewer = epoch > next.epoch || (epoch === next.epoch && generation > next.generation);
    if (isNewer && server === next.server) return;
  }
  await bucket.update(next.server, text, stored.revision);
}

/**
 * The stream's sequence is the log's: the expected last sequence refuses a second relay and a gap. What was stored
 * before an acknowledgement got lost is found by its message id or by the stream being as far already.
 */
async function publishEvent(
  client: JetStreamClient,
  manager: JetStreamManager,
  seq: number,
  type: string,
  text: string,
): Promise<void> {
  try {
    await client.publish(subjects.event(type), text, {
      msgID: `event-${seq}`,
      expect: { lastSequence: seq - 1 },
    });
  } catch (error) {
    const { last_seq } = (await manager.streams.info(STREAMS.events.name)).state;
    if (last_seq >= seq) return;
    if (last_seq < seq - 1) {
      throw new SluiceError(
        "CONFLICT",
        `the EVENTS stream stands at ${last_seq}, event ${seq} can't follow it`,
      );
    }
    throw error;
  }
}

async function request(
  connection: NatsConnection,
  server: string,
  text: string,
  timeoutMs: number,
): Promise<AskReply> {
  try {
    const reply = await connection.request(subjects.ask(server), text, { timeout: timeoutMs });
    return askReply.parse(reply.json());
  } catch (error) {
    return { ok: false, reason: `${server} doesn't answer: ${messageOf(error)}` };
  }
}

function onPulse(message: Msg, linkIn: LinkIn): void {
  const parsed = pulse.safeParse(parseJson(message));
  if (parsed.success && isStorable(parsed.data) && message.subject === subjects.pulse(parsed.data.server))
    linkIn.onPulse(parsed.data);
}

async function onConfirm(message: Msg, linkIn: LinkIn, log: ReportLog): Promise<void> {
  const server = message.subject.split(".").at(-1) ?? "";
  const parsed = confirmRequest.safeParse(parseJson(message));
  if (!parsed.success) return;
  try {
    message.respond(JSON.stringify(await linkIn.onConfirm(server, parsed.data)));
  } catch (error) {
    log.warn({ server, error: messageOf(error) }, "a confirm could not be answered");
  }
}

async function onHits(message: Msg, linkIn: LinkIn, log: ReportLog): Promise<void> {
  const server = message.subject.split(".").at(-1) ?? "";
  const answer = (reply: HitsReply) => message.respond(JSON.stringify(reply));
  try {
    const opened = await openFrom(linkIn, server, "hits", hits, message.data);
    if (!opened.ok) {
      log.warn({ server, reason: opened.reason }, "counts of rules were dropped");
      answer({ ok: false, reason: opened.reason });
      return;
    }
    await linkIn.onHits(opened.value);
    answer({ ok: true });
  } catch (error) {
    log.warn({ server, error: messageOf(error) }, "counts of rules could not be kept yet");
    answer({ ok: false, reason: "control can't keep it now" });
  }
}

function parseJson(message: Msg): unknown {
  try {
    return message.json();
  } catch {
    return undefined;
  }
}
