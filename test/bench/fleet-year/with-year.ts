import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { connect, type Database } from "@sluice/db/connect";
import { fillBlocks } from "@sluice/db/history/blocks";
import { migrate } from "@sluice/db/migrate";
import { startPostgres } from "@sluice/infra/fixtures/postgres";
import { z } from "zod";
import type { BenchContext } from "../bench.ts";
import { type FleetYear, fillFleetYear } from "./fill.ts";

/**
 * A Postgres of its own with a fleet-year in it, for the time of the work. With `FLEET_YEARS=DIR` a year stays in that
 * folder, and is asked there the next time: a long one takes longer to make than to ask.
 */
export async function withFleetYear<T>(
  context: BenchContext,
  events: number,
  work: (database: Database, year: FleetYear) => Promise<T>,
): Promise<T> {
  const kept = keptYear(events);
  const made = kept?.read();
  const postgres = await startPostgres({
    own: true,
    settings: { shared_buffers: "1GB" },
    signal: context.signal,
    ...(kept && { dataDir: kept.dataDir }),
  });
  try {
    await using database = await connect(postgres.url, { schema: "bench" });
    await migrate(database);
    const year = made ?? (await makeYear(context, database, events));
    if (!context.signal.aborted) kept?.write(year);
    await fillBlocks(database); // of what was appended to a kept one
    return await work(database, year);
  } finally {
    await postgres.stop();
  }
}

const described = z.object({
  events: z.int(),
  servers: z.int(),
  policies: z.array(z.string()),
  from: z.string(),
  to: z.string(),
  seconds: z.number(),
});

/** Where a year is kept; one that wasn't made to its end is made anew. */
function keptYear(events: number) {
  const folder = process.env.FLEET_YEARS;
  if (folder === undefined) return undefined;
  const dataDir = resolve(folder, String(events));
  const description = join(resolve(folder), `${events}.json`);
  return {
    dataDir,
    read(): FleetYear | undefined {
      if (existsSync(description)) return described.parse(JSON.parse(readFileSync(description, "utf8")));
      rmSync(dataDir, { recursive: true, force: true });
      return undefined;
    },
    write: (year: FleetYear) => writeFileSync(description, JSON.stringify(year)),
  };
}

async function makeYear(context: BenchContext, database: Database, events: number): Promise<FleetYear> {
  return await quickly(database, () =>
    fillFleetYear(database, {
      events,
      signal: context.signal,
      progress: (text) => context.progress(`${events} events: ${text}`),
    }),
  );
}

/** Without fsync as long as the year is made: what is lost then is made again. */
async function quickly<T>({ sql }: Database, work: () => Promise<T>): Promise<T> {
  await sql`alter system set fsync = off`;
  await sql`select pg_reload_conf()`;
  try {
    return await work();
  } finally {
    await sql`alter system reset fsync`;
    await sql`select pg_reload_conf()`;
    await sql`checkpoint`;
  }
}
