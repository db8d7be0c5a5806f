import { nodeHash, rootOf, type Span, splitOf } from "@sluice/proto/base/merkle";

/**
 * A Merkle tree in tiles of 256 hashes: on level 0 the leaves, on level l the subtrees of 256^l of them. What is between is
 * made from a tile when it is asked for. A tile is whole or the last of its level, and is only ever added to.
 */
export const HASH_BYTES = 32;
const TILE = 256;

export interface Tile {
  level: number;
  tile: number;
  hashes: Buffer;
}
export type TileAt = Omit<Tile, "hashes">;

/** The tiles that change when leaves come after the first `size`. */
export async function tilesWith(
  size: number,
  leaves: readonly Buffer[],
  lastTile: (at: TileAt) => Promise<Buffer | undefined>,
): Promise<Tile[]> {
  const changed: Tile[] = [];
  let first = size;
  let hashes = leaves;
  for (let level = 0; hashes.length > 0; level += 1) {
    const tile = Math.floor(first / TILE);
    const before = first % TILE === 0 ? Buffer.alloc(0) : await lastTile({ level, tile });
    if (before?.length !== (first % TILE) * HASH_BYTES) throw new Error(unfit(level, tile));
    const made = inTiles(Buffer.concat([before, ...hashes])).map((part, n) => ({
      ...{ level, tile: tile + n },
      hashes: part,
    }));
    changed.push(...made);
    hashes = made
      .filter((one) => one.hashes.length === TILE * HASH_BYTES)
      .map((one) => rootOfTile(one.hashes));
    first = tile;
  }
  return changed;
}

function unfit(level: number, tile: number): string {
  return `tile ${tile} of level ${level} doesn't fit the tree's size`;
}

/** The tile of level 0 with this leaf. */
export function tileOf(leaf: number): number {
  return Math.floor(leaf / TILE);
}

/** A leaf in its tile; empty where the tile doesn't have it. */
export function leafIn(tile: Buffer | undefined, leaf: number): Buffer {
  const offset = (leaf % TILE) * HASH_BYTES;
  return tile?.subarray(offset, offset + HASH_BYTES) ?? Buffer.alloc(0);
}

function inTiles(bytes: Buffer): Buffer[] {
  const bytesOfTile = TILE * HASH_BYTES;
  return Array.from({ length: Math.ceil(bytes.length / bytesOfTile) }, (_, n) =>
    bytes.subarray(n * bytesOfTile, (n + 1) * bytesOfTile),
  );
}

function rootOfTile(hashes: Buffer): Buffer {
  return rootOf(
    Array.from({ length: hashes.length / HASH_BYTES }, (_, n) =>
      hashes.subarray(n * HASH_BYTES, (n + 1) * HASH_BYTES),
    ),
  );
}

/** The hash over `count` of a tile's hashes from `first` on, both of a whole subtree; undefined where the tile ends before. */
type Nodes = (first: number, count: number) => Buffer | undefined;

/** What was made once is kept: proofs of neighbours are made of the same nodes. */
function nodesOf(tile: Buffer = Buffer.alloc(0)): Nodes {
  const made = new Map<number, Buffer>();
  return function node(first, count) {
    if ((first + count) * HASH_BYTES > tile.length) return undefined;
    if (count === 1) return tile.subarray(first * HASH_BYTES, (first + 1) * HASH_BYTES);
    const place = (TILE + first) / count; // as in a heap: 1 is the whole tile's
    const known = made.get(place);
    if (known !== undefined) return known;
    const left = node(first, count / 2);
    const right = node(first + count / 2, count / 2);
    if (left === undefined || right === undefined) return undefined;
    const hash = nodeHash(left, right);
    made.set(place, hash);
    return hash;
  };
}

export type SpanHash = (span: Span) => Promise<Buffer>;

/** Tells the hash of any span of leaves that proofs ask for. Keeps tiles that it read: make one for each task. */
export function spanHashes(readTile: (at: TileAt) => Promise<Buffer | undefined>, keptTiles = 256): SpanHash {
  const kept = new Map<string, Promise<Nodes>>();

  function tileAt(at: TileAt): Promise<Nodes> {
    const key = `${at.level}/${at.tile}`;
    const known = kept.get(key);
    if (known !== undefined) return known;
    if (kept.size >= keptTiles) kept.clear();
    const read = readTile(at).then(nodesOf);
    kept.set(key, read);
    return read;
  }

  async function whole(from: number, leaves: number): Promise<Buffer> {
    let level = 0;
    let each = 1;
    for (; each * TILE <= leaves; each *= TILE) level += 1;
    const index = from / each;
    const tile = Math.floor(index / TILE);
    const hash = (await tileAt({ level, tile }))(index % TILE, leaves / each);
    if (hash === undefined) throw new Error(unfit(level, tile));
    return hash;
  }

  return async function spanHash({ from, to }: Span): Promise<Buffer> {
    const leaves = to - from;
    if (leaves === 0) return rootOf([]);
    if (leaves === 1) return await whole(from, 1);
    const half = splitOf(leaves);
    if (half * 2 === leaves && from % leaves === 0) return await whole(from, leaves);
    const [left, right] = await Promise.all([
      spanHash({ from, to: from + half }),
      spanHash({ from: from + half, to }),
    ]);
    return nodeHash(left, right);
  };
}
