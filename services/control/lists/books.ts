import { readStream } from "@sluice/db/log/read";
import { upcastEvent } from "@sluice/db/log/upcast-events";
import { listEntryTable, listTable } from "@sluice/db/schema/lists";
import { SluiceError } from "@sluice/proto/base/errors";
import { streamOf } from "@sluice/proto/events/event";
import { upcast } from "@sluice/proto/events/upcast";
import { ListEntries } from "@sluice/proto/wire/list-entries";
import { eq } from "drizzle-orm";
import type { Services } from "../context/services.ts";
import { type Book, newBook, write } from "./book.ts";

type Reads = Pick<Services, "database" | "epoch">;
type Needs = Reads & Pick<Services, "queue">;

/** The books of all lists. A book is opened from its tables, once, and read on from the log before every use. */
export class ListBooks {
  readonly #books = new Map<string, Book>();

  /** Alone with the book, which is up to date. Never wait for NATS in here: others want the book too. */
  async use<T>(needs: Needs, list: string, work: (book: Book) => Promise<T> | T): Promise<T> {
    return await needs.queue.run(`book ${list}`, async () => {
      const book = this.#books.get(list) ?? (await openBook(needs, list));
      this.#books.set(list, book);
      await readOn(needs, book);
      return await work(book);
    });
  }
}

/** Brings a book up to the end of its stream. */
export async function readOn({ database, epoch }: Reads, book: Book): Promise<void> {
  const from = book.version + 1;
  for await (const stored of readStream(database.db, streamOf.list(book.list), { from })) {
    if (stored.streamVersion !== book.version + 1) {
      // what lies between was archived meanwhile, and is in the tables
      const opened = await openBook({ database }, book.list);
      if (opened.version < stored.streamVersion - 1)
        throw new SluiceError("CONFLICT", `events of ${stored.stream} before event ${stored.seq} are gone`, {
          cure: "sluice audit verify says what is wrong with the log",
        });
      Object.assign(book, opened);
      return await readOn({ database, epoch }, book);
    }
    const event = upcastEvent(stored, upcast);
    if (event) write(book, event, { at: event.meta.at, epoch });
    else book.version += 1;
  }
}

/** From the tables, which say up to which version of the stream they go: cheaper than a long stream. */
async function openBook({ database }: Pick<Services, "database">, list: string): Promise<Book> {
  const book = newBook(list);
  await database.db.transaction(
    async (tx) => {
      const [row] = await tx.select().from(listTable).where(eq(listTable.list, list));
      if (!row) return;
      const entries = await tx
        .select({ entry: listEntryTable.entry, until: listEntryTable.until })
        .from(listEntryTable)
        .where(eq(listEntryTable.list, list));
      book.version = row.version;
      book.created = true;
      book.retired = row.retired;
      book.families = row.families;
      book.state = {
        rev: row.rev,
        digest: row.digest,
        entries: new ListEntries(),
      };
      for (const { entry, until } of entries) book.state.entries.set(entry, until ?? undefined);
    },
    { isolationLevel: "repeatable read", accessMode: "read only" },
  );
  return book;
}
