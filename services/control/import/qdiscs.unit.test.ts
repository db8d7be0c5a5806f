import type { TcTree } from "@sluice/proto/manifest/manifest";
import { parsePolicy } from "@sluice/proto/policy/parse";
import { expect, test } from "vitest";
import { compile } from "../compile/compile.ts";
import { factsWith, inputWith } from "../compile/test-input.ts";
import { importPresent } from "./import-present.ts";
import type { StandingQdisc } from "./qdiscs.ts";

const words = (text: string) => text.split(" ");

/** `root 1: htb default 0x20` */
function treeOf(qdiscs: readonly string[], classes: readonly string[] = []): TcTree {
  return {
    qdiscs: qdiscs.map((line) => {
      const [parent = "", handle = "", kind = "", ...args] = words(line);
      return { parent, handle, kind, args };
    }),
    classes: classes.map((line) => {
      const [parent = "", classid = "", ...args] = words(line);
      return { parent, classid, kind: "htb", args };
    }),
    filters: [],
  };
}

function imported(tree: TcTree | undefined, more: Partial<StandingQdisc> = {}) {
  const root = tree?.qdiscs[0];
  const qdisc = { device: "eth0", kind: root?.kind ?? "htb", handle: root?.handle ?? "1:", tree, ...more };
  const present = { rules: [], sets: [], qdiscs: [qdisc], untold: [] };
  return importPresent({ server: "web-1", policy: "web", present }, parsePolicy);
}

/** What an agent would be given, line by line. */
function adopted(text: string) {
  const parsed = parsePolicy(text.replace("mode: imported", "mode: enforce"));
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  const result = compile(inputWith([parsed.document], { facts: factsWith() }));
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  const { egress } = result.manifest.devices[0] ?? {};
  return {
    takeover: result.manifest.takeover,
    qdiscs: egress?.qdiscs.map(({ parent, handle, kind, args }) => [parent, handle, kind, ...args].join(" ")),
    classes: egress?.classes.map(({ parent, classid, args }) => [parent, classid, ...args].join(" ")),
  };
}

const HTB = treeOf(
  [
    "root 1: htb r2q 10 default 0x20 direct_qlen 1000",
    "1:10 10: pfifo limit 50",
    "1:20 20: fq_codel limit 10240 flows 1024 quantum 1514 target 5ms ecn",
  ],
  [
    "1: 1:1 rate 1224Kbit ceil 1224Kbit burst 1600b cburst 1600b",
    "1:1 1:20 prio 2 quantum 12800 rate 1024Kbit ceil 1024Kbit burst 15360b cburst 1600b",
    "1:1 1:10 prio 1 quantum 2500 rate 200Kbit ceil 200Kbit burst 1500b cburst 1500b",
    "1: 1:1e1 prio 0 quantum 200000 rate 97Mbit ceil 100Mbit burst 1589b cburst 1600b",
  ],
);

test("an htb becomes shaping that compiles to the same handles, rates, bursts, default and leaves, claimed", () => {
  const { text, left } = imported(HTB);
  expect(left).toEqual([]);
  expect(adopted(text)).toEqual({
    takeover: [expect.objectContaining({ what: "qdisc", device: "eth0" })],
    qdiscs: [
      "root 1: htb default 20 direct_qlen 1000",
      "1:10 10: pfifo limit 50",
      "1:20 20: fq_codel limit 10240 flows 1024 quantum 1514 target 5ms ecn",
    ],
    classes: [
      "1: 1:1 rate 1224kbit ceil 1224kbit mtu 1500 burst 1600 cburst 1600 quantum 15300",
      "1:1 1:10 rate 200kbit ceil 200kbit prio 1 mtu 1500 burst 1500 cburst 1500 quantum 2500",
      "1:1 1:20 rate 1024kbit ceil 1024kbit prio 2 mtu 1500 burst 15360 cburst 1600 quantum 12800",
      "1: 1:1e1 rate 97mbit ceil 100mbit prio 0 mtu 1500 burst 1589 cburst 1600 quantum 200000",
    ],
  });
});

test.each([
  ["root 1: tbf rate 1Mbit burst 10240b limit 16490b", "root 1: tbf rate 1000000bit burst 10240 limit 16490"],
  ["root 1: bfifo limit 20000b", "root 1: bfifo limit 20000b"],
  ["root 1: sfq limit 127 quantum 1514b perturb 10sec", "root 1: sfq limit 127 quantum 1514b perturb 10sec"],
])("a single qdisc becomes a device's only one: %s", (standing, compiled) => {
  const { text, left } = imported(treeOf([standing]));
  expect(left).toEqual([]);
  expect(adopted(text).qdiscs).toEqual([compiled]);
});

const HTB_ROOT = "root 1: htb r2q 10 default 0 direct_qlen 1000";
const CLASS = "1: 1:10 prio 0 quantum 1514 rate 1Mbit ceil 1Mbit burst 1600b cburst 1600b";

test.each([
  ["another handle", treeOf(["root 8001: tbf rate 1Mbit burst 10240b limit 16490b"]), "8001:"],
  ["another queue", treeOf(["root 1: htb r2q 10 default 0 direct_qlen 32"], [CLASS]), "direct_qlen is 32"],
  ["a word that isn't known", treeOf([`${HTB_ROOT} offload on`], [CLASS]), "offload"],
  ["a class with more", treeOf([HTB_ROOT], [`${CLASS} overhead 14`]), "overhead 14"],
  [
    "a class that hangs nowhere",
    treeOf([HTB_ROOT], [CLASS, CLASS.replace("1: 1:10", "1:7 1:11")]),
    "hangs on",
  ],
  ["a default that isn't there", treeOf([HTB_ROOT.replace("default 0", "default 0x30")], [CLASS]), "1:30"],
  ["a leaf of another number", treeOf([HTB_ROOT, "1:10 8002: pfifo limit 9"], [CLASS]), "8002:"],
  ["a tree inside of a class", treeOf([HTB_ROOT, "1:10 10: htb r2q 10 default 0"], [CLASS]), "htb"],
  ["another kind of tree", treeOf(["root 1: hfsc default 1"], [CLASS]), "hfsc"],
  [
    "a ceil below its rate",
    treeOf([HTB_ROOT], [CLASS.replace("ceil 1Mbit", "ceil 1Kbit")]),
    "below its rate",
  ],
  [
    "a filter",
    {
      ...treeOf([HTB_ROOT], [CLASS]),
      filters: [
        { parent: "1:", protocol: "ip", prio: 1, handle: "0x50", kind: "fw", args: ["flowid", "1:10"] },
      ],
    },
    "fw",
  ],
])("what can't be said exactly is left whole, with its reason: %s", (_, tree, why) => {
  const { text, left } = imported(tree);
  expect(left).toEqual([{ what: "qdisc of eth0", why: expect.stringContaining(why) }]);
  expect(text).not.toMatch(/^(shaping|takeover):/m);
});

test("what the agent can't prove is left in its words", () => {
  const { left } = imported(undefined, { untold: "it comes out otherwise" });
  expect(left).toEqual([{ what: "qdisc of eth0", why: "it comes out otherwise" }]);
});
