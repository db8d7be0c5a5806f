import type { RuleHitsView } from "@sluice/proto/api/hits";
import { expect, test } from "vitest";
import { foundLines, hitsLines } from "./hits.ts";

const terminal = {
  ...{ json: false, width: undefined, now: () => new Date("2026-03-01T14:02:00Z") },
  ...{ out: () => undefined, err: () => undefined, status: () => undefined },
  taken: async () => undefined,
  paint: (_: unknown, text: string) => text,
};

function rule(line: number, text: string, more: Partial<RuleHitsView> = {}): RuleHitsView {
  const counts = { packets: 0, bytes: 0, servers: 3, hitOn: 0, unused: false };
  const since = "2026-03-01T12:00:00.000Z";
  return { line, text, path: `p[${line}]`, mode: "enforce", does: "match", since, ...counts, ...more };
}

const TELNET = { mode: "observe", does: "drop", packets: 120, bytes: 7_200, hitOn: 2 } as const;
const RULES = [
  rule(7, "-p tcp --dport 22 -j ACCEPT", { does: "accept", packets: 9, bytes: 540, hitOn: 3 }),
  rule(8, "-p tcp --dport 23 -j DROP", TELNET),
  rule(9, "-p udp -j DROP", { mode: "observe", does: "drop", unused: true }),
  rule(10, "-j LOG", { servers: 0, since: undefined }),
];

test("every rule with what it matched, and the unused ones by their places", () => {
  expect(hitsLines(terminal, { policy: "door", revision: 4, rules: RULES, silent: [] })).toEqual([
    "LINE  RULE                         PACKETS  BYTES  WHAT                         ON   SINCE",
    "7     -p tcp --dport 22 -j ACCEPT  9        540    accepted                     3/3  2026-03-01 12:00:00",
    "8     -p tcp --dport 23 -j DROP    120      7200   would have dropped           2/3  2026-03-01 12:00:00",
    "9     -p udp -j DROP               0        0      unused (would have dropped)  0/3  2026-03-01 12:00:00",
    "10    -j LOG                       -        -      not counted yet              0/0  -",
    "unused: door@4:9",
  ]);
});

test("a plan says what observing found, rule by rule: how much, where, since when", () => {
  expect(foundLines(terminal, "door", { revision: 4, rules: RULES.slice(1, 3) })).toEqual([
    "observed so far, at revision 4:",
    "  door@4:8 -p tcp --dport 23 -j DROP: would have dropped 120 packets on 2 of 3 servers since 2026-03-01 12:00:00",
    "  door@4:9 -p udp -j DROP: would have dropped 0 packets on 0 of 3 servers since 2026-03-01 12:00:00",
  ]);
});
