import { factsTable, serverFactsTable } from "@sluice/db/schema/servers";
import type { Facts } from "@sluice/proto/manifest/facts";
import { eq } from "drizzle-orm";
import type { Context } from "../context/services.ts";

/** What a server last said of itself; undefined before its first report. */
export async function factsOf(
  ctx: Context,
  server: string,
): Promise<{ facts: Facts; digest: string; at: string } | undefined> {
  const [row] = await ctx.database.db
    .select({ facts: factsTable.facts, digest: factsTable.digest, at: serverFactsTable.at })
    .from(serverFactsTable)
    .innerJoin(factsTable, eq(factsTable.digest, serverFactsTable.digest))
    .where(eq(serverFactsTable.server, server));
  return row;
}
