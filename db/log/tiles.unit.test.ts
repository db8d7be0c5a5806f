import {
  consistencySpans,
  inclusionSpans,
  isConsistent,
  leafHash,
  rootFromInclusion,
  rootOf,
} from "@sluice/proto/base/merkle";
import { expect, test } from "vitest";
import { spanHashes, type TileAt, tilesWith } from "./tiles.ts";

/** More than 256 × 256, so that there is a third level. */
const MOST = 70_000;
const leaves = Array.from({ length: MOST }, (_, n) => leafHash(Buffer.from(String(n))));

async function treeOf(steps: readonly number[]) {
  const tiles = new Map<string, Buffer>();
  const read = async ({ level, tile }: TileAt) => tiles.get(`${level}/${tile}`);
  let size = 0;
  for (const count of steps) {
    const changed = await tilesWith(size, leaves.slice(size, size + count), read);
    for (const { level, tile, hashes } of changed) tiles.set(`${level}/${tile}`, hashes);
    size += count;
  }
  return { tiles, spanHash: spanHashes(read) };
}

test("every proof asked of tiles verifies, across tiles and levels", async () => {
  const { spanHash } = await treeOf([MOST]);
  for (const size of [1, 255, 256, 257, 65_535, 65_536, 65_537, MOST]) {
    const root = await spanHash({ from: 0, to: size });
    expect(root).toEqual(rootOf(leaves.slice(0, size)));
    for (const index of [0, 1, 255, 256, 40_000, 65_535, 65_536, size - 1].filter((n) => n < size)) {
      const proof = await Promise.all(inclusionSpans(index, { from: 0, to: size }).map(spanHash));
      expect(rootFromInclusion(leaves[index] ?? root, index, size, proof)).toEqual(root);
    }
    for (const from of [1, 100, 256, 300, 65_536].filter((n) => n <= size)) {
      const proof = await Promise.all(consistencySpans(from, size).map(spanHash));
      const smaller = { size: from, root: await spanHash({ from: 0, to: from }) };
      expect(isConsistent(smaller, { size, root }, proof)).toBe(true);
    }
  }
});

test("leaves that come in steps make the same tiles as all at once", async () => {
  const inSteps = await treeOf([1, 2, 252, 1, 1, 300, 600, 8_192, 1]);
  const atOnce = await treeOf([9_350]);
  expect(inSteps.tiles).toEqual(atOnce.tiles);
});

test("a tile that lacks hashes stops what would be made of it, by name", async () => {
  const { tiles } = await treeOf([300]);
  tiles.set("0/1", Buffer.alloc(32));
  const read = async ({ level, tile }: TileAt) => tiles.get(`${level}/${tile}`);
  await expect(tilesWith(300, leaves.slice(300, 301), read)).rejects.toThrow("tile 1 of level 0");
  await expect(spanHashes(read)({ from: 0, to: 300 })).rejects.toThrow("tile 1 of level 0");
});
