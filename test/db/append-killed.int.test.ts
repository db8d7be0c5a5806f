import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { AppendVerdict } from "@sluice/db/log/append";
import { readAll } from "@sluice/db/log/read";
import { verify } from "@sluice/db/log/verify";
import { type PostgresServer, startPostgres } from "@sluice/infra/fixtures/postgres";
import { type GuardedChild, startGuarded } from "@sluice/infra/process/guarded-child";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { afterAll, beforeAll, expect, test } from "vitest";
import { collect, freshLog } from "./log-fixture.ts";

interface Answer {
  stream: string;
  expected: number;
  ids: string[];
  verdict: AppendVerdict;
}

const worker = fileURLToPath(new URL("append-worker-main.ts", import.meta.url));
const PATIENCE_MS = 60_000;
const PROCESSES = 3;
let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server?.stop());

test("processes that are killed while they append to the same streams leave one whole chain: what was acknowledged is in its place, once, and nothing of what was a conflict", async () => {
  await using log = await freshLog(server.url);
  const answers: Answer[] = [];
  const heard = Array.from({ length: PROCESSES }, () => 0);
  const processes: GuardedChild[] = [];

  function start(index: number): void {
    const child = startGuarded([process.execPath, worker, server.url, log.database.schema]);
    child.stderr.resume();
    createInterface({ input: child.stdout }).on("line", (line) => {
      answers.push(JSON.parse(line));
      heard[index] = (heard[index] ?? 0) + 1;
    });
    processes[index] = child;
  }
  async function kill(index: number): Promise<void> {
    await processes[index]?.stop("SIGKILL");
  }

  try {
    for (let index = 0; index < PROCESSES; index += 1) start(index);
    for (let round = 0; round < 2 * PROCESSES; round += 1) {
      const index = round % PROCESSES;
      const before = heard[index] ?? 0;
      await waitUntil(`answers to ${index}`, PATIENCE_MS, () => (heard[index] ?? 0) > before + 50);
      await kill(index);
      if (round < PROCESSES) start(index);
    }
  } finally {
    for (let index = 0; index < PROCESSES; index += 1) await kill(index);
  }

  const stored = await collect(readAll(log.database.db));
  const places = new Map(stored.map((event) => [event.id, event]));
  expect(await verify(log.database.db)).toMatchObject({ events: stored.length, findings: [] });
  expect(answers.filter(({ verdict }) => verdict.outcome === "conflict").length).toBeGreaterThan(0);
  const acknowledged = new Set<string>();
  for (const { stream, expected, ids, verdict } of answers) {
    for (const [index, id] of ids.entries()) {
      if (verdict.outcome === "conflict") expect(places.has(id)).toBe(false);
      else {
        const place = { seq: verdict.seqs[index], stream, streamVersion: expected + index + 1 };
        expect(places.get(id)).toMatchObject(place);
        acknowledged.add(id);
      }
    }
  }
  const claimed = answers.flatMap(({ ids, verdict }) => (verdict.outcome === "stored" ? ids : []));
  expect(acknowledged.size).toBe(claimed.length);
});
