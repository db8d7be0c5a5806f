import { messageOf, SluiceError } from "@sluice/proto/base/errors";
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

/** Skips an event of a type that this version doesn't know. */
export async function applyEvent(
  tx: Tx,
  projection: Projection,
  stored: StoredEvent,
  upcast: Upcast,
): Promise<void> {
  try {
    const event = upcastEvent(stored, upcast);
    if (event) await projection.apply(tx, event);
  } catch (error) {
    throw isPassing(error) ? error : new ProjectionStopped(projection.name, stored, error);
  }
}
