import { sql } from "drizzle-orm";
import type { Context } from "./services.ts";

/**
 * Runs one at a time under this name, in all control processes on this database: for decisions that look at more than
 * one stream. Waiting in this process costs no connection. `work` must be short: it holds an open transaction.
 */
export async function exclusively<T>(ctx: Context, name: string, work: () => Promise<T>): Promise<T> {
  return await ctx.queue.run(`exclusively ${name}`, () =>
    ctx.database.db.transaction(async (tx) => {
      const key = `sluice ${ctx.database.schema} ${name}`;
      await tx.execute(sql`select pg_advisory_xact_lock(hashtextextended(${key}, 0))`);
      await ctx.projections.catchUp();
      return await work();
    }),
  );
}
