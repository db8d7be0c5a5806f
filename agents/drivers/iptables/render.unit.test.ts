import { describe, expect, test } from "vitest";
import type { Target } from "../driver.ts";
import { diffIptables } from "./diff.ts";
import { parseSave } from "./parse.ts";
import { renderIptables } from "./render.ts";
import { type IptablesSnapshot, tableKey } from "./snapshot.ts";

const ORIGIN = { policy: "web", revision: 3, line: 7 };

const TARGET: Target = {
  sets: [],
  chains: [
    { family: 4, table: "filter", name: "SL-INPUT", rules: [{ args: "-p tcp --dport 22 -j SL-web-ssh" }] },
    {
      family: 4,
      table: "filter",
      name: "SL-web-ssh",
      rules: [{ args: "-s 192.0.2.1 -j ACCEPT", origin: ORIGIN }, { args: "-j DROP" }],
    },
    { family: 4, table: "filter", name: "SL-INPUT-end", rules: [{ args: "-j DROP" }] },
  ],
  hooks: [
    { family: 4, table: "filter", hook: "INPUT", chain: "SL-INPUT", at: "head" },
    { family: 4, table: "filter", hook: "INPUT", chain: "SL-INPUT-end", at: "tail" },
  ],
  devices: [],
  external: { chains: [{ family: 4, table: "filter", name: "DOCKER-USER" }], sets: [] },
};

const WHOLE = `*filter
:INPUT ACCEPT [0:0]
:SL-INPUT - [0:0]
:SL-INPUT-end - [0:0]
:SL-web-ssh - [0:0]
-A INPUT -j SL-INPUT
-A INPUT -j SL-INPUT-end
-A SL-INPUT -p tcp -m tcp --dport 22 -j SL-web-ssh
-A SL-INPUT-end -j DROP
-A SL-web-ssh -s 192.0.2.1/32 -j ACCEPT
-A SL-web-ssh -j DROP
COMMIT
`;

function saved(text: string): IptablesSnapshot {
  return { tables: new Map(parseSave(4, text).map((table) => [tableKey(4, table.table), table])) };
}

const NOTHING = saved("");
const WANT = saved(WHOLE);

describe("the script", () => {
  test("from nothing declares all chains, then their rules, then the jumps", () => {
    const { build, remove } = renderIptables(TARGET, undefined, NOTHING);
    expect(build).toHaveLength(1);
    expect(build[0]).toMatchObject({ tool: "iptables-restore", what: "ip4/filter: 3 chains, 2 jumps" });
    expect(build[0]?.text).toBe(`*filter
:SL-INPUT - [0:0]
:SL-web-ssh - [0:0]
:SL-INPUT-end - [0:0]
-A SL-INPUT -p tcp --dport 22 -j SL-web-ssh
-A SL-web-ssh -s 192.0.2.1 -j ACCEPT
-A SL-web-ssh -j DROP
-A SL-INPUT-end -j DROP
-I INPUT 1 -j SL-INPUT
-A INPUT -j SL-INPUT-end
COMMIT
`);
    expect(build[0]?.originOf?.(5)).toEqual(ORIGIN);
    expect(remove).toEqual([]);
  });

  test("isn't there when nothing differs", () => {
    expect(renderIptables(TARGET, WANT, WANT)).toEqual({ build: [], remove: [] });
  });

  test("names only the chain that differs, and writes it whole", () => {
    const have = saved(WHOLE.replace("-A SL-web-ssh -j DROP\n", ""));
    expect(renderIptables(TARGET, WANT, have).build.map((script) => script.text)).toEqual([
      "*filter\n:SL-web-ssh - [0:0]\n-A SL-web-ssh -s 192.0.2.1 -j ACCEPT\n-A SL-web-ssh -j DROP\nCOMMIT\n",
    ]);
  });

  test("puts a doubled jump back to one, and leaves a displaced one where it is", () => {
    const doubled = saved(
      WHOLE.replace("-A INPUT -j SL-INPUT\n", "-A INPUT -j SL-INPUT\n-A INPUT -j SL-INPUT\n"),
    );
    expect(renderIptables(TARGET, WANT, doubled).build[0]?.text).toBe(
      "*filter\n-D INPUT -j SL-INPUT\n-D INPUT -j SL-INPUT\n-I INPUT 1 -j SL-INPUT\nCOMMIT\n",
    );
    const displaced = saved(
      WHOLE.replace("-A INPUT -j SL-INPUT\n", "-A INPUT -i lo -j ACCEPT\n-A INPUT -j SL-INPUT\n"),
    );
    expect(renderIptables(TARGET, WANT, displaced)).toEqual({ build: [], remove: [] });
    expect(diffIptables(TARGET, WANT, displaced)).toEqual([
      {
        driver: "iptables",
        object: "ip4/filter/INPUT",
        kind: "changed",
        want: ["-j SL-INPUT (first)"],
        have: ["-j SL-INPUT (2 of 3)"],
      },
    ]);
  });

  test("takes away what isn't wanted: jumps, then all chains emptied, then deleted", () => {
    const nothing: Target = { ...TARGET, chains: [], hooks: [] };
    expect(renderIptables(nothing, NOTHING, WANT)).toEqual({
      build: [],
      remove: [
        expect.objectContaining({
          what: "ip4/filter: remove 3 chains, 2 jumps",
          text: `*filter
-D INPUT -j SL-INPUT
-D INPUT -j SL-INPUT-end
:SL-INPUT - [0:0]
:SL-INPUT-end - [0:0]
:SL-web-ssh - [0:0]
-X SL-INPUT
-X SL-INPUT-end
-X SL-web-ssh
COMMIT
`,
        }),
      ],
    });
  });
});

