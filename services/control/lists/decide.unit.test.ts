import type { SluiceEvent } from "@sluice/proto/events/event";
import { applyDelta, emptyList } from "@sluice/proto/wire/list-state";
import fc from "fast-check";
import { expect, test } from "vitest";
import { headOf, newBook, putSnapshot, TAIL_MOST_DELTAS, wantsSnapshot, write } from "./book.ts";
import { decideChange, decideCreate, decideRetire, expiredEntries } from "./decide.ts";

const META = { at: "2026-01-01T00:00:00.000Z", epoch: 1 };

function created() {
  const book = newBook("bad");
  return written(book, decideCreate(book, { list: "bad", families: [4], description: "" }));
}

function written(book: ReturnType<typeof newBook>, events: readonly SluiceEvent[]) {
  for (const event of events) write(book, event, META);
  return book;
}

test("asking for what is there changes nothing", () => {
  const book = created();
  const add = [{ entry: "192.0.2.1" }];
  written(book, decideChange(book, { add, del: [] }).events);
  expect(decideChange(book, { add, del: ["192.0.2.9"] })).toEqual({
    ...{ events: [], added: 0, renewed: 0, removed: 0, rev: 1, entries: 1 },
  });
});

test("another time for what is there is a renewal", () => {
  const book = created();
  written(book, decideChange(book, { add: [{ entry: "192.0.2.1" }], del: [] }).events);
  const renewal = [{ entry: "192.0.2.1", until: "2026-01-01T01:00:00.000Z" }];
  expect(decideChange(book, { add: renewal, del: [] })).toMatchObject({ added: 0, renewed: 1 });
});

test("any sequence of changes, heard delta by delta, makes what the book holds", () => {
  const change = fc.record({
    add: fc.array(fc.record({ entry: fc.integer({ min: 0, max: 40 }).map((n) => `192.0.2.${n}`) })),
    del: fc.array(fc.integer({ min: 0, max: 40 }).map((n) => `192.0.2.${n}`)),
  });
  fc.assert(
    fc.property(fc.array(change), (changes) => {
      const book = created();
      for (const one of changes) written(book, decideChange(book, one).events);
      const heard = emptyList();
      for (const delta of book.tail) expect(applyDelta(heard, delta)).toBe("applied");
      expect(heard.digest).toBe(book.state.digest);
      expect([...heard.entries.keys()].sort()).toEqual([...book.state.entries.keys()].sort());
    }),
  );
});

test("a large change is cut into deltas that follow one another", () => {
  const book = created();
  const add = Array.from({ length: 9_000 }, (_, i) => ({ entry: `10.0.${i >> 8}.${i & 255}` }));
  const { events, added } = decideChange(book, { add, del: [] });
  expect(events).toHaveLength(3);
  expect(added).toBe(9_000);
  const heard = emptyList();
  written(book, events);
  for (const delta of book.tail) expect(applyDelta(heard, delta)).toBe("applied");
  expect(heard.entries.size).toBe(9_000);
});

test("a tail that got long asks for a snapshot, and is cut by it", () => {
  const book = created();
  for (let i = 0; i <= TAIL_MOST_DELTAS; i += 1) {
    expect(wantsSnapshot(book)).toBe(false);
    written(book, decideChange(book, { add: [{ entry: `192.0.2.${i}` }], del: [] }).events);
  }
  expect(wantsSnapshot(book)).toBe(true);
  const { rev, digest } = book.state;
  putSnapshot(book, { rev, digest, blob: { digest: "b", bytes: 1, chunks: 1 } });
  expect(wantsSnapshot(book)).toBe(false);
  expect(headOf(book, 1)).toMatchObject({ rev, tail: [], snapshot: { rev } });
});

test("a list goes empty before it is retired, and in use it doesn't go", () => {
  const book = created();
  written(book, decideChange(book, { add: [{ entry: "192.0.2.1" }], del: [] }).events);
  expect(() => decideRetire(book, ["web"])).toThrow("web");
  expect(decideRetire(book, [])).toMatchObject([
    { type: "ListChanged", data: { del: ["192.0.2.1"], digest: "0".repeat(64) } },
    { type: "ListRetired" },
  ]);
});

test("entries are expired from their time on", () => {
  const book = created();
  const until = "2026-01-01T01:00:00.000Z";
  written(
    book,
    decideChange(book, { add: [{ entry: "192.0.2.1", until }, { entry: "192.0.2.2" }], del: [] }).events,
  );
  expect(expiredEntries(book, "2026-01-01T00:59:59.999Z")).toEqual([]);
  expect(expiredEntries(book, until)).toEqual(["192.0.2.1"]);
});
