import { randomIds } from "@sluice/control/context/ids";
import { openEpoch } from "@sluice/control/start/epoch";
import { type PostgresServer, startPostgres } from "@sluice/infra/fixtures/postgres";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { createSigningKey, type SignedMessage, signMessage } from "@sluice/proto/base/sign";
import { checkpoint } from "@sluice/proto/wire/checkpoint";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { cutOff, rechain, tamper } from "../db/tampering.ts";
import { startWorld, type World } from "./world.ts";

const PATIENCE_MS = 30_000;
let postgres: PostgresServer;
let world: World;
/** of the newest event, signed and in NATS; s1 has seen it */
let signed: SignedMessage;
let newest: number;

beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres?.stop());

beforeEach(async () => {
  world = await startWorld(postgres.url);
  await world.join("s1");
  for (const list of ["one", "two", "three"]) await world.client.lists.create.mutate({ list });
  newest = (await world.client.audit.verify.query()).head.seq;
  world.pass(60_000);
  signed = await checkpointOf(newest);
  await waitUntil("all in NATS", PATIENCE_MS, () => world.link.events.length === newest);
  world.sees("s1", signed);
  await seen();
});
afterEach(() => world?.stop());

async function checkpointOf(seq: number): Promise<SignedMessage> {
  const of = () => world.link.checkpoints.find(({ body }) => checkpoint.parse(JSON.parse(body)).seq === seq);
  await waitUntil(`the checkpoint of event ${seq}`, PATIENCE_MS, () => of() !== undefined);
  return of() ?? signed;
}

async function seen(): Promise<void> {
  await waitUntil("s1's word", PATIENCE_MS, async () => {
    return (await world.client.servers.show.query({ server: "s1" })).witness?.seq === newest;
  });
}

/** No trace of it in the database: tree and checkpoints are as the log is now, as if it had always been. */
const WITHOUT_TRACE = [
  "delete from merkle_tiles",
  "delete from checkpoints where name in ('tree', 'history')",
  "delete from signed_checkpoints",
  "delete from witnesses",
];

const edit = (body: string, seq: number) => (seq === 4 ? body.replace('"list":"two"', '"list":"owt"') : body);

describe("a log that is whole", () => {
  test("is told so, with what is signed of it and who has seen it, and how far it has come meanwhile", async () => {
    const view = await world.client.audit.verify.query();
    expect(view).toMatchObject({
      ...{ ok: true, events: newest, findings: [], notes: [] },
      tree: { size: newest },
      proven: { upTo: newest, witnesses: 1 },
    });
    const told: unknown[] = [];
    const aloud = world.client.audit.verifyAloud.subscribe(undefined, { onData: (data) => told.push(data) });
    await waitUntil(
      "the result",
      PATIENCE_MS,
      () => told.length > 0 && JSON.stringify(told).includes("result"),
    );
    aloud.unsubscribe();
    expect(told.at(-1)).toEqual({ result: view });
    for (const step of told.slice(0, -1)) expect(step).toEqual({ seq: newest, of: newest });
    expect((await world.client.servers.show.query({ server: "s1" })).witness).toMatchObject({ holds: true });
  });
});

describe("a log that was written anew with its tree and without its checkpoints", () => {
  beforeEach(async () => {
    await world.database(async (database) => {
      await rechain(database, 4, edit);
      await tamper(database, ...WITHOUT_TRACE);
    });
  });

  test("is contradicted by NATS, which also knows which event was the first, and by each server that was there", async () => {
    const { ok, findings } = await world.client.audit.verify.query();
    expect(ok).toBe(false);
    expect(findings[0]).toMatchObject({ tampering: "rewritten", seq: 4, type: "ListCreated" });
    const { witness } = await world.client.servers.show.query({ server: "s1" });
    expect(witness).toMatchObject({ seq: newest, holds: false });
  });

  test("is contradicted by servers alone, also those that say so only later", async () => {
    world.link.checkpoints.length = 0;
    world.link.events.length = 0;
    await world.restart((database) => tamper(database, "delete from witnesses"));
    expect((await world.client.audit.verify.query()).proven.witnesses).toBe(0);
    world.sees("s1", signed);
    await seen();
    await waitUntil("it said aloud", PATIENCE_MS, () =>
      world.troubles.some((said) => said.startsWith("a server has seen another history")),
    );
    const { findings } = await world.client.audit.verify.query();
    expect(findings[0]).toMatchObject({ tampering: "rewritten", message: expect.stringContaining("s1") });
  });
});

test("a log that was cut off without a trace in the database is contradicted, and what is gone is named by NATS", async () => {
  await world.database((database) => tamper(database, ...cutOff(newest - 2), ...WITHOUT_TRACE));
  const { findings } = await world.client.audit.verify.query();
  const [first] = findings;
  expect(first).toMatchObject({
    tampering: "truncated",
    seq: newest - 1,
    type: "ListCreated",
    stream: "list-two",
  });
  expect(first?.message).toContain(`events ${newest - 1} to ${newest} are gone`);
});

test("a checkpoint that another key signed is found, and one put in another's place; a log written anew to fit it, too", async () => {
  const body = signed.body.replace(/"hash":"[0-9a-f]{64}"/, `"hash":"${"0".repeat(64)}"`);
  const { kid, sig } = signMessage(createSigningKey(), "checkpoint", JSON.parse(body));
  await world.database((database) =>
    tamper(
      database,
      `update signed_checkpoints set body = '${body}', kid = '${kid}', sig = '${sig}' where seq = ${newest}`,
    ),
  );
  expect((await world.client.audit.verify.query()).findings).toMatchObject([
    { tampering: "forged", seq: newest, message: expect.stringContaining("unknown key") },
  ]);
  await world.database((database) =>
    tamper(
      database,
      `update signed_checkpoints set body = '${body}', kid = '${signed.kid}', sig = '${signed.sig}'`,
    ),
  );
  expect((await world.client.audit.verify.query()).findings[0]).toMatchObject({
    message: expect.stringContaining("wrong signature"),
  });
});

test("what a server has seen counts only in its own words, and only what control signed", async () => {
  const value = { v: 1, server: "s1", checkpoint: signed, at: "" };
  world.pulse("s1", { witness: signMessage(createSigningKey(), "witness", value) });
  const lie = { ...JSON.parse(signed.body), hash: "0".repeat(64), seq: newest + 1, size: newest + 1 };
  world.sees("s1", signMessage(createSigningKey(), "checkpoint", lie));
  await waitUntil("both dropped", PATIENCE_MS, () => {
    return world.troubles.filter((said) => said.startsWith("a witness' word was dropped")).length === 2;
  });
  expect(await world.client.audit.verify.query()).toMatchObject({ ok: true });
});

test("after a restore under a new epoch, what a server has seen of the old one later is told, and is no fault", async () => {
  await world.restart(async (database) => {
    const last = newest - 2;
    const readers = `update checkpoints set position = least(position, ${last})`;
    await tamper(database, ...cutOff(last), ...WITHOUT_TRACE, readers);
    world.link.events.length = last;
    const { clock } = world;
    await openEpoch(database, { clock, ids: randomIds, actor: "admin", reason: "restored" });
  });
  world.sees("s1", signed);
  await seen();
  const view = await world.client.audit.verify.query();
  expect(view).toMatchObject({ ok: true, findings: [] });
  expect(view.notes.join()).toContain(`s1 knows event ${newest} of epoch 1`);
  expect(view.notes.join()).toContain("lost by a restore");
});
