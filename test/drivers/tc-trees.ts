import type { TcTree } from "@sluice/proto/manifest/manifest";
import fc from "fast-check";
import { htbClass } from "./tc-lab.ts";

/**
 * Random trees over few names, so that one tree often differs from the next by a parent, a kind or a default: the edits
 * that tc answers with 0 and doesn't do. Every tree is one that the kernel takes.
 */
const MINORS = ["10", "20", "30", "40", "50"];
const RATES = ["100kbit", "250kbit", "1mbit"];

const leaf = fc.constantFrom<{ kind: string; args: string[] } | undefined>(
  { kind: "pfifo", args: ["limit", "50"] },
  { kind: "pfifo", args: ["limit", "90"] },
  { kind: "bfifo", args: ["limit", "30000"] },
  { kind: "tbf", args: ["rate", "200kbit", "burst", "5000", "limit", "20000"] },
  { kind: "htb", args: ["default", "1", "direct_qlen", "30"] },
  undefined,
);

const place = fc.record({
  minor: fc.constantFrom(...MINORS),
  /** which of the classes before it is its parent; -1 the root */
  under: fc.integer({ min: -1, max: 3 }),
  rate: fc.constantFrom(...RATES),
  prio: fc.integer({ min: 0, max: 7 }),
  leaf,
  leafHandle: fc.constantFrom("same", "other"),
  ports: fc.uniqueArray(fc.integer({ min: 80, max: 83 }), { maxLength: 2 }),
});

export const htbTree: fc.Arbitrary<TcTree> = fc
  .record({
    places: fc.uniqueArray(place, { selector: (one) => one.minor, minLength: 1, maxLength: 5 }),
    fallback: fc.constantFrom(...MINORS),
    r2q: fc.constantFrom("10", "20"),
  })
  .map(({ places, fallback, r2q }) => {
    const parents = places.map((one, index) => {
      const parent = places[one.under < index ? one.under : -1];
      return parent === undefined ? "1:" : `1:${parent.minor}`;
    });
    const isLeaf = (minor: string) => !parents.includes(`1:${minor}`);
    return {
      qdiscs: [
        { parent: "root", handle: "1:", kind: "htb", args: ["default", fallback, "r2q", r2q] },
        ...places.flatMap((one) =>
          one.leaf !== undefined && isLeaf(one.minor)
            ? [
                {
                  parent: `1:${one.minor}`,
                  handle: one.leafHandle === "same" ? `${one.minor}:` : `a${one.minor}:`,
                  ...one.leaf,
                },
              ]
            : [],
        ),
      ],
      classes: places.flatMap((one, index) => [
        htbClass(parents[index] ?? "1:", `1:${one.minor}`, one.rate, ["prio", String(one.prio)]),
        ...(one.leaf?.kind === "htb" && isLeaf(one.minor)
          ? [innerClass(one.leafHandle === "same" ? one.minor : `a${one.minor}`)]
          : []),
      ]),
      filters: places.flatMap((one, index) =>
        one.ports.map((port, number) => ({
          parent: "1:",
          protocol: "ip",
          prio: index + 1,
          handle: `800::${number + 1}`,
          kind: "u32",
          args: ["match", "ip", "sport", String(port), "0xffff", "flowid", `1:${one.minor}`],
        })),
      ),
    };
  });

/** The one class of an HTB that is another class's leaf. */
function innerClass(major: string): TcTree["classes"][number] {
  return htbClass(`${major}:`, `${major}:1`, "50kbit");
}
