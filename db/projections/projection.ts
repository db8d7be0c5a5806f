import { type EventType, isEventType } from "@sluice/proto/events/event";
import type { PgTable } from "drizzle-orm/pg-core";
import type { Tx } from "../connect.ts";
import type { RecordedEvent } from "../log/upcast-events.ts";
import { gatherRows, type Rows } from "./rows.ts";

/**
 * A projection keeps tables that are made of events alone, so that they can be thrown away and made again.
 *
 * To add one:
 * 1. the table as SQL in `migrations/NNNN-name.sql` (the next free number) and as a drizzle table in
 *    `schema/name.ts`;
 * 2. `projections/name.ts` with the projection: what becomes of its rows, by type of event;
 * 3. its name in the list that control gives to `new Projector(database, { projections: [...], upcast })`.
 *
 *     export const lists = projection({
 *       name: "lists",
 *       tables: [listTable],
 *       on: {
 *         ListCreated(rows, { seq, data }) {
 *           rows.insert(listTable, { name: data.list, createdSeq: seq });
 *         },
 *         ListRetired(rows, { data }) {
 *           rows.remove(listTable, { name: data.list });
 *         },
 *       },
 *     });
 *
 * It is given every event of its types, once, in order, a page at a time, in the transaction that also moves the
 * checkpoint; events of other types aren't read for it. It writes its own tables and nothing else, reads no clock and
 * makes no ids: the same events must make the same rows, whatever pages they come in. What it throws stops the projection
 * before that event, for people to see.
 */
export interface Projection {
  /** Names its checkpoint: never changed once it has run. */
  name: string;
  /** Its own tables, in the order in which they can be emptied (children first). */
  tables: readonly PgTable[];
  types: readonly EventType[];
  apply(tx: Tx, events: readonly RecordedEvent[]): Promise<void>;
}

type Handlers<Known> = {
  [T in EventType]?: (rows: Rows, event: Extract<RecordedEvent, { type: T }>, known: Known) => void;
};

interface Definition<Known> extends Pick<Projection, "name" | "tables"> {
  on: Handlers<Known>;
}

export function projection(definition: Definition<undefined>): Projection {
  return projectionReading(async () => undefined, definition);
}

/**
 * One whose events can't be applied without knowing some of its rows: `read` gets them as they are before the first event
 * of a page, and what is `on` an event keeps them up to date for the next.
 */
export function projectionReading<Known>(
  read: (tx: Tx, events: readonly RecordedEvent[]) => Promise<Known>,
  { name, tables, on }: Definition<Known>,
): Projection {
  return {
    name,
    tables,
    types: Object.keys(on).filter(isEventType),
    async apply(tx, events) {
      const rows = gatherRows();
      const known = await read(tx, events);
      for (const event of events) {
        const handle = on[event.type] as Handler<Known> | undefined;
        handle?.(rows, event, known);
      }
      await rows.write(tx);
    },
  };
}

type Handler<Known> = (rows: Rows, event: RecordedEvent, known: Known) => void;
