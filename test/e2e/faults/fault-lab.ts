import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type JetStreamManager, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, jwtAuthenticator } from "@nats-io/transport-node";
import { authority } from "@sluice/control/link/authority";
import { connect as connectPostgres } from "@sluice/db/connect";
import { readAll } from "@sluice/db/log/read";
import type { StoredEvent } from "@sluice/db/log/stored-event";
import { upcastEvent } from "@sluice/db/log/upcast-events";
import { verify } from "@sluice/db/log/verify";
import type { Lab } from "@sluice/infra/lab/start-lab";
import { startRelayIn } from "@sluice/infra/net/namespace-relay";
import { relayTcpToUnix } from "@sluice/infra/net/relay";
import { waitUntil } from "@sluice/infra/process/wait-until";
import type { EventData, EventType } from "@sluice/proto/events/event";
import { upcast } from "@sluice/proto/events/upcast";
import { STREAMS } from "@sluice/proto/wire/subjects";
import { startTestLab, type TestLabOptions } from "../lab.ts";

const PATIENCE_MS = 60_000;

/** A lab whose Postgres and NATS are its own, because they are killed here. */
export async function startFaultLab(servers: number, more?: TestLabOptions): Promise<Lab> {
  delete process.env.DATABASE_URL;
  delete process.env.NATS_URL;
  return await startTestLab(servers, more);
}

/** Kills control, and returns when it is gone. */
export async function crashControl(lab: Lab): Promise<void> {
  lab.control.signal("SIGKILL");
  await lab.control.exited();
}

/** Until control answers and has heard of every server, whatever was done to it. */
export async function controlAnswers(lab: Lab): Promise<void> {
  await waitUntil("control's answer", PATIENCE_MS, async () => {
    const rows = await lab.client.servers.ls.query({});
    return rows.every(({ connected }) => connected);
  });
}

export interface BrokerView extends AsyncDisposable {
  readonly manager: JetStreamManager;
  /** Says something to agents. */
  say(subject: string, text: string): void;
  /** Puts bytes under a key of a bucket, or on any other stream's subject. */
  put(subject: string, bytes: string | Uint8Array): Promise<void>;
  /** The newest message of a subject; undefined where there is none. */
  newest(stream: string, subject: string): Promise<Uint8Array | undefined>;
  /** Every message of the EVENTS stream, in its order. */
  events(): Promise<{ seq: number; event: { seq: number; id: string; type: string } }[]>;
}

/** The lab's broker as control sees it: with control's own logins, from outside of the namespaces. */
export async function lookIntoBroker(lab: Lab): Promise<BrokerView> {
  await using stack = new AsyncDisposableStack();
  const login = authority.parse(
    JSON.parse(await readFile(join(lab.folder, "control/authority.json"), "utf8")),
  );
  const home = lab.fabric.host("control");
  const socketPath = join(lab.folder, "broker.sock");
  stack.use(
    await startRelayIn(home.namespace, {
      direction: "to-tcp",
      socketPath,
      host: home.ipv4,
      port: lab.nats.port,
    }),
  );
  const { port } = stack.use(await relayTcpToUnix({ listenPort: 0, socketPath }));
  const { seed, streamsJwt, agentsJwt } = login.control;
  const open = async (jwt: string) => {
    const connection = await connect({
      servers: `127.0.0.1:${port}`,
      ignoreClusterUpdates: true,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 100,
      waitOnFirstConnect: true,
      authenticator: jwtAuthenticator(jwt, new TextEncoder().encode(seed)),
    });
    stack.defer(() => connection.close());
    return connection;
  };
  const streams = await open(streamsJwt);
  const agents = await open(agentsJwt);
  const manager = await jetstreamManager(streams, { checkAPI: false });
  const client = jetstream(streams);
  const owned = stack.move();

  async function message(stream: string, query: { seq: number } | { last_by_subj: string }) {
    try {
      return (await manager.streams.getMessage(stream, query)) ?? undefined;
    } catch (error) {
      if (error instanceof Error && /no message found|stream not found/i.test(error.message))
        return undefined;
      throw error;
    }
  }

  return {
    manager,
    say: (subject, text) => agents.publish(subject, text),
    put: async (subject, bytes) => void (await client.publish(subject, bytes)),
    newest: async (stream, subject) => (await message(stream, { last_by_subj: subject }))?.data,
    async events() {
      const { state } = await manager.streams.info(STREAMS.events.name);
      const found: Awaited<ReturnType<BrokerView["events"]>> = [];
      for (let seq = state.first_seq; seq <= state.last_seq; seq += 1) {
        const stored = await message(STREAMS.events.name, { seq });
        if (stored !== undefined) found.push({ seq: stored.seq, event: stored.json() });
      }
      return found;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** The whole log, as it lies in Postgres. */
export async function readLog(lab: Lab): Promise<StoredEvent[]> {
  await using database = await connectPostgres(lab.postgres.url, { max: 1 });
  const events: StoredEvent[] = [];
  for await (const event of readAll(database.db)) events.push(event);
  return events;
}

export async function logHolds(lab: Lab): Promise<boolean> {
  await using database = await connectPostgres(lab.postgres.url, { max: 1 });
  return (await verify(database.db)).findings.length === 0;
}

/** What the events of a type say, oldest first. */
export function dataOf<T extends EventType>(log: readonly StoredEvent[], type: T): EventData<T>[] {
  return log.flatMap((stored) => {
    const event = stored.type === type ? upcastEvent(stored, upcast) : undefined;
    return event?.type === type ? [event.data as EventData<T>] : [];
  });
}

/** Waits until the EVENTS stream is the log, event for event: from 1, in order, none twice. */
export async function streamEqualsLog(lab: Lab, broker: BrokerView): Promise<void> {
  const log = await readLog(lab);
  await waitUntil(`${log.length} events in the stream`, PATIENCE_MS, async () => {
    const { state } = await broker.manager.streams.info(STREAMS.events.name);
    return state.last_seq >= log.length;
  });
  const streamed = (await broker.events()).slice(0, log.length);
  const wrong = log.findIndex(({ seq, id, type }, index) => {
    const one = streamed[index];
    return one?.seq !== seq || one.event.seq !== seq || one.event.id !== id || one.event.type !== type;
  });
  if (wrong !== -1)
    throw new Error(
      `the stream differs from the log at ${wrong + 1}: ${JSON.stringify(streamed[wrong])} is not ${log[wrong]?.type}`,
    );
}
