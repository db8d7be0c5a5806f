import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect as connectNats, jwtAuthenticator } from "@nats-io/transport-node";
import { type Client, createClient } from "@sluice/cli/client";
import { type Control, startControl } from "@sluice/control/control";
import { createAuthority, natsServerConfig } from "@sluice/control/link/authority";
import { type NatsServer, startNats } from "@sluice/infra/fixtures/nats";
import { type PostgresServer, startPostgres } from "@sluice/infra/fixtures/postgres";
import { startGuarded } from "@sluice/infra/process/guarded-child";
import { waitUntil } from "@sluice/infra/process/wait-until";
import type { AddReaderView } from "@sluice/proto/api/feed";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ADMIN } from "./world.ts";

/** Control with Postgres and a NATS of logins; the reader is the program that docs/feed.md shows. */
const PATIENCE_MS = 60_000;
const authority = await createAuthority();
let folder: string;
let postgres: PostgresServer;
let nats: NatsServer;
let control: Control;
let client: Client;
let aheadMs = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-feed-"));
  await symlink(fileURLToPath(new URL("../../node_modules", import.meta.url)), join(folder, "node_modules"));
  postgres = await startPostgres();
  nats = await startNats({ own: true, config: natsServerConfig(authority), storeDir: join(folder, "store") });
  control = await startControl({
    databaseUrl: postgres.url,
    schema: `t_feed_${process.pid}`,
    natsUrls: [nats.url],
    listens: [{ host: "127.0.0.1", port: 0 }],
    stateDir: join(folder, "control"),
    adminToken: ADMIN,
    authority,
    clock: { now: () => new Date(Date.now() + aheadMs) },
  });
  client = createClient({ url: control.url, token: ADMIN });
  await client.lists.create.mutate({ list: "bans" });
});
afterAll(async () => {
  await control?.close();
  await nats?.stop();
  await postgres?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** An event. */
async function ban(n: number): Promise<void> {
  await client.lists.change.mutate({ list: "bans", add: [`203.0.113.${n}`] });
}

async function placeOf(reader: string) {
  const rows = await client.feed.ls.query();
  return rows.find((row) => row.reader === reader)?.place;
}

/** What the program of the page prints, until it has printed so many events; then it is killed, without a warning. */
async function readByThePage(view: AddReaderView, most: number): Promise<number[]> {
  const page = readFileSync(new URL("../../docs/feed.md", import.meta.url), "utf8");
  const [, program = ""] = /^```js\n(import.*?)^```$/ms.exec(page) ?? [];
  const here = join(folder, view.consumer);
  await mkdir(here, { recursive: true });
  await writeFile(join(here, "billing.creds"), view.credentials ?? "");
  await writeFile(
    join(here, "read.mjs"),
    program
      .replaceAll("billing-4k2mx9bb", view.consumer)
      .replace("nats://nats.example.net:4222", view.nats.join()),
  );
  const child = startGuarded([process.execPath, "read.mjs"], { cwd: here, env: {} });
  const words: string[] = [];
  createInterface({ input: child.stderr }).on("line", (line) => words.push(line));
  const seqs: number[] = [];
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      seqs.push(Number.parseInt(line, 10));
      if (seqs.length === most) break;
    }
    expect(seqs, words.join("\n")).toHaveLength(most);
  } finally {
    await child.stop("SIGKILL");
  }
  return seqs;
}

test("the program on the page reads the feed, and after its death goes on where it was", async () => {
  const view = await client.feed.add.mutate({ reader: "billing" });
  expect(view).toMatchObject({ from: 1, stream: "EVENTS", inEffect: true });
  expect(await readByThePage(view, 2)).toEqual([1, 2]);
  for (const n of [1, 2, 3]) await ban(n);
  // what it was given and had not acknowledged may come again
  const seqs = await readByThePage(view, 3);
  const fresh = seqs.filter((seq) => seq > 2);
  expect(fresh).toEqual([3, 4, 5].slice(0, fresh.length));
  await expect(client.feed.add.mutate({ reader: "billing" })).rejects.toThrow("there is a reader billing");
});

test("a broker that came back empty has the reader's place again, as control saw it last", async () => {
  const view = await client.feed.add.mutate({ reader: "place", from: 1 });
  await readByThePage(view, 3);
  aheadMs += 60_000;
  const readAtMs = Date.now() + aheadMs;
  await waitUntil("its place", PATIENCE_MS, async () => {
    return Date.parse((await placeOf("place"))?.at ?? "") >= readAtMs;
  });
  const { acked } = (await placeOf("place")) ?? { acked: 0 };
  expect(acked).toBeGreaterThan(0);
  await nats.down();
  await rm(nats.storeDir ?? join(folder, "store"), { recursive: true, force: true });
  await nats.up();
  await ban(4);
  const [first] = await readByThePageSoon(view);
  expect(first).toBe(acked + 1);
});

/** Once its consumer is there again. */
async function readByThePageSoon(view: AddReaderView): Promise<number[]> {
  const user = jwtAuthenticator(
    authority.control.streamsJwt,
    new TextEncoder().encode(authority.control.seed),
  );
  const connection = await connectNats({ servers: [nats.url], authenticator: user });
  const manager = await jetstreamManager(connection);
  await waitUntil(`the consumer ${view.consumer}`, PATIENCE_MS, async () => {
    return (await manager.consumers.info(view.stream, view.consumer)).name === view.consumer;
  });
  await connection.close();
  return await readByThePage(view, 1);
}

test("readers added and removed while NATS is away are so once it is back", async () => {
  await nats.down();
  await waitUntil("control knows", PATIENCE_MS, async () => {
    const health = await fetch(`${control.url}/healthz`);
    return (await health.text()).includes('"nats":false');
  });
  const added = await client.feed.add.mutate({ reader: "late", from: "new" });
  expect(added.inEffect).toBe(false);
  expect(await client.feed.rm.mutate({ reader: "place" })).toMatchObject({ inEffect: false });
  await nats.up();
  await ban(5);
  expect(await readByThePageSoon(added)).toEqual([added.from]);
  expect((await client.feed.ls.query()).map(({ reader }) => reader)).toEqual(["billing", "late"]);
});