describe("a difference", () => {
  test("of a changed chain shows the lines that only one side has, and the policy's line", () => {
    const have = saved(WHOLE.replace("-s 192.0.2.1/32 -j ACCEPT", "-s 192.0.2.9/32 -j ACCEPT"));
    expect(diffIptables(TARGET, WANT, have)).toEqual([
      {
        driver: "iptables",
        object: "ip4/filter/SL-web-ssh",
        kind: "changed",
        want: ["-s 192.0.2.1/32 -j ACCEPT"],
        have: ["-s 192.0.2.9/32 -j ACCEPT"],
        origin: ORIGIN,
      },
    ]);
  });

  test("of rules in another order shows both orders", () => {
    const have = saved(
      WHOLE.replace(
        "-A SL-web-ssh -s 192.0.2.1/32 -j ACCEPT\n-A SL-web-ssh -j DROP",
        "-A SL-web-ssh -j DROP\n-A SL-web-ssh -s 192.0.2.1/32 -j ACCEPT",
      ),
    );
    expect(diffIptables(TARGET, WANT, have)).toMatchObject([
      { want: ["-s 192.0.2.1/32 -j ACCEPT", "-j DROP"], have: ["-j DROP", "-s 192.0.2.1/32 -j ACCEPT"] },
    ]);
  });

  test("tells missing and extra chains and jumps apart", () => {
    expect(diffIptables(TARGET, WANT, NOTHING).map(({ object, kind }) => `${kind} ${object}`)).toEqual([
      "missing ip4/filter/SL-INPUT",
      "missing ip4/filter/SL-INPUT-end",
      "missing ip4/filter/SL-web-ssh",
      "missing ip4/filter/INPUT",
      "missing ip4/filter/INPUT",
    ]);
    expect(
      diffIptables({ ...TARGET, chains: [], hooks: [] }, NOTHING, WANT).map(
        ({ object, kind }) => `${kind} ${object}`,
      ),
    ).toEqual([
      "extra ip4/filter/SL-INPUT",
      "extra ip4/filter/SL-INPUT-end",
      "extra ip4/filter/SL-web-ssh",
      "extra ip4/filter/INPUT",
      "extra ip4/filter/INPUT",
    ]);
  });

  test("of a long chain is cut, and says how much it left out", () => {
    const many = Array.from({ length: 50 }, (_, n) => `-A SL-long -s 192.0.2.${n}/32 -j DROP\n`).join("");
    const have = saved(`*filter\n:SL-long - [0:0]\n${many}COMMIT\n`);
    const [difference] = diffIptables({ ...TARGET, chains: [], hooks: [] }, NOTHING, have);
    expect(difference?.have).toHaveLength(20);
    expect(difference?.more).toBe(30);
  });
});
