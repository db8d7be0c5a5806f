import { messageOf, SluiceError } from "@sluice/proto/base/errors";
import type { Sql } from "./connect.ts";
import { backOff, codeOf, isPassing } from "./faults.ts";
import { type Logger, silent } from "./logger.ts";

export interface WaitOptions {
  log?: Logger;
  /** For ever unless said. */
  waitMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Returns when Postgres answers. Waits while it is away or starting; a refusal that waiting can't cure
 * (wrong password, no such database) is thrown at once.
 */
export async function waitForPostgres(sql: Sql, options: WaitOptions = {}): Promise<void> {
  const { log = silent, waitMs = Number.POSITIVE_INFINITY, signal } = options;
  const startedAt = performance.now();
  for (let attempt = 1; ; attempt += 1) {
    signal?.throwIfAborted();
    try {
      await sql`select 1`;
      if (attempt > 1) log.info({ attempt }, "Postgres answers");
      return;
    } catch (error) {
      if (!isPassing(error)) {
        throw new SluiceError("UNAVAILABLE", `Postgres refuses the connection: ${messageOf(error)}`, {
          cure: "check the user, password and database of DATABASE_URL",
          cause: error,
        });
      }
      if (performance.now() - startedAt > waitMs) {
        throw new SluiceError("UNAVAILABLE", `Postgres didn't answer within ${waitMs} ms`, {
          cure: "start Postgres, or check the host and port of DATABASE_URL",
          cause: error,
        });
      }
      if (attempt === 1 || attempt % 10 === 0)
        log.warn({ attempt, code: codeOf(error) }, "waiting for Postgres");
    }
    await backOff(attempt, 2_000, signal);
  }
}
