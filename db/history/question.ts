import { SluiceError } from "@sluice/proto/base/errors";
import { and, eq, gte, ilike, inArray, lte, or, type SQL, sql } from "drizzle-orm";
import type { EventKeys } from "../log/event-body.ts";
import { events, personal } from "../schema/events.ts";
import type { Condition } from "./candidates.ts";
import { term, wordsOfQuestion } from "./terms.ts";

/** What of the history is asked for; every field given must hold. */
export interface HistoryFilter extends EventKeys {
  types?: readonly string[] | undefined;
  correlation?: string | undefined;
  actor?: string | undefined;
  /** ISO times, both included. */
  from?: string | undefined;
  to?: string | undefined;
  /** Words that all stand in the event's texts, its actor or its reason; what is in "quotes" stands there as it is. */
  text?: string | undefined;
}

const NAMES = ["policy", "server", "list", "rollout", "correlation", "actor"] as const;

/** What the index can say of it: whoever doesn't fit this isn't meant. */
export function termsAsked(filter: HistoryFilter): Condition[] {
  const { types, text } = filter;
  return [
    ...NAMES.flatMap((name) => {
      const value = filter[name];
      return value === undefined ? [] : [[term(name, value)]];
    }),
    ...(types === undefined ? [] : [types.map((type) => term("type", type))]),
    ...(text === undefined ? [] : wordsAsked(text).map((word) => [word])),
  ];
}

function wordsAsked(text: string): string[] {
  const words = text.includes("\0") ? [] : wordsOfQuestion(text);
  if (words.length > 0) return words;
  throw new SluiceError("INVALID", "there is no word in the text that is searched for", {
    cure: 'write words, names or addresses; in "quotes" what stands there as it is',
  });
}

/**
 * Events without these letters don't have the words: told by Postgres, so that few are read to be looked through. Only of
 * words in ASCII, since not every database lowers the case of others.
 */
export function mayHaveWords(text: string): SQL | undefined {
  const words = wordsAsked(text).map((word) => word.slice(1));
  const columns = [events.body, personal.actor, personal.reason];
  return and(
    ...words
      .filter((word) => /^[!-~]+$/.test(word))
      .map((word) => or(...columns.map((column) => sql`strpos(lower(${column}), ${word}) > 0`))),
  );
}

/** What only the events themselves can say: their exact time, and what stands there as it is quoted. */
export function exactly({ from, to, text }: HistoryFilter): SQL | undefined {
  return and(
    from === undefined ? undefined : gte(events.at, timeOf(from)),
    to === undefined ? undefined : lte(events.at, timeOf(to)),
    ...quotes(text).map(standsSomewhere),
  );
}

/** Both, for events that are in no block yet; words aside. */
export function byColumns(filter: HistoryFilter): SQL | undefined {
  const { types, policy, server, list, rollout, correlation, actor } = filter;
  return and(
    exactly(filter),
    types === undefined ? undefined : inArray(events.type, [...types]),
    policy === undefined ? undefined : eq(events.policy, policy),
    server === undefined ? undefined : eq(events.server, server),
    list === undefined ? undefined : eq(events.list, list),
    rollout === undefined ? undefined : eq(events.rollout, rollout),
    correlation === undefined ? undefined : eq(events.correlation, correlation),
    actor === undefined ? undefined : eq(personal.actor, actor),
  );
}

function quotes(text = ""): string[] {
  return [...text.matchAll(/"([^"]+)"/g)].map(([, quoted = ""]) => quoted);
}

/** In the event's body its texts are written as JSON. */
function standsSomewhere(quoted: string): SQL | undefined {
  const pattern = (text: string) => `%${text.replace(/[\\%_]/g, "\\$&")}%`;
  const plain = pattern(quoted);
  return or(
    ilike(events.body, pattern(JSON.stringify(quoted).slice(1, -1))),
    ilike(personal.actor, plain),
    ilike(personal.reason, plain),
  );
}

function timeOf(text: string): Date {
  const date = new Date(text);
  if (Number.isNaN(date.getTime())) {
    throw new SluiceError("INVALID", `${text} is no ISO time`, { cure: "write it as 2026-01-31T14:02:00Z" });
  }
  return date;
}
