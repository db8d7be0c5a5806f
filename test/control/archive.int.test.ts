import { createHash } from "node:crypto";
import { checkBundle } from "@sluice/control/audit/check-bundle";
import { type PostgresServer, startPostgres } from "@sluice/infra/fixtures/postgres";
import { waitUntil } from "@sluice/infra/process/wait-until";
import type { ArchiveView } from "@sluice/proto/api/archive";
import type { AuditBundleInput } from "@sluice/proto/api/proof";
import { bundleEvent } from "@sluice/proto/wire/bundle";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { portPolicy, startWorld, type World } from "./world.ts";

const PATIENCE_MS = 30_000;
const DAY_MS = 24 * 3_600_000;
let postgres: PostgresServer;
let world: World;

beforeAll(async () => {
  postgres = await startPostgres();
  world = await startWorld(postgres.url);
  await world.join("s1", { role: "web" });
  await world.apply(portPolicy("a", 80));
  await rollOut(1);
  await world.client.lists.create.mutate({ list: "bans" });
  for (let n = 1; n <= 5; n += 1)
    await world.client.lists.change.mutate({ list: "bans", add: [`203.0.113.${n}`] });
  const { plan } = await world.client.plans.request.mutate({ of: { policy: "a" } });
  world.pass(60_000);
  await world.planned(plan);
});
afterAll(async () => {
  await world?.stop();
  await postgres?.stop();
});

async function rollOut(generation: number): Promise<void> {
  const { rollout } = await world.client.rollouts.start.mutate({ policy: "a", reason: "make it so" });
  await world.outcome("s1", generation, "confirmed");
  await world.rolledOut(rollout);
}

interface File {
  text: string;
  digest: string;
  hash: string;
}

async function exported(input: AuditBundleInput): Promise<File> {
  const lines: string[] = [];
  for (let at: AuditBundleInput["at"]; ; ) {
    const part = await world.client.audit.bundle.query({ ...input, ...(at && { at }) });
    lines.push(...part.lines);
    if (part.next === undefined) break;
    at = part.next;
  }
  const last = lines.findLast((line) => line.startsWith('{"event"')) ?? "";
  const { hash } = bundleEvent.parse(JSON.parse(last).event);
  const text = lines.map((line) => `${line}\n`).join("");
  return { text, hash, digest: createHash("sha256").update(text).digest("hex") };
}

async function check(file: File) {
  async function* lines() {
    yield* file.text.trimEnd().split("\n");
  }
  return await checkBundle(lines(), undefined);
}

/** As the command does it: the file first, and checked; then the log hears of it. */
async function archive(): Promise<{ file: File; from: number; to: number; view: ArchiveView }> {
  const { from, to } = await world.client.audit.archivable.query({});
  await waitUntil("all in the feed", PATIENCE_MS, () => (world.link.events.at(-1)?.seq ?? 0) >= to);
  const file = await exported({ from, to });
  expect(await check(file)).toMatchObject({ ok: true, from, to });
  const bytes = Buffer.byteLength(file.text);
  const { hash, digest } = file;
  await world.client.audit.archive.mutate({ from, to, hash, file: digest, bytes, reason: "a year is over" });
  let view = await world.client.audit.drop.mutate();
  while (view.droppedTo < view.to) view = await world.client.audit.drop.mutate();
  return { file, from, to, view };
}

async function rows(): Promise<number> {
  return await world.database(async ({ sql }) => {
    const [row] = await sql<{ count: number }[]>`select count(*)::integer as count from events`;
    return row?.count ?? 0;
  });
}

const verified = () => world.client.audit.verify.query();

test("nothing of the last day is archived", async () => {
  await expect(world.client.audit.archivable.query({})).rejects.toThrow("there is nothing to archive");
  await expect(world.client.audit.archivable.query({ to: 3 })).rejects.toThrow("of the last day");
});

describe("what is archived", () => {
  let to: number;
  let file: File;

  beforeAll(async () => {
    world.pass(2 * DAY_MS);
    const before = await rows();
    const done = await archive();
    ({ to, file } = done);
    expect(done).toMatchObject({ from: 1, view: { from: 1, to, file: file.digest, droppedTo: to } });
    expect(await rows()).toBe(before - to + done.view.kept + 1);
    expect(done.view.kept).toBeLessThan(to / 2);
  });

  test("is dropped, and the log is whole: it says which file has what, and what stayed", async () => {
    const { ok, findings, archived, events } = await verified();
    expect(findings).toEqual([]);
    expect(ok).toBe(true);
    expect(archived).toMatchObject({
      upTo: to,
      files: [{ from: 1, to, file: file.digest, hash: file.hash }],
    });
    expect(events).toBeGreaterThan(to);
  });

  test("leaves a fleet that goes on: rollouts, lists, plans, drift, and a control that starts anew", async () => {
    await world.apply(portPolicy("a", 81));
    await rollOut(2);
    await world.client.lists.change.mutate({ list: "bans", add: ["192.0.2.1"], del: ["203.0.113.1"] });
    await world.restart();
    world.pulse("s1");
    await world.client.lists.change.mutate({ list: "bans", add: ["192.0.2.2"] });
    expect(await world.client.lists.show.query({ list: "bans" })).toMatchObject({ rev: 8, total: 6 });
    await world.apply(portPolicy("a", 82));
    await rollOut(3);
    expect((await verified()).findings).toEqual([]);
  });
});
