import { serverTable } from "@sluice/db/schema/servers";
import { SluiceError } from "@sluice/proto/base/errors";
import { eq } from "drizzle-orm";
import type { Context } from "../context/services.ts";

export type ServerRow = typeof serverTable.$inferSelect;

/** Throws NOT_FOUND where there is no such server. */
export async function findServer(
  { database }: Pick<Context, "database">,
  server: string,
): Promise<ServerRow> {
  const [row] = await database.db.select().from(serverTable).where(eq(serverTable.server, server));
  if (row) return row;
  throw new SluiceError("NOT_FOUND", `there is no server ${server}`);
}
