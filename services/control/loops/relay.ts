import { follow } from "@sluice/db/log/follow";
import { readHead, readPage } from "@sluice/db/log/read";
import type { StoredEvent } from "@sluice/db/log/stored-event";
import { canonicalJson } from "@sluice/proto/base/canonical";
import { SluiceError } from "@sluice/proto/base/errors";
import type { FeedMessage } from "@sluice/proto/events/feed";
import type { Services } from "../context/services.ts";
import type { Publisher } from "./publish-desired.ts";

const PAGE = 100;
/** NATS takes 1 MiB a message by default. */
const MOST_CHARACTERS = 900_000;

/**
 * The log is the outbox: every event goes onto the EVENTS stream, in order, from where that stream ends. A second
 * relay is refused by the stream's expected sequence; nothing is lost or doubled. A stream that came back empty, or
 * without its end, is filled again from the log. One that goes further than the log is another log's: nothing is put
 * there, and that is said, for its readers would take the one for the other.
 */
export function createEventRelay({ database, link, log }: Services): Publisher {
  let look = true;

  async function endOfStream(): Promise<number> {
    const last = await link.lastEvent();
    const { seq } = await readHead(database.db);
    if (last <= seq) return last;
    throw new SluiceError(
      "CONFLICT",
      `the EVENTS stream ends at ${last}, the log at ${seq}: it is another log's`,
      {
        cure: "give this database a NATS of its own, or remove that stream",
      },
    );
  }

  /** All on their way at once: the stream takes them in their order or not at all. */
  async function putAll(page: readonly StoredEvent[]): Promise<void> {
    const put = page.map((event) => link.putEvent(event.seq, event.type, textOf(event)));
    await Promise.allSettled(put);
    await Promise.all(put);
  }

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
          last = await endOfStream();
        }
        for (;;) {
          const page = await readPage(database.db, last, PAGE);
          if (signal.aborted) return;
          await putAll(page);
          last = page.at(-1)?.seq ?? last;
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
function textOf(event: StoredEvent): string {
  const { seq, hash, id, stream, streamVersion, type, schemaVersion, keys, meta, data } = event;
  const { at, correlation } = meta;
  const place = { seq, hash, id, stream, streamVersion, type, schemaVersion, keys, at, correlation };
  const text = canonicalJson({ ...place, data } satisfies FeedMessage);
  return text.length <= MOST_CHARACTERS ? text : canonicalJson({ ...place, cut: true } satisfies FeedMessage);
}
