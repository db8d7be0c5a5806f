import type { Finding } from "@sluice/proto/api/proof";
import { addLeaf, type Growing, rootNow } from "@sluice/proto/base/merkle";
import type { Queryable } from "../connect.ts";
import { HASH_BYTES, leafIn, tileOf } from "./tiles.ts";
import { readTile, readTiles, treeReader } from "./tree.ts";

/** Makes the tree anew from the log as it is walked through, and holds the stored one against it. */
export interface TreeCheck {
  /** Reads what is stored of these events, which are the next ones. */
  readLeaves(events: readonly { seq: number }[]): Promise<void>;
  /** The next event's leaf; it is held against the stored one. */
  add(seq: number, leaf: Buffer): void;
  /** An archived event's, by its leaf in the stored tree; undefined where that doesn't have it. */
  addStored(seq: number): Promise<Buffer | undefined>;
  /** Events are missing: what follows has no place in the tree that is made here. */
  lose(): void;
  /** of the tree over the events so far; undefined once some were missing */
  rootHere(): string | undefined;
  /** the stored tree's root; undefined where it can't be read */
  root(): Promise<string | undefined>;
  /** what is wrong with the stored tree */
  finding(): Promise<Finding | undefined>;
}

/** `size`: of the stored tree, from before the walk. */
export function createTreeCheck(db: Queryable, size: number): TreeCheck {
  const made: Growing = { size: 0, peaks: [] };
  let isLost = false;
  let madeRoot = size === 0 ? rootNow(made).toString("hex") : undefined;
  let unlike: number | undefined;
  let missing: number | undefined;

  async function storedRoot(): Promise<string | undefined> {
    return await treeReader(db)({ from: 0, to: size }).then(
      (root) => root.toString("hex"),
      () => undefined,
    );
  }

  let stored: ReadonlyMap<number, Buffer> = new Map();
  let archivedTile: { number: number; hashes: Buffer | undefined } = { number: -1, hashes: undefined };

  function addOne(leaf: Buffer): void {
    if (isLost) return;
    addLeaf(made, leaf);
    if (made.size === size) madeRoot = rootNow(made).toString("hex");
  }

  return {
    async readLeaves(events) {
      const numbers = new Set(events.filter(({ seq }) => seq <= size).map(({ seq }) => tileOf(seq - 1)));
      stored = await readTiles(db, [...numbers]);
    },
    add(seq, leaf) {
      if (unlike === undefined && seq <= size && !leaf.equals(leafIn(stored.get(tileOf(seq - 1)), seq - 1)))
        unlike = seq;
      addOne(leaf);
    },
    async addStored(seq) {
      const number = tileOf(seq - 1);
      if (archivedTile.number !== number)
        archivedTile = { number, hashes: await readTile(db, { level: 0, tile: number }) };
      const leaf = leafIn(archivedTile.hashes, seq - 1);
      if (leaf.length === HASH_BYTES) {
        addOne(leaf);
        return leaf;
      }
      isLost = true;
      missing ??= seq;
      return undefined;
    },
    lose() {
      isLost = true;
    },
    rootHere: () => (isLost ? undefined : rootNow(made).toString("hex")),

    root: storedRoot,

    async finding() {
      if (missing !== undefined) {
        const message = `the Merkle tree doesn't have event ${missing}, which is archived: nothing else proves it here`;
        return { tampering: "tree", seq: missing, message };
      }
      if (unlike !== undefined) {
        const message = `the Merkle tree holds another hash of event ${unlike} than the log`;
        return { tampering: "tree", seq: unlike, message };
      }
      if (madeRoot === undefined || (await storedRoot()) === madeRoot) return undefined;
      return {
        tampering: "tree",
        seq: size,
        message: "the Merkle tree's inner hashes aren't those of its leaves",
      };
    },
  };
}
