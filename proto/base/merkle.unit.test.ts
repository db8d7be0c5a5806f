import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  consistencySpans,
  inclusionSpans,
  isConsistent,
  leafHash,
  nodeHash,
  rootFromInclusion,
  rootOf,
  type Span,
} from "./merkle.ts";

const leaves = Array.from({ length: 300 }, (_, n) => leafHash(createHash("sha256").update(`${n}`).digest()));
const hashOf = ({ from, to }: Span) => rootOf(leaves.slice(from, to));
const rootAt = (size: number) => hashOf({ from: 0, to: size });
const proofOf = (index: number, size: number) => inclusionSpans(index, { from: 0, to: size }).map(hashOf);
const leafAt = (index: number) => leaves[index] ?? Buffer.alloc(0);

/** A leaf and the tree it stands in. */
const place = fc
  .integer({ min: 1, max: leaves.length })
  .chain((size) => fc.record({ size: fc.constant(size), index: fc.nat({ max: size - 1 }) }));
const sizes = fc
  .tuple(fc.integer({ min: 1, max: leaves.length }), fc.integer({ min: 1, max: leaves.length }))
  .map(([a, b]) => ({ from: Math.min(a, b), to: Math.max(a, b) }));

function flipped(hash: Uint8Array, bit: number): Buffer {
  const other = Buffer.from(hash);
  other.writeUInt8(other.readUInt8((bit >> 3) % other.length) ^ (1 << (bit & 7)), (bit >> 3) % other.length);
  return other;
}

/** The proof with one of its hashes changed. */
function spoilt(proof: readonly Uint8Array[], which: number): Uint8Array[] {
  return proof.map((hash, n) => (n === which % proof.length ? flipped(hash, which) : hash));
}

describe("a Merkle tree", () => {
  test("has the roots of RFC 6962: of the published vectors, and by hand", () => {
    // the vectors of certificate-transparency-go, which are those of the RFC's authors
    const inputs = ["", "00", "10", "2021", "3031", "40414243"].map((hex) =>
      leafHash(Buffer.from(hex, "hex")),
    );
    const hex = (size: number) => rootOf(inputs.slice(0, size)).toString("hex");
    expect(hex(0)).toBe("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    expect(hex(1)).toBe("6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
    expect(hex(2)).toBe("fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125");
    expect(hex(3)).toBe("aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77");
    const [a, b, c] = [leafAt(0), leafAt(1), leafAt(2)];
    expect(rootAt(3)).toEqual(nodeHash(nodeHash(a, b), c));
  });

  test("any leaf's proof leads to the root, with at most log2 of the size hashes", () => {
    fc.assert(
      fc.property(place, ({ size, index }) => {
        const proof = proofOf(index, size);
        expect(proof.length).toBeLessThanOrEqual(Math.ceil(Math.log2(size)));
        expect(rootFromInclusion(leafAt(index), index, size, proof)).toEqual(rootAt(size));
      }),
    );
  });

  test("a changed leaf, place, size or proof doesn't lead to the root", () => {
    fc.assert(
      fc.property(place, fc.nat(), ({ size, index }, n) => {
        const root = rootAt(size);
        const proof = proofOf(index, size);
        const others = [
          rootFromInclusion(flipped(leafAt(index), n), index, size, proof),
          rootFromInclusion(leafAt(index), index, size, [...proof, root]),
          ...(size > 1
            ? [
                rootFromInclusion(leafAt(index), (index + 1 + (n % (size - 1))) % size, size, proof),
                rootFromInclusion(leafAt(index), index, size, spoilt(proof, n)),
                rootFromInclusion(leafAt(index), index, size, proof.slice(1)),
              ]
            : []),
        ];
        for (const other of others) expect(other).not.toEqual(root);
      }),
    );
  });

  test("of any two sizes, the greater is proven to begin with the smaller", () => {
    fc.assert(
      fc.property(sizes, ({ from, to }) => {
        const proof = consistencySpans(from, to).map(hashOf);
        const [smaller, greater] = [from, to].map((size) => ({ size, root: rootAt(size) }));
        expect(smaller && greater && isConsistent(smaller, greater, proof)).toBe(true);
      }),
    );
  });

  test("no proof shows a tree to begin with another one: of a changed root, size or proof", () => {
    fc.assert(
      fc.property(sizes, fc.nat(), ({ from, to }, n) => {
        const proof = consistencySpans(from, to).map(hashOf);
        const smaller = { size: from, root: rootAt(from) };
        const greater = { size: to, root: rootAt(to) };
        expect(isConsistent({ ...smaller, root: flipped(smaller.root, n) }, greater, proof)).toBe(false);
        expect(isConsistent(smaller, { ...greater, root: flipped(greater.root, n) }, proof)).toBe(false);
        expect(isConsistent(smaller, greater, [...proof, greater.root])).toBe(false);
        if (from === to) return;
        expect(isConsistent(greater, smaller, proof)).toBe(false);
        expect(isConsistent(smaller, greater, spoilt(proof, n))).toBe(false);
        expect(isConsistent(smaller, greater, proof.slice(1))).toBe(false);
      }),
    );
  });

  test("a node doesn't pass for a leaf", () => {
    const [a, b] = [leafAt(0), leafAt(1)];
    expect(leafHash(Buffer.concat([a, b]))).not.toEqual(nodeHash(a, b));
  });
});
