import type { Manifest, ManifestRule } from "@sluice/proto/manifest/manifest";
import { EMPTY_MANIFEST } from "@sluice/proto/manifest/manifest";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Counters, parseCounters } from "../drivers/iptables/counters.ts";
import type { IptablesSnapshot } from "../drivers/iptables/snapshot.ts";
import { createTally, type SavedTally, savedTally, type Tally } from "./tally.ts";

const KEY = "ip4/filter/SL-door-INPUT";
const AT = "2026-03-01T14:02:00.000Z";

function rule(args: string, index: number, more: Partial<ManifestRule> = {}): ManifestRule {
  return { args, origin: { policy: "door", revision: 1, line: index + 5, path: `rule[${index}]` }, ...more };
}

function manifestOf(rules: ManifestRule[]): Manifest {
  return { ...EMPTY_MANIFEST, chains: [{ family: 4, table: "filter", name: "SL-door-INPUT", rules }] };
}

function wantOf(rules: readonly string[]): IptablesSnapshot {
  const table = {
    ...({ family: 4, table: "filter" } as const),
    chains: new Map([["SL-door-INPUT", rules]]),
    hooks: new Map(),
    foreignChains: new Set<string>(),
    foreignUses: [],
  };
  return { tables: new Map([["ip4/filter", table]]) };
}

function countersOf(rules: readonly string[], packets: readonly number[]): Counters {
  return new Map([
    [KEY, rules.map((rule, i) => ({ rule, packets: packets[i] ?? 0, bytes: 100 * (packets[i] ?? 0) }))],
  ]);
}

function start(more: { saved?: SavedTally; boot?: string; isLost?: boolean } = {}): Tally {
  let n = 0;
  return createTally({ boot: "b1", saved: undefined, isLost: false, newCounter: () => `c${++n}`, ...more });
}

const RULES = ["-p tcp -j DROP", "-p udp -j ACCEPT"];
const MANIFEST = manifestOf(RULES.map((args, index) => rule(args, index)));

function see(tally: Tally, ...packets: number[]): void {
  tally.read(MANIFEST, wantOf(RULES), countersOf(RULES, packets), AT);
}

function sums(tally: Tally): number[] {
  return tally.revisions().flatMap(({ counts }) => [...counts.values()].map(({ packets }) => packets));
}

test("what iptables-save -c prints, foreign chains aside", () => {
  const text = `*filter
:INPUT ACCEPT [7:420]
:SL-door-INPUT - [0:0]
[3:180] -A INPUT -j SL-door-INPUT
[1:60] -A SL-door-INPUT -p tcp -j DROP
[0:0] -A SL-door-INPUT
COMMIT
`;
  expect([...parseCounters(4, text)]).toEqual([
    [
      KEY,
      [
        { rule: "-p tcp -j DROP", packets: 1, bytes: 60 },
        { rule: "", packets: 0, bytes: 0 },
      ],
    ],
  ]);
});

