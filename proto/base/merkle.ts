import { sha256 } from "./digest.ts";

/**
 * A Merkle tree as RFC 6962 (2.1) has it: leaves and nodes are hashed apart, so neither passes for the other; a tree whose
 * size is no power of two is split at the greatest one below it.
 *
 * 1. `rootFromInclusion`: with a leaf, its place and about log2(size) hashes anyone computes the root. Where that is the root
 *    that was signed, the leaf stands there.
 * 2. `isConsistent`: the greater tree begins with the smaller one: nothing in it was changed, moved or taken out.
 *
 * What makes a proof is a list of spans of leaves: who keeps the tree tells their hashes. Nothing here does I/O.
 */

/** The leaves from `from` up to, and without, `to`; counted from 0. */
export interface Span {
  from: number;
  to: number;
}

export function leafHash(data: Uint8Array): Buffer {
  return sha256(Buffer.concat([LEAF, data]));
}

export function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  return sha256(Buffer.concat([NODE, left, right]));
}

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/** The greatest power of two below a size of 2 or more. */
export function splitOf(size: number): number {
  let half = 1;
  while (half * 2 < size) half *= 2;
  return half;
}

/** A tree that only grows: the hashes of its greatest whole subtrees, from left to right. */
export interface Growing {
  size: number;
  peaks: Buffer[];
}

export function addLeaf(tree: Growing, leaf: Buffer): void {
  let hash = leaf;
  for (let rest = tree.size; rest % 2 === 1; rest = (rest - 1) / 2) {
    const left = tree.peaks.pop();
    if (left === undefined) throw new Error(`a tree of ${tree.size} leaves lacks a peak`);
    hash = nodeHash(left, hash);
  }
  tree.peaks.push(hash);
  tree.size += 1;
}

/** The root; of no leaves, the hash of nothing. */
export function rootNow({ peaks }: Growing): Buffer {
  return peaks.length === 0 ? sha256("") : peaks.reduceRight((right, left) => nodeHash(left, right));
}

export function rootOf(leaves: Iterable<Buffer>): Buffer {
  const tree: Growing = { size: 0, peaks: [] };
  for (const leaf of leaves) addLeaf(tree, leaf);
  return rootNow(tree);
}

/** Whose hashes prove that a leaf stands at `index` in a tree of this size; the leaf's neighbour first. */
export function inclusionSpans(index: number, { from, to }: Span): Span[] {
  if (to - from === 1) return [];
  const middle = from + splitOf(to - from);
  return index < middle
    ? [...inclusionSpans(index, { from, to: middle }), { from: middle, to }]
    : [...inclusionSpans(index, { from: middle, to }), { from, to: middle }];
}

/** The root that follows from the leaf and its proof; undefined where the proof is of another size. */
export function rootFromInclusion(
  leaf: Uint8Array,
  index: number,
  size: number,
  proof: readonly Uint8Array[],
): Uint8Array | undefined {
  if (index >= size) return undefined;
  if (size === 1) return proof.length === 0 ? leaf : undefined;
  const sibling = proof.at(-1);
  if (sibling === undefined) return undefined;
  const half = splitOf(size);
  const rest = proof.slice(0, -1);
  if (index < half) {
    const left = rootFromInclusion(leaf, index, half, rest);
    return left && nodeHash(left, sibling);
  }
  const right = rootFromInclusion(leaf, index - half, size - half, rest);
  return right && nodeHash(sibling, right);
}

/** Whose hashes prove that a tree of `to` leaves begins with the one of `from` leaves (1 or more). */
export function consistencySpans(from: number, to: number): Span[] {
  return spansBeyond(from, { from: 0, to }, true);
}

/** `isWhole`: the smaller tree's root is the hash of this span's beginning, and needs no telling. */
function spansBeyond(end: number, { from, to }: Span, isWhole: boolean): Span[] {
  if (end === to) return isWhole ? [] : [{ from, to }];
  const middle = from + splitOf(to - from);
  return end <= middle
    ? [...spansBeyond(end, { from, to: middle }, isWhole), { from: middle, to }]
    : [...spansBeyond(end, { from: middle, to }, false), { from, to: middle }];
}

export interface TreeHead {
  size: number;
  root: Uint8Array;
}

/** Whether the proof shows that the greater tree begins with the smaller one. */
export function isConsistent(smaller: TreeHead, greater: TreeHead, proof: readonly Uint8Array[]): boolean {
  if (smaller.size < 1 || smaller.size > greater.size) return false;
  const roots = rootsFrom(smaller, greater.size, proof, true);
  return (
    roots !== undefined &&
    Buffer.compare(roots.smaller, smaller.root) === 0 &&
    Buffer.compare(roots.greater, greater.root) === 0
  );
}

interface Roots {
  smaller: Uint8Array;
  greater: Uint8Array;
}

function rootsFrom(
  { size, root }: TreeHead,
  to: number,
  proof: readonly Uint8Array[],
  isWhole: boolean,
): Roots | undefined {
  const last = proof.at(-1);
  if (size === to) {
    const same = isWhole ? root : last;
    return same && proof.length === (isWhole ? 0 : 1) ? { smaller: same, greater: same } : undefined;
  }
  if (last === undefined) return undefined;
  const half = splitOf(to);
  const rest = proof.slice(0, -1);
  if (size <= half) {
    const inner = rootsFrom({ size, root }, half, rest, isWhole);
    return inner && { smaller: inner.smaller, greater: nodeHash(inner.greater, last) };
  }
  const inner = rootsFrom({ size: size - half, root }, to - half, rest, false);
  return inner && { smaller: nodeHash(last, inner.smaller), greater: nodeHash(last, inner.greater) };
}
