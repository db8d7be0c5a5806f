import { expect, test } from "vitest";
import type { Target } from "../drivers/driver.ts";
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

function given(
  entries: string[],
  options: { standing?: number; isKnown?: boolean; written?: () => Promise<void> } = {},
) {
  let nowMs = 1_000_000;
  const held = { entries };
  const looks = createListLooks({
    entries: () => held.entries,
    isKnown: () => options.isKnown ?? true,
    written: options.written ?? (async () => undefined),
    counts: async () => new Map([[SET.name, options.standing ?? entries.length]]),
    nowMs: () => nowMs,
  });
  return {
    held,
    looks,
    async readsAfter(ms: number, isAsked = false) {
      nowMs += ms;
      return (await looks.fresh(TARGET, isAsked)).sets[0]?.members !== undefined;
    },
  };
}

const many = Array.from({ length: 10_000 }, (_, n) => `10.0.${n >> 8}.${n & 255} timeout 0`);

test("a list is read whole at first, then as often as its size allows, and whenever somebody asks", async () => {
  const { readsAfter } = given(many);
  expect(await readsAfter(0)).toBe(true);
  expect(await readsAfter(29_000)).toBe(false);
  expect(await readsAfter(0, true)).toBe(true);
  expect(await readsAfter(29_000)).toBe(false);
  expect(await readsAfter(1_000)).toBe(true);
});

test("one whose number of members is wrong is read ten times as soon", async () => {
  const { readsAfter } = given(many, { standing: 9_999 });
  expect(await readsAfter(0)).toBe(true);
  expect(await readsAfter(2_900)).toBe(false);
  expect(await readsAfter(100)).toBe(true);
});

test("one of which only the disk has told isn't compared, asked or not", async () => {
  const { readsAfter } = given(many, { isKnown: false });
  expect(await readsAfter(0, true)).toBe(false);
});

test("what came, went or is about to run out while the kernel was read is unsettled; a swap gets what is there now", async () => {
  const { looks, held } = given(["192.0.2.1 timeout 0", "192.0.2.2 timeout 0", "192.0.2.3 timeout 9"]);
  const target = await looks.fresh(TARGET, true);
  held.entries = ["192.0.2.2 timeout 0", "192.0.2.3 timeout 2", "192.0.2.4 timeout 0"];
  const [set] = looks.settle(target).sets;
  expect(set?.entries).toEqual(held.entries);
  expect([...(set?.members?.unsettled ?? [])].sort()).toEqual(["192.0.2.1", "192.0.2.3", "192.0.2.4"]);
  held.entries = ["192.0.2.2 timeout 0"];
  const again = looks.settle(looks.settle(target)).sets[0];
  expect([...(again?.members?.unsettled ?? [])].sort()).toEqual(["192.0.2.1", "192.0.2.3"]);
});

test("a delta that comes while an earlier one is waited for is unsettled", async () => {
  const list = given(["192.0.2.1 timeout 0", "192.0.2.2 timeout 0"], {
    written: async () => {
      list.held.entries = ["192.0.2.2 timeout 0", "192.0.2.3 timeout 0"];
    },
  });
  const [set] = list.looks.settle(await list.looks.fresh(TARGET, true)).sets;
  expect([...(set?.members?.unsettled ?? [])].sort()).toEqual(["192.0.2.1", "192.0.2.3"]);
});

test("a list compared by its number is held to no more than it held all the while", async () => {
  const { looks, held, readsAfter } = given(many);
  await readsAfter(0);
  const target = await looks.fresh(TARGET, false);
  held.entries = [...many.slice(1), "192.0.2.1 timeout 0"];
  const [set] = looks.settle(target).sets;
  expect(set?.members).toBeUndefined();
  expect(set?.entries).toEqual(many.slice(1));
});
