import { archivedUpTo, leavesBetween } from "@sluice/db/log/archived";
import { follow } from "@sluice/db/log/follow";
import { mustFollow, readHead, readPage } from "@sluice/db/log/read";
import type { StoredEvent } from "@sluice/db/log/stored-event";
import { canonicalJson } from "@sluice/proto/base/canonical";
import { SluiceError } from "@sluice/proto/base/errors";
import type { FeedMessage } from "@sluice/proto/events/feed";
import type { Services } from "../context/services.ts";
import type { Publisher } from "./publish-desired.ts";

const PAGE = 100;
const ARCHIVED_PAGE = 1_000;
/** NATS takes 1 MiB a message by default. */
const MOST_CHARACTERS = 900_000;

/**
 * The log is the outbox: every event goes onto the EVENTS stream, in order, from where that stream ends. A second
 * relay is refused by the stream's expected sequence; nothing is lost or doubled. A stream that came back empty, or
 * without its end, is filled again from the log; of what is archived, each event's place. One that goes further than the log is another log's: nothing is put
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
  async function putAll(messages: readonly Message[]): Promise<void> {
    const put = messages.map(({ seq, type, text }) => link.putEvent(seq, type, text));
    await Promise.allSettled(put);
    await Promise.all(put);
  }

  /** What comes after this event: some of what is archived, or of what isn't; and whether that is all. */
  async function messagesAfter(last: number): Promise<{ messages: Message[]; isAll: boolean }> {
    const page = await readPage(database.db, last, PAGE);
    const gap = page.findIndex(({ seq }, index) => seq !== last + index + 1);
    if (gap !== 0) {
      const run = page.slice(0, gap === -1 ? undefined : gap);
      return { messages: run.map(messageOf), isAll: gap === -1 && page.length < PAGE };
    }
    const first = page[0]?.seq ?? 0;
    if (first - 1 > (await archivedUpTo(database.db))) mustFollow(last, page, "the feed");
    const upTo = Math.min(first - 1, last + ARCHIVED_PAGE);
    const leaves = await leavesBetween(database.db, last + 1, upTo);
    return { messages: leaves.map((leaf, index) => archivedMessage(last + 1 + index, leaf)), isAll: false };
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
          const { messages, isAll } = await messagesAfter(last);
          if (signal.aborted) return;
          await putAll(messages);
          last = messages.at(-1)?.seq ?? last;
          if (isAll) return;
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

interface Message {
  seq: number;
  type: string;
  text: string;
}

function messageOf(event: StoredEvent): Message {
  return { seq: event.seq, type: event.type, text: textOf(event) };
}

/** In the place of an event that is in an archive: sequences stay what they are. */
function archivedMessage(seq: number, leaf: Buffer): Message {
  const text = canonicalJson({ seq, archived: true, leaf: leaf.toString("hex") } satisfies FeedMessage);
  return { seq, type: "Archived", text };
}

/** Without actor and reason: what people may ask to have erased doesn't leave the database. */
function textOf(event: StoredEvent): string {
  const { seq, hash, id, stream, streamVersion, type, schemaVersion, keys, meta, data } = event;
  const { at, correlation } = meta;
  const place = { seq, hash, id, stream, streamVersion, type, schemaVersion, keys, at, correlation };
  const text = canonicalJson({ ...place, data } satisfies FeedMessage);
  return text.length <= MOST_CHARACTERS ? text : canonicalJson({ ...place, cut: true } satisfies FeedMessage);
}
