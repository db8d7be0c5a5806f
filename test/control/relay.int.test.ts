import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { AckPolicy, DeliverPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect as connectNats } from "@nats-io/transport-node";
import { type Client, createClient } from "@sluice/cli/client";
import { connect } from "@sluice/db/connect";
import { readAll, readHead } from "@sluice/db/log/read";
import { verify } from "@sluice/db/log/verify";
import { type NatsServer, startNats } from "@sluice/infra/fixtures/nats";
import { type PostgresServer, startPostgres } from "@sluice/infra/fixtures/postgres";
import { freePort } from "@sluice/infra/process/free-port";
import { type GuardedChild, startGuarded } from "@sluice/infra/process/guarded-child";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { eventData, isEventType } from "@sluice/proto/events/event";
import { type FeedMessage, feedMessage } from "@sluice/proto/events/feed";
import { STREAMS } from "@sluice/proto/wire/subjects";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ADMIN } from "./world.ts";

/** Two control processes, each with a relay, on a Postgres and a NATS: any of the four may be killed at any moment. */
const main = fileURLToPath(new URL("../../services/control/main.ts", import.meta.url));
const ROUNDS = Number(process.env.SLUICE_TEST_ROUNDS ?? 8);
const PATIENCE_MS = 60_000;
let postgres: PostgresServer;
let nats: NatsServer;
let folder: string;
let urls: string[];
let controls: GuardedChild[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-relay-"));
  postgres = await startPostgres({ own: true });
  nats = await startNats({ own: true });
  urls = [`http://127.0.0.1:${await freePort()}`, `http://127.0.0.1:${await freePort()}`];
  controls = [startControl(0)];
  await answers(0); // the first makes the state folder and the tables
  controls.push(startControl(1));
  await answers(1);
});
afterAll(async () => {
  for (const control of controls ?? []) await control.stop("SIGKILL", 1_000);
  await nats?.stop();
  await postgres?.stop();
  await rm(folder, { recursive: true, force: true });
});

function startControl(index: number): GuardedChild {
  const child = startGuarded(
    [
      ...[process.execPath, main, "--state-dir", join(folder, "state")],
      ...["--listen", (urls[index] ?? "").replace("http://", "")],
    ],
    {
      env: {
        ...{ PATH: process.env.PATH, LOG_LEVEL: "fatal", SLUICE_ADMIN_TOKEN: ADMIN },
        ...{ DATABASE_URL: postgres.url, NATS_URL: nats.url },
      },
    },
  );
  child.stdout.resume();
  child.stderr.resume();
  return child;
}

async function answers(index: number): Promise<void> {
  await waitUntil(`control ${index}`, PATIENCE_MS, async () => {
    const { status } = await fetch(`${urls[index]}/healthz`);
    return status === 200;
  });
}

async function killControl(index: number): Promise<void> {
  const control = controls[index];
  control?.signal("SIGKILL");
  await control?.exited;
  controls[index] = startControl(index);
}

const PARTIES: Record<string, () => Promise<void>> = {
  "the first control": () => killControl(0),
  "the second control": () => killControl(1),
  NATS: () => nats.restart({ crash: true }),
  Postgres: () => postgres.restart({ crash: true }),
};

/** Changes lists through both, as quickly as they answer, whatever they answer. */
async function keepWriting(isOver: () => boolean): Promise<string[]> {
  const acknowledged: string[] = [];
  const write = async (client: Client, writer: number) => {
    for (let n = 0; !isOver(); n += 1) {
      const entry = `2001:db8:${writer + 1}::${(n + 1).toString(16)}`;
      await client.lists.change.mutate({ list: `list-${writer}`, add: [entry] }).then(
        () => {
          acknowledged.push(entry);
        },
        () => undefined,
      );
    }
  };
  const writers = [0, 1, 2, 3].map((writer) =>
    write(createClient({ url: urls[writer % 2] ?? "", token: ADMIN }), writer),
  );
  await Promise.all(writers);
  return acknowledged;
}

/** The whole stream, in its order, by a consumer of the test's own. */
async function readFeed(head: number): Promise<{ seq: number; subject: string; message: FeedMessage }[]> {
  const connection = await connectNats({ servers: nats.url });
  try {
    const manager = await jetstreamManager(connection);
    await waitUntil("the stream at the log's end", PATIENCE_MS, async () => {
      return (await manager.streams.info(STREAMS.events.name)).state.last_seq >= head;
    });
    const consumer = await manager.consumers.add(STREAMS.events.name, {
      ack_policy: AckPolicy.None,
      deliver_policy: DeliverPolicy.All,
    });
    const feed = [];
    const reader = await jetstream(connection).consumers.get(STREAMS.events.name, consumer.name);
    for await (const received of await reader.consume()) {
      feed.push({
        seq: received.seq,
        subject: received.subject,
        message: feedMessage.parse(received.json()),
      });
      if (received.info.pending === 0) return feed;
    }
    return feed;
  } finally {
    await connection.close();
  }
}

test(
  "whoever is killed, the feed is the log: every event once, in order, as it was stored",
  async () => {
    const admin = createClient({ url: urls[0] ?? "", token: ADMIN });
    for (const writer of [0, 1, 2, 3]) await admin.lists.create.mutate({ list: `list-${writer}` });
    let over = false;
    const writing = keepWriting(() => over);
    const killed: string[] = [];
    try {
      for (let round = 0; round < ROUNDS; round += 1) {
        // each in turn, so that none is spared, at a moment that depends on what the others are doing
        const [name, kill] = Object.entries(PARTIES)[round % 4] ?? [];
        const before = await eventsStored();
        await waitUntil("some more events", PATIENCE_MS, async () => (await eventsStored()) > before + 25);
        await kill?.();
        killed.push(name ?? "");
      }
      await answers(0);
      await answers(1);
    } finally {
      over = true;
    }
    const acknowledged = await writing;
    expect(new Set(killed).size).toBe(4);
    await using database = await connect(postgres.url);
    const head = await readHead(database.db);
    expect(await verify(database.db)).toMatchObject({ findings: [] });
    const feed = await readFeed(head.seq);
    const added: string[] = [];
    let count = 0;
    for await (const { seq, id, hash, type, stream, streamVersion, data } of readAll(database.db)) {
      if (seq > head.seq) break;
      const found = feed[count];
      expect(found).toMatchObject({ seq, subject: `sluice.v1.event.${type}` });
      expect(found?.message).toMatchObject({ seq, id, hash, type, stream, streamVersion, data });
      if (!isEventType(type)) throw new Error(`the feed has an unknown type ${type}`);
      expect(eventData[type].safeParse(data).success).toBe(true);
      if (type === "ListChanged") added.push(...eventData[type].parse(data).add.map(({ entry }) => entry));
      count += 1;
    }
    expect(count).toBe(head.seq);
    expect(new Set(added).size).toBe(added.length);
    expect(acknowledged.filter((entry) => !added.includes(entry))).toEqual([]);
  },
  ROUNDS * 30_000,
);

async function eventsStored(): Promise<number> {
  await using database = await connect(postgres.url, { max: 1, waitMs: PATIENCE_MS });
  return (await readHead(database.db)).seq;
}
