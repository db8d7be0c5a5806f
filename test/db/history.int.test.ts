import type { Database } from "@sluice/db/connect";
import { EVENTS_PER_BLOCK, fillBlocks, readFilled } from "@sluice/db/history/blocks";
import { lastUntil } from "@sluice/db/history/last-until";
import { type HistoryQuestion, queryHistory } from "@sluice/db/history/query";
import { eraseActor } from "@sluice/db/log/erase";
import { type PostgresServer, startPostgres } from "@sluice/infra/fixtures/postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { appendAll, freshLog, type LogFixture, newEvent } from "./log-fixture.ts";

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

async function seqsOf(database: Pick<Database, "db">, question: HistoryQuestion): Promise<number[]> {
  return (await queryHistory(database, question)).rows.map(({ seq }) => seq);
}

/** Newest first, to the last page. */
async function allPages(database: Pick<Database, "db">, question: HistoryQuestion): Promise<number[][]> {
  const pages: number[][] = [];
  for (let before: number | undefined; ; ) {
    const page = await queryHistory(database, { ...question, before });
    pages.push(page.rows.map(({ seq }) => seq));
    before = page.next;
    if (before === undefined) return pages;
  }
}

const day = (n: number) => `2026-03-0${n}T00:00:00.000Z`;

/** Five events that each question below knows. */
async function appendFive({ appender }: LogFixture, stream = ""): Promise<void> {
  await appendAll(appender, `policy-web${stream}`, [
    newEvent({ at: day(1), keys: { policy: "web" }, type: "PolicyRevised", data: { text: "100%_sure" } }),
    newEvent({ at: day(2), keys: { policy: "web", rollout: "r1" }, actor: "bob", type: "PolicyRetired" }),
  ]);
  await appendAll(appender, `server-one${stream}`, [
    newEvent({ at: day(3), keys: { server: "one", rollout: "r1" }, reason: "Because of LUNCH, ÄPFEL" }),
    newEvent({ at: day(4), keys: { server: "one", policy: "web" }, data: { text: "1000 sure" } }),
  ]);
  await appendAll(appender, `list-bans${stream}`, [
    newEvent({
      at: day(5),
      keys: { list: "bans" },
      actor: "carol",
      data: { add: [{ entry: "203.0.113.7/32" }] },
    }),
  ]);
}

const QUESTIONS: readonly [HistoryQuestion, readonly number[]][] = [
  [{}, [5, 4, 3, 2, 1]],
  [{ types: ["PolicyRevised", "PolicyRetired"] }, [2, 1]],
  [{ types: [] }, []],
  [{ policy: "web" }, [4, 2, 1]],
  [{ policy: "web", server: "one" }, [4]],
  [{ rollout: "r1" }, [3, 2]],
  [{ list: "bans" }, [5]],
  [{ correlation: "c-2" }, []],
  [{ actor: "bob" }, [2]],
  [{ from: day(2), to: day(4) }, [4, 3, 2]],
  [{ server: "one", to: day(3), limit: 1 }, [3]],
  [{ text: "lunch" }, [3]],
  [{ text: "lunch because" }, [3]],
  [{ text: "Äpfel" }, [3]],
  [{ text: "unch" }, []],
  [{ text: '"of lunch"' }, [3]],
  [{ text: '"lunch of"' }, []],
  [{ text: "CAROL" }, [5]],
  [{ text: "100%_sure" }, [1]],
  [{ text: "203.0.113.7" }, [5]],
  [{ after: 2, before: 5 }, [4, 3]],
];

describe("the history", () => {
  test("is found by every field, newest first, and paged without gap or repetition", async () => {
    await using log = await freshLog(server.url);
    await appendFive(log);
    for (const [question, seqs] of QUESTIONS)
      expect.soft(await seqsOf(log.database, question), JSON.stringify(question)).toEqual(seqs);
    expect(await allPages(log.database, { limit: 2 })).toEqual([[5, 4], [3, 2], [1]]);
  });

  test("answers the same from its index, of which appends know nothing", async () => {
    await using log = await freshLog(server.url);
    await appendFive(log);
    const others = Array.from({ length: 2 * EVENTS_PER_BLOCK }, () =>
      newEvent({ at: day(6), actor: "dora", reason: "noise", keys: { server: "two" } }),
    );
    for (let start = 0; start < others.length; start += 500)
      await appendAll(log.appender, "server-two", others.slice(start, start + 500), start);
    await fillBlocks(log.database);
    expect(await readFilled(log.database)).toBe(2 * EVENTS_PER_BLOCK);
    for (const [question, seqs] of QUESTIONS) {
      const asked = { ...question, to: question.to ?? day(5) };
      expect.soft(await seqsOf(log.database, asked), JSON.stringify(question)).toEqual(seqs);
    }
    const noise = (await allPages(log.database, { actor: "dora", text: "noise", limit: 1_000 })).flat();
    expect(noise).toEqual(Array.from({ length: others.length }, (_, index) => others.length + 5 - index));
  });

  test("tells which event was the last at a time, in blocks and after them, of clocks that don't agree", async () => {
    await using log = await freshLog(server.url);
    const { db } = log.database;
    const minute = (n: number) => new Date(Date.UTC(2026, 2, 1) + n * 60_000).toISOString();
    const times = Array.from({ length: 2 * EVENTS_PER_BLOCK + 9 }, (_, n) =>
      minute(n % 3 === 0 ? n : n + 40),
    );
    for (let start = 0; start < times.length; start += 500)
      await appendAll(
        log.appender,
        "fleet",
        times.slice(start, start + 500).map((at) => newEvent({ at })),
        start,
      );
    const asked = [-1, 0, 39, 900, 1023, 1024, 1062, 1063, 1064, 2047, 2056, 2095, 9_999].map(minute);
    const expected = asked.map((time) => times.findLastIndex((at) => at <= time) + 1);
    const told = async () => await Promise.all(asked.map((time) => lastUntil(db, time)));
    expect(await told()).toEqual(expected);
    await fillBlocks(log.database);
    expect(await told()).toEqual(expected);
  });

  test("finds nobody by what was erased, in blocks that are filled and in those that are not", async () => {
    await using log = await freshLog(server.url);
    const events = Array.from({ length: EVENTS_PER_BLOCK + 1 }, (_, n) =>
      newEvent(n % 2 === 0 ? { actor: "erika", reason: "for my aunt" } : { actor: "bob" }),
    );
    await appendAll(log.appender, "fleet", events);
    await fillBlocks(log.database);
    expect(await seqsOf(log.database, { actor: "erika", limit: 2 })).toEqual([1025, 1023]);
    await eraseActor(log.database, "erika");
    expect(await seqsOf(log.database, { actor: "erika" })).toEqual([]);
    expect(await seqsOf(log.database, { text: "aunt" })).toEqual([]);
    const left = await log.database.sql`select from history_terms where term in ('=erika', '=aunt')`;
    expect(left).toHaveLength(0);
    expect(await seqsOf(log.database, { actor: "bob", limit: 2 })).toEqual([1024, 1022]);
  });

  test.each([{ from: "last tuesday" }, { text: "--- %" }, { text: "a\0b" }])(
    "a time that is none and a text without a word are refused: %o",
    async (question) => {
      await using log = await freshLog(server.url);
      await expect(queryHistory(log.database, question)).rejects.toMatchObject({ code: "INVALID" });
    },
  );
});
