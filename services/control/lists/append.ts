import { SluiceError } from "@sluice/proto/base/errors";
import type { SluiceEvent } from "@sluice/proto/events/event";
import { streamOf } from "@sluice/proto/events/event";
import { toStore, visible } from "../context/execute.ts";
import type { Context } from "../context/services.ts";
import { type Book, write } from "./book.ts";
import { readOn } from "./books.ts";

const ATTEMPTS = 8;

/**
 * What `execute` is for other streams: decides on the book, and appends if nothing came in between. The list's state is
 * too large to be made anew from its events for every change, so it is kept in the book.
 */
export async function appendToBook<T extends { events: readonly SluiceEvent[] }>(
  ctx: Context,
  list: string,
  reason: string,
  decide: (book: Book) => T,
): Promise<{ decision: T }> {
  const stream = streamOf.list(list);
  const { decision, last } = await ctx.books.use(ctx, list, async (book) => {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
      const decision = decide(book);
      if (decision.events.length === 0) return { decision, last: 0 };
      const events = toStore(ctx, { reason }, decision.events);
      const verdict = await ctx.appender.append({ stream, expected: book.version, events });
      if (verdict.outcome === "conflict") {
        await readOn(ctx, book);
        continue;
      }
      const at = events[0]?.meta.at ?? "";
      for (const event of decision.events) write(book, event, { at, epoch: ctx.epoch });
      return { decision, last: Math.max(...verdict.seqs) };
    }
    throw new SluiceError("CONFLICT", `${list} was changed by others ${ATTEMPTS} times meanwhile`);
  });
  if (last > 0) await visible(ctx, last);
  return { decision };
}

/** Throws NOT_FOUND for a list that isn't there. */
export function mustBeThere({ list, created, retired }: Book): void {
  if (!created || retired) throw new SluiceError("NOT_FOUND", `there is no list ${list}`);
}
