import type { Socket } from "node:net";
import { createSockets, type Destination } from "@sluice/db/socket";
import { type PostgresServer, startPostgres } from "@sluice/infra/fixtures/postgres";
import postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server?.stop());

test("a statement that comes to a connection between its error and its end is answered", async () => {
  const open = createSockets();
  let newest: Socket | undefined;
  const socket = (to: Destination) => {
    newest = open(to);
    return newest;
  };
  const sql = postgres(server.url, { max: 1, fetch_types: false, ...{ socket } });
  const wait = (seconds: number) => sql`select 1 as one, pg_sleep(${seconds}::float)`;
  try {
    for (let round = 0; round < 5; round += 1) {
      await wait(0); // from the second time on such a statement is sent at once, beside others
      const broken = wait(60).execute();
      const after = broken.catch(() => wait(0));
      newest?.destroy(new Error("reset"));
      expect(await after.catch((error: Error) => error)).toBeDefined();
    }
  } finally {
    await sql.end({ timeout: 0 });
  }
});
