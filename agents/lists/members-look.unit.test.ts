import fc from "fast-check";
import { expect, test } from "vitest";
import { testMembers } from "./test-members.ts";

const HEADER = "Name: sl-l-bans-4\nType: hash:net\nNumber of entries: 1\nMembers:\n";

const v4 = fc.nat(3_000).map((n) => (n % 5 === 0 ? `10.1.${n >> 6}.0/24` : `10.0.${n >> 8}.${n & 255}`));
const v6 = fc.nat(60).map((n) => (n % 5 === 0 ? `2001:db8:${n + 1}::/48` : `2001:db8::${n + 1}`));

/** Listed `isEnding` comes with a lifetime in the list; `stands` says how the kernel prints it, if it does. */
function memberOf(entry: fc.Arbitrary<string>) {
  return fc.record({
    entry,
    isListed: fc.boolean(),
    isEnding: fc.boolean(),
    stands: fc.constantFrom("not", "ending", "lasting", "lasting"),
  });
}

test.each([
  [4, v4, 800],
  [6, v6, 0],
] as const)(
  "whatever the kernel prints of IPv%i, cut anywhere, what is missing and what is a stray is found",
  (family, entry, minLength) => {
    const members = fc.uniqueArray(memberOf(entry), {
      selector: (one) => one.entry,
      minLength,
      maxLength: 1_000,
      size: "max",
    });
    fc.assert(
      fc.property(members, fc.integer({ min: 1, max: 40_000 }), (all, cut) => {
        const listed = all.filter(({ isListed }) => isListed);
        const { live } = testMembers(
          listed.map(({ entry, isEnding }) => (isEnding ? `${entry} for 600` : entry)),
          family,
        );
        const printed = all
          .filter(({ stands }) => stands !== "not")
          .map(({ entry, stands }) => `${entry} timeout ${stands === "lasting" ? 0 : 599}\n`);
        const text = Buffer.from(HEADER + printed.join(""));
        void live.look.begin();
        for (let at = 0; at < text.length; at += cut) live.look.heard(text.subarray(at, at + cut));
        const { missing, strays } = live.look.found();
        expect(missing).toBe(
          listed.filter(({ isEnding, stands }) => stands !== (isEnding ? "ending" : "lasting")).length,
        );
        expect(strays).toBe(all.filter(({ isListed, stands }) => !isListed && stands !== "not").length);
      }),
      { numRuns: 15 },
    );
  },
);
