import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { checkBundle } from "@sluice/control/audit/check-bundle";
import { randomIds } from "@sluice/control/context/ids";
import { changeKey } from "@sluice/control/start/change-key";
import { keepCheckpoint } from "@sluice/db/log/signed-checkpoints";
import { type PostgresServer, startPostgres } from "@sluice/infra/fixtures/postgres";
import { type KeySet, type SigningKey, signMessage } from "@sluice/proto/base/sign";
import { bundleHeader } from "@sluice/proto/wire/bundle";
import { checkpoint } from "@sluice/proto/wire/checkpoint";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startWorld, type World } from "./world.ts";

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

const keyFile = () => join(world.stateDir, "signing-key.json");
const keyNow = async (): Promise<SigningKey> => JSON.parse(await readFile(keyFile(), "utf8"));
const pin = ({ kid, publicKey }: SigningKey): KeySet => ({ [kid]: publicKey });

/** Something happens, and a checkpoint of it is signed. */
async function signedBundle(): Promise<string[]> {
  await world.client.lists.create.mutate({ list: `l-${Date.now()}` });
  return (await exported()).lines;
}

async function exported() {
  const begin = await world.client.audit.bundle.query({});
  const rest = await world.client.audit.bundle.query({ ...(begin.next && { at: begin.next }) });
  const lines = [...begin.lines, ...rest.lines];
  return { lines, header: bundleHeader.parse(JSON.parse(lines[0] ?? "").bundle) };
}

async function check(lines: readonly string[], pinned: SigningKey) {
  async function* all() {
    yield* lines;
  }
  return await checkBundle(all(), pin(pinned));
}

/** While control is down. */
async function changed(was?: string): Promise<void> {
  const { stateDir, clock } = world;
  await world.restart(async (database) => {
    await changeKey(database, { stateDir, clock, ids: randomIds, actor: "admin", reason: "it leaked", was });
  });
}

const found = async () => (await world.client.audit.verify.query()).findings;

test("what the old key signed still counts after a change, here and in a bundle, for who pins the one or the other", async () => {
  await signedBundle();
  const old = await keyNow();
  await changed();
  const now = await keyNow();
  expect(now.kid).not.toBe(old.kid);
  const lines = await signedBundle();
  expect(JSON.parse(bundleHeader.parse(JSON.parse(lines[0] ?? "").bundle).checkpoint.body)).toMatchObject({
    epoch: 1,
  });
  expect(await found()).toEqual([]);
  for (const pinned of [old, now]) {
    const view = await check(lines, pinned);
    expect(view).toMatchObject({ ok: true, findings: [] });
    expect(view.checkpoints).toBeGreaterThan(1);
  }
});

test("what the old key signs later is forged", async () => {
  const { header } = await exported();
  const old = header.successions?.[0];
  expect(old?.from).toBeDefined();
  const seen = checkpoint.parse(JSON.parse(header.checkpoint.body));
  const stolen = await keyNow();
  await changed();
  const seq = seen.seq + 1_000; // where control signs none meanwhile
  const message = signMessage(stolen, "checkpoint", { ...seen, seq, size: seq });
  await world.database(({ db }) => keepCheckpoint(db, { epoch: 1, seq, message }));
  const [finding] = await found();
  expect(finding).toMatchObject({
    tampering: "forged",
    seq,
    message: expect.stringContaining("another one what follows"),
  });
  await world.database(({ sql }) =>
    sql.begin(async (tx) => {
      await tx`set local session_replication_role = replica`;
      await tx`delete from signed_checkpoints where seq = ${seq}`;
    }),
  );
});

test("with the old key lost its public half is asked for, and who pins the new one can check all", async () => {
  await signedBundle();
  const lost = await keyNow();
  await world.restart(() => rm(keyFile()));
  await expect(signedBundle()).rejects.toThrow("a checkpoint is kept that control didn't sign");
  await expect(changed()).rejects.toMatchObject({ cure: expect.stringContaining("--was") });
  await changed(lost.publicKey);
  const lines = await signedBundle();
  expect(await found()).toEqual([]);
  expect(await check(lines, await keyNow())).toMatchObject({ ok: true, findings: [] });
  expect(await check(lines, lost)).toMatchObject({ ok: false });
});
