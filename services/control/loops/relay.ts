import { follow } from "@sluice/db/log/follow";
import { readPage } from "@sluice/db/log/read";
import type { StoredEvent } from "@sluice/db/log/stored-event";
import { canonicalJson } from "@sluice/proto/base/canonical";
import type { Services } from "../context/services.ts";
import type { Publisher } from "./publish-desired.ts";

const PAGE = 100;
/** NATS takes 1 MiB a message by default. */
const MOST_CHARACTERS = 900_000;

/**
 * The log is the outbox: every event goes onto the EVENTS stream, in order, from where that stream ends. A second
 * relay is refused by the stream's expected sequence; nothing is lost or doubled. A stream that came back empty, or
 * without its end, is filled again from the log.
 */
export function createEventRelay({ database, link, log }: Services): Publisher {
  let look = true;

  return {
    again() {
      look = true;
    },

    async run(signal) {
      let last = 0;
      look = true;
      async function publishOn(): Promise<void> {
        if (look) {
          look = false;
          last = await link.lastEvent();
        }
        for (;;) {
          const page = await readPage(database.db, last, PAGE);
          for (const event of page) {
            if (signal.aborted) return;
            await link.putEvent(event.seq, event.type, textOf(event));
            last = event.seq;
          }
          if (page.length < PAGE) return;
        }
      }
      await follow(
        database,
        () =>
          publishOn().catch((error) => {
            look = true; // where the stream ends isn't certain
            throw error;
          }),
        { signal, log },
      );
    },
  };
}

/** Without actor and reason: what people may ask to have erased doesn't leave the database. */
function textOf({
  seq,
  hash,
  id,
  stream,
  streamVersion,
  type,
  schemaVersion,
  data,
  keys,
  meta,
}: StoredEvent) {
  const place = { seq, hash, id, stream, streamVersion, type, schemaVersion, keys };
  const { at, correlation } = meta;
  const text = canonicalJson({ ...place, at, correlation, data });
  // a reader that needs the rest of a huge one finds it by its seq
  return text.length <= MOST_CHARACTERS ? text : canonicalJson({ ...place, at, correlation, cut: true });
}
