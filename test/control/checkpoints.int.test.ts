import { type PostgresServer, startPostgres } from "@sluice/infra/fixtures/postgres";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { openMessage, type SignedMessage } from "@sluice/proto/base/sign";
import { checkpoint } from "@sluice/proto/wire/checkpoint";
import { afterAll, beforeAll, expect, test } from "vitest";
import { agentKeys } from "./agent-keys.ts";
import { startWorld, type World } from "./world.ts";

const PATIENCE_MS = 30_000;
let postgres: PostgresServer;
let world: World;

beforeAll(async () => {
  postgres = await startPostgres();
  world = await startWorld(postgres.url);
});

afterAll(async () => {
  await world?.stop();
  await postgres?.stop();
});

/** Reads it as a server does: with the keys it was given at its enrolment. */
async function pinnedKeys(): Promise<Record<string, string>> {
  const { token } = await world.client.servers.add.mutate({ server: `s${Date.now()}` });
  const { keys } = (await (await world.post("/enrol", { token, ...agentKeys() })).json()) as {
    keys: Record<string, string>;
  };
  return keys;
}

async function signedUpTo(seq: number): Promise<SignedMessage> {
  const seqOf = ({ body }: SignedMessage) => checkpoint.parse(JSON.parse(body)).seq;
  await waitUntil(`a checkpoint of event ${seq}`, PATIENCE_MS, () => {
    return world.link.checkpoints.some((message) => seqOf(message) >= seq);
  });
  const found = world.link.checkpoints.find((message) => seqOf(message) >= seq);
  if (found === undefined) throw new Error("it was there");
  return found;
}

test("what was decided is signed soon, with the key that servers pin, put into NATS and told to servers", async () => {
  const keys = await pinnedKeys();
  const { head } = await world.client.audit.verify.query();
  world.pass(60_000);
  const message = await signedUpTo(head.seq);
  const opened = openMessage(keys, "checkpoint", checkpoint, JSON.stringify(message));
  expect(opened).toMatchObject({ ok: true, value: { epoch: 1, seq: head.seq, hash: head.hash } });
  await waitUntil("servers told", PATIENCE_MS, () => {
    return world.link.told.some(({ body }) => body === message.body);
  });
});

test("with NATS away checkpoints are signed beside the log, and put when it is back", async () => {
  const put = world.link.checkpoints.length;
  const seq = await withNatsAway(async () => {
    const upTo = await signedBeside(1);
    expect(world.link.checkpoints).toHaveLength(put);
    return upTo;
  });
  await signedUpTo(seq);
});

test("a log in which nothing happens gets no further checkpoint, and those of before are put again into a NATS that lost them", async () => {
  await world.client.lists.create.mutate({ list: "one" });
  const { head } = await world.client.audit.verify.query();
  world.pass(60_000);
  await signedUpTo(head.seq);
  const put = [...world.link.checkpoints];
  await world.restart(async () => {
    world.link.checkpoints.length = 1;
    world.pass(600_000);
  });
  await waitUntil("all of them", PATIENCE_MS, () => world.link.checkpoints.length === put.length);
  expect(world.link.checkpoints).toEqual(put);
});

/** As a superuser could, with the triggers off, while control is down. */
async function tamper(...statements: string[]): Promise<void> {
  await world.restart(async ({ sql }) => {
    await sql.begin(async (tx) => {
      await tx.unsafe("set local session_replication_role = replica");
      for (const statement of statements) await tx.unsafe(statement);
    });
  });
}

async function saidOf(words: string): Promise<void> {
  await waitUntil(words, PATIENCE_MS, () => world.troubles.some((said) => said.includes(words)));
}

test("a log that contradicts what was signed of it gets no further checkpoint, and that is said", async () => {
  await world.client.lists.create.mutate({ list: "two" });
  const { head } = await world.client.audit.verify.query();
  world.pass(60_000);
  await signedUpTo(head.seq);
  const put = world.link.checkpoints.length;
  await tamper(`update events set hash = sha256(hash) where seq = ${head.seq}`);
  world.pass(600_000);
  await world.client.lists.create.mutate({ list: "three" });
  await saidOf(`event ${head.seq} isn't the one that was signed`);
  expect(world.link.checkpoints).toHaveLength(put);
});

test("a stream that knows more than the log isn't buried under newer checkpoints, and that is said", async () => {
  const put = world.link.checkpoints.length;
  await tamper(
    "delete from signed_checkpoints where seq > 2",
    "delete from events where seq > 2",
    "delete from personal where seq > 2",
    "update head set seq = 2, hash = (select hash from events where seq = 2)",
    "delete from merkle_tiles",
    "delete from checkpoints where name = 'tree'",
    "update checkpoints set position = least(position, 2)",
  );
  world.pass(600_000);
  await saidOf("the CHECKPOINTS stream isn't this log's");
  expect(world.link.checkpoints).toHaveLength(put);
});

test("a stream that has another history than was signed while it was away isn't buried, and that is said", async () => {
  const put = world.link.checkpoints.length;
  await withNatsAway(() => signedBeside(10));
  await saidOf("was never signed here");
  expect(world.link.checkpoints).toHaveLength(put);
});

/** Control starts anew, and the stream doesn't answer as long as the work goes on. */
async function withNatsAway<T>(work: () => Promise<T>): Promise<T> {
  const { promise, resolve } = Promise.withResolvers<void>();
  await world.restart(async () => {
    world.link.back = promise;
  });
  try {
    return await work();
  } finally {
    resolve();
  }
}

/** So many events come, and are signed in the database. */
async function signedBeside(events: number): Promise<number> {
  for (let n = 0; n < events; n += 1)
    await world.client.lists.create.mutate({ list: `away-${Date.now()}-${n}` });
  const seq = (await world.client.audit.log.query({ limit: 1 })).events[0]?.seq ?? 0;
  await waitUntil("a checkpoint beside the log", PATIENCE_MS, async () => {
    world.pass(60_000);
    return await world.database(async ({ sql }) => {
      const rows = await sql`select from signed_checkpoints where seq >= ${seq}`;
      return rows.length > 0;
    });
  });
  return seq;
}

test("signed checkpoints that are taken away while control runs aren't signed anew over what came instead", async () => {
  await world.stop();
  world = await startWorld(postgres.url);
  await world.client.lists.create.mutate({ list: "one" });
  const { head } = await world.client.audit.verify.query();
  await signedUpTo(head.seq);
  const put = world.link.checkpoints.length;
  await world.database(({ sql }) =>
    sql.begin(async (tx) => {
      await tx`set local session_replication_role = replica`;
      await tx`delete from signed_checkpoints`;
    }),
  );
  await saidOf(`the signed checkpoint of event ${head.seq} is gone`);
  expect(world.link.checkpoints).toHaveLength(put);
});
