import { SluiceError } from "@sluice/proto/base/errors";
import type { Family } from "@sluice/proto/base/names";
import type { EventData, SluiceEvent } from "@sluice/proto/events/event";
import type { ListEntry } from "@sluice/proto/wire/list";
import { digestAfter, effectiveChange } from "@sluice/proto/wire/list-state";
import type { Book } from "./book.ts";

/** One delta must fit into one message of NATS, whatever its addresses are. */
const MOST_PER_DELTA = 4_000;

export function decideCreate(
  { created, retired }: Book,
  command: { list: string; families: readonly Family[]; description: string },
): SluiceEvent[] {
  const { list, description } = command;
  if (created && !retired) throw new SluiceError("REFUSED", `there is a list ${list} already`);
  const families = [...new Set(command.families)].sort();
  return [{ type: "ListCreated", data: { list, families, description } }];
}

export interface ChangeDecision {
  events: SluiceEvent[];
  added: number;
  renewed: number;
  removed: number;
  /** of the list with this change, and none that came after it */
  rev: number;
  entries: number;
}

/** What really changes, in deltas that each fit into a message. */
export function decideChange(
  book: Book,
  { add, del }: { add: readonly ListEntry[]; del: readonly string[] },
): ChangeDecision {
  const change = effectiveChange(book.state, add, del);
  const renewed = change.add.filter(({ entry }) => book.state.entries.has(entry)).length;
  const events: SluiceEvent[] = [];
  let { rev, digest: previous } = book.state;
  for (const part of parts(change)) {
    rev += 1;
    const digest = digestAfter({ ...book.state, digest: previous }, part.add, part.del);
    const data: EventData<"ListChanged"> = { list: book.list, rev, previous, digest, ...part };
    events.push({ type: "ListChanged", data });
    previous = digest;
  }
  const [added, removed] = [change.add.length - renewed, change.del.length];
  return { events, added, renewed, removed, rev, entries: book.state.entries.size + added - removed };
}

/** Takes everything out, then retires: agents empty their sets, and the name may be used again. */
export function decideRetire(book: Book, users: readonly string[]): SluiceEvent[] {
  if (book.retired) return [];
  if (users.length > 0) {
    throw new SluiceError("REFUSED", `${book.list} is used by ${users.join(", ")}`, {
      cure: "roll out revisions without it first",
    });
  }
  const { events } = decideChange(book, { add: [], del: [...book.state.entries.keys()] });
  return [...events, { type: "ListRetired", data: { list: book.list } }];
}

/** Entries past their time, whoever holds them has dropped them already. */
export function expiredEntries({ state }: Book, now: string): string[] {
  return [...state.entries].flatMap(([entry, until]) => (until !== undefined && until <= now ? [entry] : []));
}

/** Each entry is in one part only, so the order of parts doesn't matter to the digest. */
function* parts({ add, del }: { add: readonly ListEntry[]; del: readonly string[] }) {
  for (let from = 0; from < del.length; from += MOST_PER_DELTA) {
    yield { add: [], del: del.slice(from, from + MOST_PER_DELTA) };
  }
  for (let from = 0; from < add.length; from += MOST_PER_DELTA) {
    yield { add: add.slice(from, from + MOST_PER_DELTA), del: [] };
  }
}
