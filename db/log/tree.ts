import { leafHash } from "@sluice/proto/base/merkle";
import { and, asc, eq, gt, inArray, sql } from "drizzle-orm";
import type { Database, Queryable, Tx } from "../connect.ts";
import { lockCheckpoint, moveCheckpoint, readCheckpoint } from "../projections/checkpoint.ts";
import { events } from "../schema/events.ts";
import { tileTable } from "../schema/proof.ts";
import { type SpanHash, spanHashes, type Tile, type TileAt, tilesWith } from "./tiles.ts";

/**
 * The Merkle tree over the log: leaf n is the hash of event n+1 (proto/base/merkle.ts).
 *
 * 1. It is kept beside the log, by whoever calls `growTree`: an append doesn't wait for it.
 * 2. Any number of processes may grow it: the checkpoint `tree` is locked, leaves and checkpoint move together.
 * 3. It costs 32 bytes an event, and a proof reads a tile of 8 KiB for every 8 levels: 3 at ten million events.
 */
export const TREE = "tree";
const PAGE = 8_192;

/** Takes in what the log has beyond the tree; returns the tree's size. */
export async function growTree(database: Database): Promise<number> {
  for (;;) {
    const { size, added } = await database.db.transaction(addPage);
    if (added < PAGE) return size;
  }
}

async function addPage(tx: Tx): Promise<{ size: number; added: number }> {
  const size = await lockCheckpoint(tx, TREE);
  const leaves = await readLeaves(tx, size, PAGE);
  if (leaves.length === 0) return { size, added: 0 };
  await writeTiles(tx, await tilesWith(size, leaves, (at) => readTile(tx, at)));
  await moveCheckpoint(tx, TREE, size + leaves.length);
  return { size: size + leaves.length, added: leaves.length };
}

export async function treeSize(db: Queryable): Promise<number> {
  return await readCheckpoint(db, TREE);
}

async function readLeaves(db: Queryable, after: number, limit: number): Promise<Buffer[]> {
  const rows = await db
    .select({ seq: events.seq, hash: events.hash })
    .from(events)
    .where(gt(events.seq, after))
    .orderBy(asc(events.seq))
    .limit(limit);
  const gap = rows.findIndex(({ seq }, index) => seq !== after + index + 1);
  return rows.slice(0, gap === -1 ? undefined : gap).map(({ hash }) => leafHash(hash));
}

async function writeTiles(tx: Tx, tiles: Tile[]): Promise<void> {
  await tx
    .insert(tileTable)
    .values(tiles)
    .onConflictDoUpdate({
      target: [tileTable.level, tileTable.tile],
      set: { hashes: sql`excluded.hashes` },
    });
}

export async function readTile(db: Queryable, { level, tile }: TileAt): Promise<Buffer | undefined> {
  const [row] = await db
    .select({ hashes: tileTable.hashes })
    .from(tileTable)
    .where(and(eq(tileTable.level, level), eq(tileTable.tile, tile)));
  return row?.hashes;
}

/** The leaves' tiles of these numbers. */
export async function readTiles(db: Queryable, numbers: readonly number[]): Promise<Map<number, Buffer>> {
  const { level, tile, hashes } = tileTable;
  const rows = await db
    .select({ tile, hashes })
    .from(tileTable)
    .where(and(eq(level, 0), inArray(tile, [...numbers])));
  return new Map(rows.map((row) => [row.tile, row.hashes]));
}

/** The hash of any span of the stored tree's leaves. */
export function treeReader(db: Queryable): SpanHash {
  return spanHashes((at) => readTile(db, at));
}
