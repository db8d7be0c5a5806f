import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { type PostgresServer, startPostgres } from "@sluice/infra/fixtures/postgres";
import postgres from "postgres";
import { describe, expect, test, vi } from "vitest";

async function query(server: PostgresServer, statement: string) {
  const sql = postgres(server.url, { max: 1, connect_timeout: 5, onnotice: () => {} });
  try {
    return [...(await sql.unsafe(statement))];
  } finally {
    await sql.end({ timeout: 5 });
  }
}

describe("a Postgres of one's own", () => {
  test("answers at once, keeps what was committed over a restart and a crash, and is gone after stop", async () => {
    const server = await startPostgres({ own: true });
    await query(server, "CREATE TABLE kept (n int)");
    await query(server, "INSERT INTO kept VALUES (1)");
    await server.restart();
    await query(server, "INSERT INTO kept VALUES (2)");
    await server.restart({ crash: true });
    expect(await query(server, "SELECT n FROM kept ORDER BY n")).toEqual([{ n: 1 }, { n: 2 }]);
    await server.stop();
    await expect(query(server, "SELECT 1")).rejects.toThrow();
    if (server.socketDir) expect(existsSync(server.socketDir)).toBe(false);
  });

  test("is away between down and up, at the same address afterwards", async () => {
    await using server = await startPostgres({ own: true });
    await server.down();
    await expect(query(server, "SELECT 1")).rejects.toThrow();
    await server.up();
    expect(await query(server, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
  });

  test("with a folder for its data, finds it again at the next start, also where only root may walk", async () => {
    const dataDir = await mkdtemp("/tmp/sluice-kept-"); // 0700, as root's home is
    try {
      {
        await using first = await startPostgres({ own: true, dataDir: `${dataDir}/pg` });
        await query(first, "CREATE TABLE kept AS SELECT 7 AS n");
      }
      await using second = await startPostgres({ own: true, dataDir: `${dataDir}/pg` });
      expect(await query(second, "SELECT n FROM kept")).toEqual([{ n: 7 }]);
    } finally {
      await rm(dataDir, { recursive: true });
    }
  });

  test("that can't start says why and leaves nothing", async () => {
    const refused = startPostgres({ own: true, settings: { no_such_setting: "1" } });
    await expect(refused).rejects.toThrow('unrecognized configuration parameter "no_such_setting"');
  });
});

test("a given Postgres lends a fresh database, refuses to be stopped, and has it dropped though it is in use", async () => {
  await using lender = await startPostgres({ own: true });
  vi.stubEnv("DATABASE_URL", lender.url);
  try {
    const given = await startPostgres();
    expect(given.kind).toBe("given");
    const user = postgres(given.url, { max: 1, onnotice: () => {} });
    const [row] = await user`SELECT current_database() AS name`;
    const names = "SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY datname";
    expect(await query(lender, names)).toContainEqual({ datname: row?.name });
    await expect(given.restart()).rejects.toThrow("DATABASE_URL is not ours to stop");
    await given.stop();
    expect(await query(lender, names)).toEqual([{ datname: "postgres" }]);
    await user.end({ timeout: 1 });
  } finally {
    vi.unstubAllEnvs();
  }
});

test.each([
  [
    "postgres://nobody@127.0.0.1:1/postgres",
    "the Postgres of DATABASE_URL can't be used: connect ECONNREFUSED",
  ],
  ["localhost", "DATABASE_URL is no URL"],
])("a given Postgres that can't be had (%s) is named, with why", async (url, reason) => {
  vi.stubEnv("DATABASE_URL", url);
  try {
    await expect(startPostgres()).rejects.toThrow(reason);
  } finally {
    vi.unstubAllEnvs();
  }
});
