import { expect, test } from "vitest";
import type { Target } from "../drivers/driver.ts";
import { testMembers } from "../lists/test-members.ts";
import { createListLooks } from "./list-looks.ts";

const SET = {
  name: "sl-l-bans-4",
  type: "hash:net",
  family: 4,
  options: [],
  entries: [],
  use: "list",
} as const;
const TARGET: Target = {
  sets: [SET],
  chains: [],
  hooks: [],
  devices: [],
  external: { chains: [], sets: [] },
};

function given(options: { standing?: number; isKnown?: boolean; written?: () => Promise<void> } = {}) {
  let nowMs = 1_000_000;
  const { live, entries } = testMembers(many);
  const looks = createListLooks({
    members: () => live,
    isKnown: () => options.isKnown ?? true,
    written: options.written ?? (async () => undefined),
    counts: async () => new Map([[SET.name, options.standing ?? entries.size]]),
    nowMs: () => nowMs,
  });
  return {
    entries,
    looks,
    async readsAfter(ms: number, isAsked = false) {
      nowMs += ms;
      return (await looks.fresh(TARGET, isAsked)).sets[0]?.isReadWhole === true;
    },
  };
}

const many = Array.from({ length: 10_000 }, (_, n) => `10.0.${n >> 8}.${n & 255}`);

test("a list is read whole at first, then as often as its size allows, and whenever somebody asks", async () => {
  const { readsAfter } = given();
  expect(await readsAfter(0)).toBe(true);
  expect(await readsAfter(29_000)).toBe(false);
  expect(await readsAfter(0, true)).toBe(true);
  expect(await readsAfter(29_000)).toBe(false);
  expect(await readsAfter(1_000)).toBe(true);
});

test("one whose number of members is wrong is read ten times as soon", async () => {
  const { readsAfter } = given({ standing: 9_999 });
  expect(await readsAfter(0)).toBe(true);
  expect(await readsAfter(2_900)).toBe(false);
  expect(await readsAfter(100)).toBe(true);
});

test("one of which only the disk has told isn't compared, asked or not", async () => {
  const { readsAfter } = given({ isKnown: false });
  expect(await readsAfter(0, true)).toBe(false);
});

test("a list compared by its number is held to no more than it held all the while, an earlier delta waited for", async () => {
  const list = given({
    written: async () => {
      list.entries.delete("10.0.0.1");
      list.entries.set("192.0.2.1");
    },
  });
  const { looks, entries } = list;
  const [set] = (await looks.fresh(TARGET, false)).sets;
  expect(set?.live?.counts()).toEqual({ all: 10_000, lasting: 10_000, fewest: 9_999 });
  entries.delete("192.0.2.1");
  entries.delete("10.0.0.2");
  entries.set("192.0.2.2");
  expect(set?.live?.counts().fewest).toBe(9_998);
});
