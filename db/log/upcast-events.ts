import { SluiceError } from "@sluice/proto/base/errors";
import type { SluiceEvent } from "@sluice/proto/events/event";
import type { Envelope, StoredEvent } from "./stored-event.ts";

/** Brings data to today's shape; undefined for a type it doesn't know; throws on what it can't read. */
export type Upcast = (type: string, schemaVersion: number, data: unknown) => SluiceEvent | undefined;

/** An event in today's shape, with its place. Told apart by `type`. */
export type RecordedEvent = SluiceEvent & Envelope;

/** Undefined for a type this version doesn't know. Throws INTERNAL, naming the seq, where a known one can't be read. */
export function upcastEvent(stored: StoredEvent, upcast: Upcast): RecordedEvent | undefined {
  const { seq, stream, streamVersion, id, meta, keys, type, schemaVersion, data } = stored;
  try {
    const event = upcast(type, schemaVersion, data);
    return event && { ...event, seq, stream, streamVersion, id, meta, keys };
  } catch (error) {
    throw new SluiceError("INTERNAL", `event ${seq} (${type}, version ${schemaVersion}) can't be read`, {
      cure: "start a version of Sluice that knows it",
      cause: error,
    });
  }
}

/** The events of known types, in today's shape: `upcastEvents(readStream(db, stream), upcast)`. */
export async function* upcastEvents(
  events: AsyncIterable<StoredEvent>,
  upcast: Upcast,
): AsyncGenerator<RecordedEvent> {
  for await (const stored of events) {
    const event = upcastEvent(stored, upcast);
    if (event) yield event;
  }
}