describe("sums", () => {
  test("go on from what was read before, by packets and bytes", () => {
    const tally = start();
    see(tally, 3, 0);
    see(tally, 5, 1);
    expect([...(tally.revisions()[0]?.counts.values() ?? [])]).toEqual([
      { path: "rule[0]", observed: false, packets: 5, bytes: 500 },
      { path: "rule[1]", observed: false, packets: 1, bytes: 100 },
    ]);
  });

  test("go on when a chain was written anew, whether its counters are lower now or not", () => {
    const tally = start();
    see(tally, 3, 3);
    see(tally, 1, 3);
    expect(sums(tally)).toEqual([4, 3]);
    tally.began(KEY);
    see(tally, 2, 9);
    expect(sums(tally)).toEqual([6, 12]);
  });

  test("leave out what rules had counted before they were taken over", () => {
    const tally = start();
    tally.began(KEY, [7, 700, 2, 200]);
    see(tally, 9, 2);
    expect(sums(tally)).toEqual([2, 0]);
  });

  test("outlive the agent, and the boot", () => {
    const before = start();
    see(before, 3, 4);
    const saved = savedTally.parse(JSON.parse(JSON.stringify(before.saved())));
    const after = start({ saved });
    see(after, 5, 4);
    expect(sums(after)).toEqual([5, 4]);
    const booted = start({ saved, boot: "b2" });
    see(booted, 5, 4);
    expect(sums(booted)).toEqual([8, 8]);
  });

  test("that are lost don't begin with what somebody else has counted", () => {
    const tally = start({ isLost: true });
    see(tally, 1_000, 2_000);
    see(tally, 1_001, 2_000);
    expect(sums(tally)).toEqual([1, 0]);
  });

  test("of a new revision begin at what its unchanged chains have counted by then", () => {
    const tally = start();
    see(tally, 3, 4);
    const next = manifestOf(
      RULES.map((args, index) => ({
        ...rule(args, index),
        origin: { policy: "door", revision: 2, path: `rule[${index}]` },
      })),
    );
    tally.read(next, wantOf(RULES), countersOf(RULES, [5, 4]), AT);
    expect(sums(tally)).toEqual([3, 4, 2, 0]);
  });

  test("of a revision that is held again are others, so that none ever falls", () => {
    const tally = start();
    see(tally, 3, 4);
    const [first] = tally.revisions();
    if (first === undefined) throw new Error("nothing was counted");
    tally.drop(first);
    see(tally, 4, 4);
    expect(tally.revisions()[0]?.counter).not.toBe(first.counter);
    expect(sums(tally)).toEqual([1, 0]);
  });

  test("of a chain that holds something else wait until it is as it is to be", () => {
    const tally = start();
    see(tally, 3, 4);
    const tampered = [...RULES].reverse();
    tally.read(MANIFEST, wantOf(RULES), countersOf(tampered, [100, 100]), AT);
    expect(sums(tally)).toEqual([3, 4]);
  });
});

test("rules that iptables makes of several addresses, and copies of a rule, are one rule's", () => {
  const manifest = manifestOf([
    rule("-s 192.0.2.1,192.0.2.2 -d 198.51.100.0/24,203.0.113.0/24 -j DROP", 0),
    rule("-p tcp -m multiport --dports 1,2 -g X", 1, { counts: "observed" }),
    rule("-m limit --limit 1/s -j LOG", 1, { counts: "nothing" }),
    rule("-p udp -g X", 1, { counts: "observed" }),
  ]);
  const rules = ["a", "b", "c", "d", "e", "f", "g"];
  const tally = start();
  tally.read(manifest, wantOf(rules), countersOf(rules, [1, 2, 3, 4, 5, 6, 7]), AT);
  expect([...(tally.revisions()[0]?.counts.values() ?? [])]).toEqual([
    { path: "rule[0]", observed: false, packets: 10, bytes: 1_000 },
    { path: "rule[1]", observed: true, packets: 12, bytes: 1_200 },
  ]);
});

test("law: whatever counters do, sums never fall, and without a rewrite unseen they are all that came", () => {
  const step = fc.oneof(
    fc.record({ packets: fc.nat(50) }),
    fc.constantFrom("write" as const, "restart" as const, "read" as const),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      let tally = start();
      let kernel = 0;
      let unread = 0;
      let all = 0;
      let before = 0;
      for (const one of steps) {
        if (typeof one === "object") {
          kernel += one.packets;
          unread += one.packets;
          continue;
        }
        if (one === "write") {
          // the agent reads before it writes
          see(tally, kernel, 0);
          all += unread;
          unread = 0;
          kernel = 0;
          tally.began(KEY);
        } else if (one === "restart") tally = start({ saved: tally.saved() });
        see(tally, kernel, 0);
        all += unread;
        unread = 0;
        const now = sums(tally)[0] ?? 0;
        expect(now).toBeGreaterThanOrEqual(before);
        expect(now).toBe(all);
        before = now;
      }
    }),
  );
});
