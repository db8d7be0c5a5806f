import { describe, expect, test } from "vitest";
import { blameLines } from "./blame-lines.ts";

/** A policy with these chains, each with its rules. */
function policy(chains: Readonly<Record<string, readonly string[]>>): string {
  return [
    "policy: door",
    "firewall:",
    "  filter:",
    ...Object.entries(chains).flatMap(([name, rules]) => [
      `    ${name}:`,
      ...rules.map((rule) => `      - ${rule}`),
    ]),
    "",
  ].join("\n");
}

function sinceOf(...texts: string[]): Record<string, number> {
  const lines = blameLines(texts.map((text, index) => ({ revision: index + 1, text })));
  return Object.fromEntries(lines.map(({ says, since }) => [says, since]));
}

const SSH = "-p tcp --dport 22 -j ACCEPT";
const WEB = "-p tcp --dport 443 -j ACCEPT";
const PING = "-p icmp -j ACCEPT";

describe("the revision a line came with", () => {
  test("is the first that had it, and that of a changed line the one that changed it", () => {
    const since = sinceOf(
      policy({ INPUT: [SSH] }),
      policy({ INPUT: [SSH, WEB] }),
      policy({ INPUT: [SSH, WEB] }),
    );
    expect(since).toMatchObject({ "policy: door": 1, [SSH]: 1, [WEB]: 2 });
    expect(sinceOf("policy: door\norder: 1", "policy: door\norder: 2")).toMatchObject({ "order: 2": 2 });
  });

  test("stays when the rule goes to another place of its chain, or is quoted and spaced otherwise", () => {
    const since = sinceOf(
      policy({ INPUT: [SSH, WEB, PING] }),
      policy({ INPUT: [PING, `"${WEB}"`, SSH.replace(" ", "  ")] }),
    );
    expect(since).toMatchObject({ [SSH]: 1, [WEB]: 1, [PING]: 1 });
  });

  test("stays in a chain that got a new name, and in the rules that jump to it; the name itself is new", () => {
    const before = policy({ INPUT: ["-p tcp --dport 22 -j ssh", PING], ssh: [SSH, WEB] });
    const after = policy({ INPUT: ["-p tcp --dport 22 -j guard", PING], guard: [WEB, SSH] });
    expect(sinceOf(before, after)).toMatchObject({
      ...{ "-p tcp --dport 22 -j guard": 1, [PING]: 1, [SSH]: 1, [WEB]: 1 },
      "guard:": 2,
    });
  });

  test("is new under another chain, and where a rule comes back after a break", () => {
    const inputs = policy({ INPUT: [SSH], FORWARD: [PING] });
    expect(sinceOf(inputs, policy({ INPUT: [], FORWARD: [PING, SSH] }))).toMatchObject({
      [SSH]: 2,
      [PING]: 1,
    });
    expect(
      sinceOf(policy({ INPUT: [SSH] }), policy({ INPUT: [PING] }), policy({ INPUT: [SSH] })),
    ).toMatchObject({ [SSH]: 3 });
  });

  test("counts equal lines one by one", () => {
    const lines = blameLines([
      { revision: 1, text: policy({ INPUT: [SSH] }) },
      { revision: 2, text: policy({ INPUT: [SSH, SSH] }) },
    ]);
    expect(lines.filter(({ says }) => says === SSH).map(({ since }) => since)).toEqual([1, 2]);
  });
});
