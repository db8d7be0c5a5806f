import { auditAt } from "@sluice/control/audit/at";
import { auditDiff } from "@sluice/control/audit/diff";
import { auditLog } from "@sluice/control/audit/log";
import { auditTimeline } from "@sluice/control/audit/timeline";
import { auditWhy } from "@sluice/control/audit/why";
import { blamePolicy } from "@sluice/control/policies/blame";
import { Documents } from "@sluice/control/policies/documents";
import type { Database } from "@sluice/db/connect";
import { readPage } from "@sluice/db/log/read";
import type { StoredEvent } from "@sluice/db/log/stored-event";
import { parsePolicy } from "@sluice/proto/policy/parse";
import { createDice } from "./dice.ts";
import type { FleetYear } from "./fill.ts";

/** A question that people ask, each time of something else in the year; once asked, it says how many rows came. */
export interface Question {
  name: string;
  prepare(): Promise<() => Promise<number>>;
}

const PAGE = 50;
const MOST_TRIES = 100;
const DAY_MS = 86_400_000;

/** First pages, of names and words that stand somewhere in the year. Everything is asked the verbs that the API asks. */
export function questionsOf(database: Database, year: FleetYear, seed = 7): Question[] {
  const dice = createDice(seed);
  const ctx = {
    database,
    documents: new Documents(parsePolicy),
    past: { waitFor: async () => {}, catchUp: async () => {} },
    clock: { now: () => new Date(year.to) },
  };

  /** Some event of the year that has this. */
  async function some<T>(what: (event: StoredEvent) => T | undefined): Promise<T> {
    for (let tries = 0; tries < MOST_TRIES; tries += 1) {
      const start = dice.number(Math.max(1, year.events - 200));
      for (const event of await readPage(database.db, start, 200)) {
        const found = what(event);
        if (found !== undefined) return found;
      }
    }
    throw new Error(`a year of ${year.events} events has none to ask about`);
  }
  const log = async (filter: Omit<Parameters<typeof auditLog>[1], "limit">) =>
    (await auditLog(ctx, { ...filter, limit: PAGE })).events.length;
  const server = () => some(({ keys, type }) => (type === "ServerConfirmed" ? keys.server : undefined));
  const policy = () => some(({ keys }) => keys.policy);
  const person = () =>
    some(({ meta }) => (/^(agent:|sluice$)/.test(meta.actor ?? "") ? undefined : (meta.actor ?? undefined)));
  const word = (nth: number) =>
    some(({ meta }) => (meta.reason?.startsWith("CHG-") ? meta.reason.split(/[- :]+/).at(nth) : undefined));
  const banned = () => some(({ type, data }) => (type === "ListChanged" ? entryOf(data) : undefined));
  const time = () => some(({ meta }) => meta.at);

  /** What is asked about is found first, and isn't part of the question. */
  function about<T>(name: string, find: () => Promise<T>, ask: (found: T) => Promise<number>): Question {
    return {
      name,
      async prepare() {
        const found = await find();
        return () => ask(found);
      },
    };
  }
  const both = async <A, B>(a: () => Promise<A>, b: () => Promise<B>): Promise<[A, B]> => [
    await a(),
    await b(),
  ];
  const of = async (filter: Parameters<typeof auditAt>[1]) => await auditAt(ctx, filter);
  const longAgo = laterBy(year.from, 30);
  const later = async () => laterBy(year.from, 90 + dice.number(200));
  /** one that was there, at some time from then on */
  const policyThen = async () => {
    const [its, since] = await some(({ keys, type, meta }) =>
      type === "PolicyRevised" && keys.policy ? ([keys.policy, meta.at] as const) : undefined,
    );
    const left = Date.parse(year.to) - Date.parse(since);
    return { policy: its, time: new Date(Date.parse(since) + dice.number(left + 1)).toISOString() };
  };

  return [
    about("by policy", policy, (its) => log({ policy: its })),
    about("by server", server, (its) => log({ server: its })),
    about("by actor", person, (actor) => log({ actor })),
    about(
      "by type",
      () => some(({ type }) => type),
      (type) => log({ types: [type] }),
    ),
    about("by time span", time, (since) => log({ since, until: laterBy(since, 1) })),
    about(
      "by correlation",
      () => some(({ meta }) => meta.correlation),
      (correlation) => log({ correlation }),
    ),
    about(
      "by a word that stands once (a ticket)",
      () => word(1),
      (text) => log({ text }),
    ),
    about(
      "by a word among many (a partner)",
      () => word(-2),
      (text) => log({ text }),
    ),
    about("by an address", banned, (text) => log({ text })),
    about("by server and type", server, (its) => log({ server: its, types: ["DriftDetected"] })),
    about(
      "by policy, actor and a word",
      () => both(policy, person),
      ([its, actor]) => log({ policy: its, actor, text: "roll" }),
    ),
    about(
      "timeline of a server",
      server,
      async (its) => (await auditTimeline(ctx, { server: its, limit: PAGE })).entries.length,
    ),
    about(
      "as of, one server",
      server,
      async (its) => (await of({ server: its, time: year.to })).servers.length,
    ),
    about(
      "as of long ago, one server",
      server,
      async (its) => (await of({ server: its, time: longAgo })).servers.length,
    ),
    about(
      "as of, one policy",
      policyThen,
      async (asked) => (await of({ ...asked, limit: PAGE })).servers.length,
    ),
    about(
      "as of, what a list held",
      later,
      async (at) => (await of({ list: "bans", time: at, limit: PAGE })).lists.length,
    ),
    about(
      "difference of two times, one server",
      server,
      async (its) => (await auditDiff(ctx, { server: its, from: longAgo, to: year.to })).lists.length,
    ),
    about("blame of a policy", policy, async (its) => (await blamePolicy(ctx, { policy: its })).lines.length),
    about("why a rule stands there", standing, async (asked) => (await auditWhy(ctx, asked)).line),
  ];

  /** A rule that stands on a server at the end of the year. */
  async function standing() {
    const name = await server();
    const [{ confirmed } = {}] = (await auditAt(ctx, { server: name, time: year.to })).servers;
    const [{ policy: its = "", revision } = {}] = confirmed?.assigned ?? [];
    const { lines } = await blamePolicy(ctx, { policy: its, revision });
    const rules = lines.filter(({ text }) => text.includes("- -p")).map(({ text }) => text.trim().slice(2));
    return { server: name, rule: dice.pick(rules), time: year.to };
  }
}

function laterBy(time: string, days: number): string {
  return new Date(Date.parse(time) + days * DAY_MS).toISOString();
}

function entryOf(data: unknown): string | undefined {
  return /"entry":"([^"]+)"/.exec(JSON.stringify(data))?.[1];
}
