import { follow } from "@sluice/db/log/follow";
import { readHead, readPage } from "@sluice/db/log/read";
import { upcastEvent } from "@sluice/db/log/upcast-events";
import { listTable } from "@sluice/db/schema/lists";
import { upcast } from "@sluice/proto/events/upcast";
import type { ListDelta, ListHead } from "@sluice/proto/wire/list";
import { snapshotBytes } from "@sluice/proto/wire/list-state";
import type { Services } from "../context/services.ts";
import { headOf, putSnapshot, wantsSnapshot } from "../lists/book.ts";
import type { Publisher } from "./publish-desired.ts";

const PAGE = 200;

/**
 * Tells of lists: each change as its delta, at once, and the head of the list as it is then. At the start all heads.
 * A head may be newer than the delta it comes with; who reads it has what the deltas up to it made.
 */
export function createListPublisher(services: Services): Publisher {
  const { database, link, books, epoch, log } = services;
  let all = true;

  async function put(list: string, delta: ListDelta | undefined): Promise<void> {
    await link.putList(delta, await currentHead(list));
  }

  async function currentHead(list: string): Promise<ListHead> {
    const snapshot = await books.use(services, list, (book) => {
      if (!wantsSnapshot(book)) return undefined;
      const { rev, digest } = book.state;
      return { rev, digest, bytes: snapshotBytes(book.state) };
    });
    if (snapshot !== undefined) {
      const { rev, digest, bytes } = snapshot;
      const blob = await link.putBlob(bytes);
      await books.use(services, list, (book) => putSnapshot(book, { rev, digest, blob }));
    }
    return await books.use(services, list, (book) => headOf(book, epoch));
  }

  async function putAll(): Promise<void> {
    const rows = await database.db.select({ list: listTable.list }).from(listTable);
    for (const { list } of rows) await put(list, undefined);
  }

  return {
    again() {
      all = true;
    },

    async run(signal) {
      let last = 0;
      all = true;
      async function putOn(): Promise<void> {
        if (all) {
          all = false;
          last = (await readHead(database.db)).seq;
          await services.projections.waitFor(last);
          await putAll();
        }
        for (;;) {
          const page = await readPage(database.db, last, PAGE);
          for (const stored of page) {
            const event = stored.keys.list === undefined ? undefined : upcastEvent(stored, upcast);
            if (event?.type === "ListChanged") {
              await put(event.data.list, { ...event.data, epoch, at: event.meta.at });
            } else if (event?.type === "ListCreated" || event?.type === "ListRetired") {
              await put(event.data.list, undefined);
            }
            last = stored.seq;
          }
          if (page.length < PAGE) return;
        }
      }
      await follow(
        database,
        () =>
          putOn().catch((error) => {
            all = true; // what was cut short is put again, whole
            throw error;
          }),
        { signal, log },
      );
    },
  };
}
