import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type PostgresServer, startPostgres } from "@sluice/infra/fixtures/postgres";
import { waitUntil } from "@sluice/infra/process/wait-until";
import type { AuditBundleInput } from "@sluice/proto/api/proof";
import { afterAll, beforeAll, expect, test } from "vitest";
import { shellUnder } from "./page.ts";
import { startWorld, type World } from "./world.ts";

const PATIENCE_MS = 30_000;
let postgres: PostgresServer;
let world: World;
let folder: string;
let lines: string[];
let script: string;

beforeAll(async () => {
  postgres = await startPostgres();
  world = await startWorld(postgres.url);
  folder = await mkdtemp(join(tmpdir(), "sluice-audit-"));
  await world.join("s1");
  for (const list of ["one", "two", "three"])
    await world.client.lists.create.mutate({ list, reason: 'with ü and \\ and "quotes"' });
  await waitUntil("a checkpoint", PATIENCE_MS, () => world.link.told.length > 0);
  world.pass(60_000);
  for (const message of world.link.told) world.sees("s1", message);
  await waitUntil("s1's word", PATIENCE_MS, async () => {
    return (await world.client.servers.show.query({ server: "s1" })).witness !== undefined;
  });
  lines = await exported();
  const page = await readFile(new URL("../../docs/audit.md", import.meta.url), "utf8");
  script = shellUnder(page, "## Checking one by hand");
});
afterAll(async () => {
  await world?.stop();
  await postgres?.stop();
  await rm(folder, { recursive: true, force: true });
});

async function exported(): Promise<string[]> {
  const all: string[] = [];
  for (let at: AuditBundleInput["at"]; ; ) {
    const part = await world.client.audit.bundle.query({ ...(at && { at }) });
    all.push(...part.lines);
    if (part.next === undefined) return all;
    at = part.next;
  }
}

/** What the page's own commands say of a bundle. */
async function byHand(bundle: readonly string[]): Promise<{ code: number; said: string }> {
  await writeFile(join(folder, "log.ndjson"), bundle.map((line) => `${line}\n`).join(""));
  const ran = promisify(execFile)("sh", ["-euc", script], { cwd: folder });
  return await ran.then(
    ({ stdout, stderr }) => ({ code: 0, said: stdout + stderr }),
    ({ code, stdout, stderr }) => ({ code, said: stdout + stderr }),
  );
}

test("the page's commands find a whole bundle whole: signature, chain, tree, who, and what a server has seen", async () => {
  const { code, said } = await byHand(lines);
  expect(said).toContain("5 events follow each other, and the last one was signed");
  expect(said).toContain("event 5 stands in the tree that was signed");
  expect(said).toMatch(/event 1 was done by admin/);
  expect(said).toMatch(/s1 has seen event \d/);
  expect(said.match(/Signature Verified Successfully/g)).toHaveLength(2);
  expect(code).toBe(0);
});

test.each([
  [
    "an edited event",
    "event 4 isn't as it was written",
    (line: string) => line.replace('\\"list\\":\\"two\\"', '\\"list\\":\\"owt\\"'),
  ],
  [
    "another checkpoint",
    "Verification Failure",
    (line: string) => line.replace(/\\"size\\":5/, '\\"size\\":4'),
  ],
  [
    "another actor",
    "it was somebody else",
    (line: string) => line.replace('"value":"admin"', '"value":"eve"'),
  ],
])("the page's commands find %s", async (_, told, edit) => {
  const tampered = lines.map((line, index) =>
    line.startsWith('{"event"') || index === 0 ? edit(line) : line,
  );
  expect(tampered).not.toEqual(lines);
  const { code, said } = await byHand(tampered);
  expect([code, said]).toEqual([1, expect.stringContaining(told)]);
});

test("the page's commands find an event left out", async () => {
  const { code, said } = await byHand(lines.filter((line) => !line.startsWith('{"event":{"seq":3')));
  expect([code, said]).toEqual([1, expect.stringContaining("event 4 isn't as it was written")]);
});
