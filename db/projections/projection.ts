import type { PgTable } from "drizzle-orm/pg-core";
import type { Tx } from "../connect.ts";
import type { RecordedEvent } from "../log/upcast-events.ts";

/**
 * A projection keeps tables that are made of events alone, so that they can be thrown away and made again.
 *
 * To add one:
 * 1. the table as SQL in `migrations/NNNN-name.sql` (the next free number) and as a drizzle table in
 *    `schema/name.ts`;
 * 2. `projections/name.ts` with the projection: a switch over the types it cares for;
 * 3. its name in the list that control gives to `new Projector(database, { projections: [...], upcast })`.
 *
 *     export const lists: Projection = {
 *       name: "lists",
 *       tables: [listTable],
 *       async apply(tx, event) {
 *         switch (event.type) {
 *           case "ListCreated":
 *             await tx.insert(listTable).values({ name: event.data.list, createdSeq: event.seq });
 *             return;
 *           case "ListRetired":
 *             await tx.delete(listTable).where(eq(listTable.name, event.data.list));
 *             return;
 *         }
 *       },
 *     };
 *
 * `apply` is given every known event, once, in order, in the transaction that also moves the checkpoint. It writes
 * its own tables and nothing else, reads no clock and makes no ids: the same events must make the same rows.
 * What it throws stops the projection before that event, for people to see.
 */
export interface Projection {
  /** Names its checkpoint: never changed once it has run. */
  name: string;
  /** Its own tables, in the order in which they can be emptied (children first). */
  tables: readonly PgTable[];
  apply(tx: Tx, event: RecordedEvent): Promise<void>;
}
