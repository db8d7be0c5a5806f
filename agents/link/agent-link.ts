import type { Msg, NatsConnection, Subscription } from "@nats-io/transport-node";
import { SluiceError } from "@sluice/proto/base/errors";
import { type Domain, openMessage, type SignedMessage, signMessage } from "@sluice/proto/base/sign";
import { ask, confirmReply, desiredEnvelope, planEnvelope, wake } from "@sluice/proto/wire/envelope";
import { type Hits, hitsReply } from "@sluice/proto/wire/hits";
import { listDelta, listHead } from "@sluice/proto/wire/list";
import { type AskReply, controlPulse } from "@sluice/proto/wire/report";
import { BUCKETS, planKey, subjects } from "@sluice/proto/wire/subjects";
import type { ZodType } from "zod";
import type { RecordFile } from "../state/record-file.ts";
import { connectForGood, connectOnce } from "./connect.ts";
import { directGet, fetchBlob, streamBlob } from "./direct-get.ts";
import type { AgentLink, AgentLinkHandlers } from "./link.ts";
import { deliverReport, type Reporting, signedReport } from "./report.ts";
import { openSpool } from "./spool.ts";
import { openWitnessBox } from "./witness.ts";

const HITS_TIMEOUT_MS = 10_000;

export interface AgentLinkOptions extends Reporting {
  /** the newest checkpoint of control's log that was seen */
  witnessFile: RecordFile<SignedMessage>;
}

/** Connects (waiting for NATS as long as it takes) and begins to hear. See AgentLink for what it promises. */
export async function createAgentLink(
  options: AgentLinkOptions,
  handlers: AgentLinkHandlers,
): Promise<AgentLink> {
  const { identity } = options;
  const { server, keys } = identity;
  const connection = await connectForGood(identity);
  const spool = await openSpool(options.spoolFolder, (text) => deliverReport(connection, server, text));
  const box = await openWitnessBox({
    ...{ server, keys, reportKey: identity.reportKey, file: options.witnessFile, now: options.now },
    onContradiction(seen, told) {
      const reason = `control signed another one before: ${seen.hash}, and now ${told.hash}`;
      const what = `the checkpoint of event ${told.seq}`;
      void spool.add(signedReport(options, { kind: "rejected", what, reason })).then(spool.flush);
    },
  });
  const lists = new Map<string, Subscription>();
  let up = true;

  async function fetch<T>(domain: Domain, schema: ZodType<T>, bucket: string, key: string) {
    const bytes = await directGet(connection, bucket, key);
    return bytes === undefined ? undefined : openMessage(keys, domain, schema, bytes);
  }

  function onReconnect(): void {
    up = true;
    handlers.onDesired();
    void spool.flush();
  }

  const watching = watchStatus(connection, onReconnect, () => {
    up = false;
  });
  connection.subscribe(subjects.wake(server), { callback: (_error, message) => onWake(message, handlers) });
  connection.subscribe(subjects.ask(server), {
    callback: (_error, message) => void onAsk(message, handlers),
  });
  connection.subscribe(subjects.control, {
    callback: (_error, message) => {
      const opened = openMessage(keys, "pulse", controlPulse, message.data);
      if (opened.ok) handlers.onControlPulse(opened.value);
      else box.hear(message.data);
      void spool.flush();
    },
  });
  // what is sent to it from now on is heard; where the connection is lost meanwhile, the next one hears it
  await connection.flush().catch(() => undefined);
  void spool.flush();

  return {
    server,
    connected: () => up,
    fetchDesired: () => fetch("desired", desiredEnvelope, BUCKETS.desired, server),
    fetchPlan: (plan) => fetch("plan", planEnvelope, BUCKETS.plans, planKey(server, plan)),
    fetchList: (list) => fetch("list", listHead, BUCKETS.lists, list),
    fetchBlob: (ref) => fetchBlob(connection, ref),
    streamBlob: (ref) => streamBlob(connection, ref),

    async report(body) {
      await spool.add(signedReport(options, body));
      void spool.flush();
    },

    pulse(value) {
      const witness = up ? box.word() : undefined;
      if (up) connection.publish(subjects.pulse(server), JSON.stringify({ ...value, witness }));
    },

    async hits(counted) {
      const value: Hits = { v: 1, server, ...counted };
      const text = JSON.stringify(signMessage(identity.reportKey, "hits", value));
      const reply = hitsReply.parse(
        (await connection.request(subjects.hits(server), text, { timeout: HITS_TIMEOUT_MS })).json(),
      );
      if (!reply.ok) throw new SluiceError("UNAVAILABLE", `control didn't take it: ${reply.reason}`);
    },

    async confirm(request, timeoutMs) {
      const fresh = await connectOnce(identity, timeoutMs);
      try {
        const reply = await fresh.request(subjects.confirm(server), JSON.stringify(request), {
          timeout: timeoutMs,
        });
        return confirmReply.parse(reply.json());
      } finally {
        await fresh.close();
      }
    },

    followLists(wanted, onDelta) {
      follow(connection, lists, wanted, (bytes) => onDelta(openMessage(keys, "list", listDelta, bytes)));
    },

    async close() {
      spool.close();
      await box.close();
      await connection.close();
      await watching;
    },
  };
}

/** Subscribes to what is new in `wanted` and leaves what is no longer in it. */
function follow(
  connection: NatsConnection,
  current: Map<string, Subscription>,
  wanted: readonly string[],
  onBytes: (bytes: Uint8Array) => void,
): void {
  for (const [list, subscription] of current) {
    if (wanted.includes(list)) continue;
    subscription.unsubscribe();
    current.delete(list);
  }
  for (const list of wanted) {
    if (current.has(list)) continue;
    current.set(
      list,
      connection.subscribe(subjects.list(list), { callback: (_error, message) => onBytes(message.data) }),
    );
  }
}

async function watchStatus(connection: NatsConnection, back: () => void, lost: () => void): Promise<void> {
  for await (const status of connection.status()) {
    if (status.type === "disconnect") lost();
    if (status.type === "reconnect") back();
  }
}

function onWake(message: Msg, handlers: AgentLinkHandlers): void {
  const parsed = wake.safeParse(tryJson(message));
  if (!parsed.success) return;
  if (parsed.data.what === "desired") handlers.onDesired();
  else handlers.onPlan(parsed.data.plan);
}

async function onAsk(message: Msg, handlers: AgentLinkHandlers): Promise<void> {
  const parsed = ask.safeParse(tryJson(message));
  const reply: AskReply = parsed.success
    ? await handlers.onAsk(parsed.data).catch((error): AskReply => ({ ok: false, reason: String(error) }))
    : { ok: false, reason: "this question isn't known" };
  message.respond(JSON.stringify(reply));
}

function tryJson(message: Msg): unknown {
  try {
    return message.json();
  } catch {
    return undefined;
  }
}
