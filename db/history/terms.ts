import { KEYS } from "../log/event-body.ts";
import type { StoredEvent } from "../log/stored-event.ts";

/**
 * What an event is found by: its keys, type, actor, correlation, and every word of its texts.
 *
 * A word is a run of letters and digits, as they are written (`dport`, `443`), and also a longer run with the signs in
 * it that names and addresses have (`203.0.113.7`, `web-edge`, `2001:db8`). Case doesn't count. What people don't search
 * for has no words: numbers such as milliseconds, times, a text's own digest, the parts of an address.
 */
export type TermKind = (typeof KEYS)[number] | "type" | "actor" | "correlation";

export function term(kind: TermKind, name: string): string {
  return `${kind}:${name}`;
}

export type Indexed = Pick<StoredEvent, "seq" | "type" | "keys" | "meta" | "data">;

/** `wordsOf` may remember the words of a text. */
export function termsOf({ type, keys, meta, data }: Indexed, wordsOf = wordsIn): Set<string> {
  const terms = new Set([term("type", type), term("correlation", meta.correlation)]);
  for (const key of KEYS) {
    const name = keys[key];
    if (name !== undefined) terms.add(term(key, name));
  }
  if (meta.actor !== null) terms.add(term("actor", meta.actor));
  for (const word of wordsOf(meta.actor ?? "")) terms.add(word);
  for (const word of wordsOf(meta.reason ?? "")) terms.add(word);
  addWordsOf(terms, data, wordsOf);
  return terms;
}

/** The words that must all stand in an event for a text to be found in it. */
export function wordsOfQuestion(text: string): string[] {
  return [...new Set((text.match(RUN) ?? []).map(trimmed).filter((run) => run !== ""))].map(wordTerm);
}

const RUN = /[\p{L}\p{N}._:-]+/gu;
const PART = /[\p{L}\p{N}]+/gu;
const SIGN = /[._:-]/;
const LONGEST = 100;

const WORDLESS = new Set(["digest", "previous", "tokenHash", "publicKey", "natsKey"]);
const TIME = /^\d{4}-\d\d-\d\dT[\d:.]+Z$/;
const ADDRESS = /^[0-9a-f]*[.:][0-9a-f.:]*$/i;

function addWordsOf(terms: Set<string>, value: unknown, wordsOf: typeof wordsIn): void {
  if (typeof value === "string") {
    if (!TIME.test(value)) for (const word of wordsOf(value)) terms.add(word);
  } else if (typeof value === "object" && value !== null) {
    for (const [name, one] of Object.entries(value)) if (!WORDLESS.has(name)) addWordsOf(terms, one, wordsOf);
  }
}

/** The words of a text, each as its term. */
export function wordsIn(text: string): readonly string[] {
  const words: string[] = [];
  for (const run of text.match(RUN) ?? []) {
    const whole = trimmed(run);
    if (whole === "") continue;
    words.push(wordTerm(whole));
    if (!SIGN.test(whole) || ADDRESS.test(whole)) continue;
    for (const part of whole.match(PART) ?? []) words.push(wordTerm(part));
  }
  return words;
}

/** Without the signs around it: a full stop, the dashes of an option. */
function trimmed(run: string): string {
  return SIGN.test(run[0] ?? "") || SIGN.test(run.at(-1) ?? "") ? run.replace(/^[._:-]+|[._:-]+$/g, "") : run;
}

function wordTerm(word: string): string {
  return `=${word.toLowerCase().slice(0, LONGEST)}`;
}
