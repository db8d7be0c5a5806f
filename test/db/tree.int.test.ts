import { growTree, treeReader, treeSize } from "@sluice/db/log/tree";
import { type PostgresServer, startPostgres } from "@sluice/infra/fixtures/postgres";
import { leafHash, rootOf } from "@sluice/proto/base/merkle";
import { afterAll, beforeAll, expect, test } from "vitest";
import { appendAll, freshLog, type LogFixture, newEvent } from "./log-fixture.ts";

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

async function append(log: LogFixture, stream: string, count: number): Promise<void> {
  await appendAll(
    log.appender,
    stream,
    Array.from({ length: count }, () => newEvent()),
  );
}

async function leavesOf({ database }: LogFixture): Promise<Buffer[]> {
  const rows = await database.sql<{ hash: Buffer }[]>`select hash from events order by seq`;
  return rows.map(({ hash }) => leafHash(hash));
}

test("the tree takes in what the log has, in any steps and by any number of processes, and has its root", async () => {
  await using log = await freshLog(server.url);
  const { db } = log.database;
  expect(await growTree(log.database)).toBe(0);
  expect(await treeReader(db)({ from: 0, to: 0 })).toEqual(rootOf([]));
  for (const count of [1, 2, 252, 1, 1, 300, 600]) {
    await append(log, `by ${count} from ${await treeSize(db)}`, count);
    await Promise.all(Array.from({ length: 3 }, () => growTree(log.database)));
    const leaves = await leavesOf(log);
    expect(await treeSize(db)).toBe(leaves.length);
    expect(await treeReader(db)({ from: 0, to: leaves.length })).toEqual(rootOf(leaves));
  }
});
