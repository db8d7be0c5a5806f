import { formatProblem } from "@sluice/proto/base/errors";
import { parsePolicy } from "@sluice/proto/policy/parse";
import { expect, test } from "vitest";
import { compile } from "./compile.ts";
import { factsWith, inputWith } from "./test-input.ts";

/** Each `‸` stands before something that only a server shows to be wrong. */
const POLICY = `policy: edge
targets: { servers: ["*"] }
vars: { gap: { value: x, servers: {} } }
sets:
  office: { type: hash:ip, entries: [10.0.0.0/16, 10.1.0.0/16, 10.2.0.0/16, 10.3.0.0/16, ‸10.4.0.0/16] }
  ‸odd: { type: hash:mac, entries: [] }
firewall:
  default: { ‸OUTPUT: { verdict: drop, log: "dropped " } }
blocks: [known, ‸unknown, { list: known-too, direction: in }]
guards: { ssh: { port: 22, limits: [{ hits: 2, within: 20s }, ‸{ hits: 300, within: 1h }], ban: { for: 1h } } }
shaping:
  eth0: { classes: { web: { rate: 1mbit, match: -p tcp }, ‸rest: { rate: 1mbit, leaf: cake, default: true } } }
  ‸eth9: { classes: { all: { rate: 1mbit, default: true } } }
`;

test("what a server shows to be wrong is told with its line and column, wherever it stands", () => {
  const lines = POLICY.split("\n").entries();
  const marks = [...lines].flatMap(([index, text]) =>
    [...text.matchAll(/‸/g)].map(({ index: at }, before) => `${index + 1}:${at + 1 - before}`),
  );
  const parsed = parsePolicy(POLICY.replaceAll("‸", ""));
  if (!parsed.ok) throw new Error(parsed.problems.map(formatProblem).join("\n"));
  const facts = factsWith({ targets: ["MARK"], setTypes: ["hash:ip", "hash:net"], recentMaxHits: 255 });
  const result = compile(
    inputWith([parsed.document], {
      facts,
      lists: { known: { families: [4] }, "known-too": { families: [4] } },
    }),
  );
  const places = result.ok ? [] : result.problems.map(({ place }) => `${place?.line}:${place?.column}`);
  expect([...new Set(places)].sort()).toEqual(marks.sort());
});
