import { connect, type Database } from "@sluice/db/connect";
import { migrate } from "@sluice/db/migrate";
import { startPostgres } from "@sluice/infra/fixtures/postgres";
import type { BenchContext } from "../bench.ts";
import { type FleetYear, fillFleetYear } from "./fill.ts";

/** A Postgres of its own with a fleet-year in it, for the time of the work. */
export async function withFleetYear<T>(
  context: BenchContext,
  events: number,
  work: (database: Database, year: FleetYear) => Promise<T>,
): Promise<T> {
  const postgres = await startPostgres({
    own: true,
    settings: { shared_buffers: "1GB" },
    signal: context.signal,
  });
  try {
    await using database = await connect(postgres.url, { schema: "bench" });
    await migrate(database);
    const year = await quickly(database, () =>
      fillFleetYear(database, {
        events,
        signal: context.signal,
        progress: (text) => context.progress(`${events} events: ${text}`),
      }),
    );
    return await work(database, year);
  } finally {
    await postgres.stop();
  }
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
