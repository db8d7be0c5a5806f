import fc from "fast-check";
import { expect, test } from "vitest";
import { EMPTY_LIST_DIGEST, listDigest, sortedListDigest } from "./list-digest.ts";

test("any order of the same entries has the same digest", () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.ipV4()), (entries) => {
      expect(listDigest([...entries].reverse())).toBe(sortedListDigest([...entries].sort()));
    }),
  );
});

test("another entry makes another digest", () => {
  expect(listDigest(["192.0.2.1"])).not.toBe(listDigest(["192.0.2.2"]));
  expect(listDigest([])).toBe(EMPTY_LIST_DIGEST);
  expect(listDigest(["192.0.2.1"])).not.toBe(EMPTY_LIST_DIGEST);
});
