import { expect, test } from "vitest";
import { countersIn, withCounters } from "./carry.ts";
import type { RuleCounter } from "./counters.ts";

const counted = (...rules: [rule: string, packets: number][]): RuleCounter[] =>
  rules.map(([rule, packets]) => ({ rule, packets, bytes: packets * 100 }));
const text = (...lines: string[]) => ["*filter", ...lines, "COMMIT", ""].join("\n");

test("rules keep their counters in other chains, in order, whatever chains and sets are called there", () => {
  const counters = new Map([
    [
      "INPUT",
      counted(
        ...([
          ["-i lo -j ACCEPT", 3],
          ["-p tcp -j f2b-sshd", 9],
          ["-p tcp -j web", 7],
          ['-m comment --comment "the way: in" -j ACCEPT', 5],
          ["-i lo -j ACCEPT", 1],
          ["-m set --match-set office src -j ACCEPT", 2],
        ] as [string, number][]),
      ),
    ],
    ["web", counted(["-j DROP", 4])],
  ]);
  const written = text(
    ":SL-p-INPUT - [0:0]",
    ":SL-p-INPUT-end - [0:0]",
    "-A SL-p-INPUT -i lo -j ACCEPT",
    "-A SL-p-INPUT -p udp -j DROP",
    "-A SL-p-INPUT-end -p tcp -j SL-p-web",
    "-A SL-p-INPUT-end -m comment --comment 'the way: in' -j ACCEPT",
    "-A SL-p-INPUT-end -i lo -j ACCEPT",
    "-A SL-p-INPUT-end -m set --match-set sl-p-office-hn4 src -j ACCEPT",
    "-A SL-p-web -j DROP",
    "-I INPUT 1 -j SL-INPUT",
  );
  const chains = [
    { to: ["SL-p-INPUT", "SL-p-INPUT-end"], from: ["INPUT"] },
    { to: ["SL-p-web"], from: ["web"] },
  ];
  const carried = withCounters(written, counters, chains);
  expect(carried.split("\n").slice(3, -2)).toEqual([
    "-A SL-p-INPUT -c 3 300 -i lo -j ACCEPT",
    "-A SL-p-INPUT -p udp -j DROP",
    "-A SL-p-INPUT-end -c 7 700 -p tcp -j SL-p-web",
    "-A SL-p-INPUT-end -c 5 500 -m comment --comment 'the way: in' -j ACCEPT",
    "-A SL-p-INPUT-end -c 1 100 -i lo -j ACCEPT",
    "-A SL-p-INPUT-end -c 2 200 -m set --match-set sl-p-office-hn4 src -j ACCEPT",
    "-A SL-p-web -c 4 400 -j DROP",
    "-I INPUT 1 -j SL-INPUT",
  ]);
  expect(carried.replace(/-c \d+ \d+ /g, "")).toBe(written);
  expect(countersIn(carried, "SL-p-INPUT")).toEqual([3, 300, 0, 0]);
});

test("rules that come back at their numbers have them, too", () => {
  const counters = new Map([["SL-p-INPUT", counted(["-i lo -j ACCEPT", 3], ["-j DROP", 8])]]);
  const back = text("-I INPUT 1 -i lo -j ACCEPT", "-A INPUT -j DROP");
  expect(withCounters(back, counters, [{ to: ["INPUT"], from: ["SL-p-INPUT"] }])).toBe(
    text("-I INPUT 1 -c 3 300 -i lo -j ACCEPT", "-A INPUT -c 8 800 -j DROP"),
  );
});
