import { messageOf, SluiceError } from "@sluice/proto/base/errors";
import { sql } from "drizzle-orm";
import type { Tx } from "../connect.ts";
import { isPassing } from "../faults.ts";
import type { StoredEvent } from "../log/stored-event.ts";
import { type Upcast, upcastEvent } from "../log/upcast-events.ts";
import type { Projection } from "./projection.ts";

/** A known event that can't be read or applied: its projection stands exactly before it. */
export class ProjectionStopped extends SluiceError {
  readonly seq: number;

  constructor(projection: string, { seq, type }: StoredEvent, cause: unknown) {
    const message = `projection ${projection} stopped before event ${seq} (${type}): ${messageOf(cause)}`;
    super("INTERNAL", message, { cure: "mend the projection, then start again", cause });
    this.name = "ProjectionStopped";
    this.seq = seq;
  }
}

/** Applies a page of events at once: all of them, or it throws, and which one was at fault isn't known. */
export async function applyPage(
  tx: Tx,
  projection: Projection,
  page: readonly StoredEvent[],
  upcast: Upcast,
): Promise<void> {
  const events = page.flatMap((stored) => upcastEvent(stored, upcast) ?? []);
  if (events.length > 0) await projection.apply(tx, events);
}

/** One event after the other. Returns what stops it: what the events before that one made stays. */
export async function applySingly(
  tx: Tx,
  projection: Projection,
  page: readonly StoredEvent[],
  upcast: Upcast,
): Promise<ProjectionStopped | undefined> {
  for (const stored of page) {
    await tx.execute(sql`savepoint before_event`);
    try {
      await applyPage(tx, projection, [stored], upcast);
    } catch (error) {
      if (isPassing(error)) throw error;
      await tx.execute(sql`rollback to savepoint before_event`);
      return new ProjectionStopped(projection.name, stored, error);
    }
    await tx.execute(sql`release savepoint before_event`);
  }
  return undefined;
}
