import { getTableColumns, getTableName, sql } from "drizzle-orm";
import type { Tx } from "../connect.ts";
import { lockCheckpoint } from "./checkpoint.ts";
import { control } from "./control.ts";
import { ERASED } from "./decided-by.ts";

/** A person's name and reasons in control's tables become what a rebuild would make of them. Nothing projects meanwhile. */
export async function eraseFromTables(tx: Tx, actor: string): Promise<void> {
  await lockCheckpoint(tx, control.name);
  for (const table of control.tables) {
    if (!("actor" in getTableColumns(table))) continue;
    const name = sql.identifier(getTableName(table));
    await tx.execute(sql`update ${name} set actor = ${ERASED}, reason = ${ERASED} where actor = ${actor}`);
  }
}
