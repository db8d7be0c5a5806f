import { describe, expect, test } from "vitest";
import { given } from "../context/entity.ts";
import { decideAddReader, decideRemoveReader, readerEntity } from "./decide.ts";

const command = { reader: "billing", consumer: "billing-2", from: 1, head: 9 } as const;
const added = {
  type: "FeedReaderAdded",
  data: { reader: "billing", consumer: "billing-1", from: 1 },
} as const;
const removed = {
  type: "FeedReaderRemoved",
  data: { reader: "billing", consumer: "billing-1" },
} as const;

describe("adding a reader", () => {
  test("begins where it is told, at the first event there is, or with what is new", () => {
    const fromOf = (from: number | "new") => {
      const [event] = decideAddReader(readerEntity.initial, { ...command, from });
      return event?.type === "FeedReaderAdded" ? event.data.from : undefined;
    };
    expect([1, 4, 10, "new" as const].map(fromOf)).toEqual([1, 4, 10, 10]);
  });

  test.each([
    ["one that is there", [added], {}, "there is a reader billing already"],
    ["a place that isn't there yet", [], { from: 11 }, "the log ends at event 9"],
    ["a type that isn't there", [], { only: "PolicyPainted" }, "there is no event type PolicyPainted"],
  ])("is refused for %s", (_, before, change, message) => {
    expect(() => decideAddReader(given(readerEntity, before), { ...command, ...change })).toThrow(message);
  });

  test("is possible again after it was removed, by another consumer", () => {
    expect(decideAddReader(given(readerEntity, [added, removed]), command)).toEqual([
      { type: "FeedReaderAdded", data: { reader: "billing", consumer: "billing-2", from: 1 } },
    ]);
  });
});

test("removing a reader names the consumer that is to go", () => {
  expect(decideRemoveReader(given(readerEntity, [added]), "billing")).toEqual([removed]);
  expect(() => decideRemoveReader(given(readerEntity, [added, removed]), "billing")).toThrow(
    "there is no reader billing",
  );
});
