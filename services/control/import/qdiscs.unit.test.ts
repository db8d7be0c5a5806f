import type { TcTree } from "@sluice/proto/manifest/manifest";
import { parsePolicy } from "@sluice/proto/policy/parse";
import { expect, test } from "vitest";
import { compile } from "../compile/compile.ts";
import { factsWith, inputWith } from "../compile/test-input.ts";
import { importPresent } from "./import-present.ts";
import type { StandingQdisc } from "./qdiscs.ts";

const words = (text: string) => text.split(" ");

/** `root 1: htb default 0x20`, `1: 1:10 rate 1Mbit` of the root's kind or `hfsc 1: …`, `1: ip 1 0x50 fw classid 1:10` */
function treeOf(
  qdiscs: readonly string[],
  classes: readonly string[] = [],
  filters: readonly string[] = [],
): TcTree {
  const rootKind = words(qdiscs[0] ?? "")[2] ?? "";
  return {
    qdiscs: qdiscs.map((line) => {
      const [parent = "", handle = "", kind = "", ...args] = words(line);
      return { parent, handle, kind, args };
    }),
    classes: classes.map((line) => {
      const [first = "", ...rest] = words(line);
      const [kind, [parent = "", classid = "", ...args]] = first.includes(":")
        ? [rootKind, [first, ...rest]]
        : [first, rest];
      return { parent, classid, kind, args };
    }),
    filters: filters.map((line) => {
      const [parent = "", protocol = "", prio, handle = "", kind = "", ...args] = words(line);
      return { parent, protocol, prio: Number(prio), handle, kind, args };
    }),
  };
}

function imported(tree: TcTree | undefined, more: Partial<StandingQdisc> = {}) {
  const root = tree?.qdiscs[0];
  const qdisc = { device: "eth0", kind: root?.kind ?? "htb", handle: root?.handle ?? "1:", tree, ...more };
  const present = { rules: [], sets: [], qdiscs: [qdisc], untold: [] };
  return importPresent({ server: "web-1", policy: "web", present }, parsePolicy);
}

const KINDS = ["htb", "hfsc", "prio", "tbf", "pfifo", "bfifo", "sfq", "fq_codel"];

/** What an agent would be given, line by line. */
function adopted(text: string) {
  const parsed = parsePolicy(text.replace("mode: imported", "mode: enforce"));
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  const facts = factsWith({ qdiscs: KINDS, filters: ["fw", "u32", "flower", "matchall"] });
  const result = compile(inputWith([parsed.document], { facts }));
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  const { egress } = result.manifest.devices[0] ?? {};
  return {
    takeover: result.manifest.takeover,
    qdiscs: egress?.qdiscs.map(({ parent, handle, kind, args }) => [parent, handle, kind, ...args].join(" ")),
    classes: egress?.classes.map(({ parent, classid, args }) => [parent, classid, ...args].join(" ")),
    filters: egress?.filters.map(({ parent, protocol, prio, handle, kind, args }) =>
      [parent, protocol, prio, handle, kind, ...args].join(" "),
    ),
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
    "1: 1:1e1 prio 0 quantum 200000 rate 97Mbit overhead 38 ceil 100Mbit linklayer atm burst 1589b mpu 64 cburst 1600b",
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
      "1: 1:1e1 rate 97mbit ceil 100mbit prio 0 mtu 1500 burst 1589 cburst 1600 quantum 200000 overhead 38 mpu 64 linklayer atm",
    ],
    filters: [],
  });
});

const HTB_ROOT = "root 1: htb r2q 10 default 0 direct_qlen 1000";
const CLASS = "1: 1:10 prio 0 quantum 1514 rate 1Mbit ceil 1Mbit burst 1600b cburst 1600b";
const PRIOMAP = "1 2 2 2 1 2 0 0 1 1 1 1 1 1 1 1";

test("the classic recipe becomes shaping with its own filter: of IPv4 alone, prio 1, by mark 80", () => {
  const { text, left } = imported(
    treeOf(
      ["root 1: htb r2q 10 default 0x20 direct_qlen 3"],
      [
        "1: 1:10 prio 1 quantum 2500 rate 200Kbit ceil 200Kbit burst 1500b cburst 1500b",
        "1: 1:20 prio 2 quantum 12800 rate 1024Kbit ceil 1024Kbit burst 1500b cburst 1500b",
      ],
      ["1: ip 1 0x50 fw classid 1:10"],
    ),
  );
  expect(left).toEqual([]);
  expect(text).toContain("filters:\n          - 'protocol ip prio 1 handle 0x50 fw'\n");
  expect(adopted(text)).toMatchObject({
    qdiscs: ["root 1: htb default 20 direct_qlen 3"],
    filters: ["1: ip 1 0x50 fw flowid 1:10"],
  });
});

test("filters of every kind keep their place and their words", () => {
  const { text, left } = imported(
    treeOf(
      [HTB_ROOT],
      [CLASS, CLASS.replace("1:10", "1:20")],
      [
        "1: ip 1 ::800 u32 flowid 1:10 match u32 0x00500000 0xffff0000 at 20",
        "1: ip 1 ::801 u32 flowid 1:20 match u32 0x000001bb 0x0000ffff at nexthdr+0",
        "1: ipv6 3 0x1 flower classid 1:20 ip_proto tcp dst_port 80",
        "1: ip 4 0x50/0xff fw classid 1:20",
        "1: all 49152 0x1 matchall flowid 1:20",
      ],
    ),
  );
  expect(left).toEqual([]);
  expect(adopted(text).filters).toEqual([
    "1: ip 1 800::800 u32 match u32 0x00500000 0xffff0000 at 20 flowid 1:10",
    "1: ip 1 800::801 u32 match u32 0x000001bb 0x0000ffff at nexthdr+0 flowid 1:20",
    "1: ipv6 3 0x1 flower ip_proto tcp dst_port 80 classid 1:20",
    "1: ip 4 0x50/0xff fw flowid 1:20",
    "1: all 49152 0x1 matchall classid 1:20",
  ]);
});

test("trees of every kind, one in another, with the handles that tc chose", () => {
  const { text, left } = imported(
    treeOf(
      [
        `root 8001: prio bands 3 priomap ${PRIOMAP}`,
        "8001:1 10: htb r2q 5 default 0x1 direct_qlen 1000",
        "8001:2 8002: hfsc default 20",
        "10:1 8003: sfq limit 127 perturb 10sec",
        "8002:20 20: pfifo limit 9",
      ],
      [
        `htb ${CLASS.replace("1: 1:10", "10: 10:1")}`,
        "hfsc 8002: 8002:1 sc m1 0bit d 0us m2 10Mbit ul m1 0bit d 0us m2 10Mbit",
        "hfsc 8002:1 8002:10 sc m1 0bit d 8ms m2 1Mbit",
        "hfsc 8002:1 8002:20 rt m1 4Mbit d 10ms m2 1Mbit ls m1 0bit d 0us m2 2Mbit",
      ],
      ["8001: ip 1 ::800 u32 flowid 8001:1 match u32 0x1 0x1 at 0", "8002: ip 1 0x7 fw classid 8002:10"],
    ),
  );
  expect(left).toEqual([]);
  const { qdiscs, classes, filters } = adopted(text);
  expect(qdiscs).toEqual([
    `root 8001: prio bands 3 priomap ${PRIOMAP}`,
    "8001:1 10: htb default 1 r2q 5 direct_qlen 1000",
    "10:1 8003: sfq quantum 1514 limit 127 perturb 10sec",
    "8001:2 8002: hfsc default 20",
    "8002:20 20: pfifo limit 9",
  ]);
  expect(classes).toEqual([
    expect.stringMatching(/^10: 10:1 rate 1mbit /),
    "8002: 8002:1 sc rate 10mbit ul rate 10mbit",
    "8002:1 8002:10 sc m1 0bit d 8ms m2 1mbit",
    "8002:1 8002:20 rt m1 4mbit d 10ms m2 1mbit ls rate 2mbit",
  ]);
  expect(filters).toHaveLength(2);
});

test.each([
  ["root 1: tbf rate 1Mbit burst 10240b limit 16490b", "root 1: tbf rate 1000000bit burst 10240 limit 16490"],
  ["root 1: bfifo limit 20000b", "root 1: bfifo limit 20000b"],
  ["root 1: sfq limit 127 quantum 1514b perturb 10sec", "root 1: sfq limit 127 quantum 1514b perturb 10sec"],
  [
    "root 8001: tbf rate 1Mbit burst 10240b limit 16490b",
    "root 8001: tbf rate 1000000bit burst 10240 limit 16490",
  ],
  ["root 8002: pfifo limit 9", "root 8002: pfifo limit 9"],
  [`root 1: prio bands 3 priomap ${PRIOMAP}`, `root 1: prio bands 3 priomap ${PRIOMAP}`],
])("a single qdisc becomes a device's only one: %s", (standing, compiled) => {
  const { text, left } = imported(treeOf([standing]));
  expect(left).toEqual([]);
  expect(adopted(text).qdiscs).toEqual([compiled]);
});

function filtered(filter: string): TcTree {
  return treeOf([HTB_ROOT], [CLASS], [filter]);
}

test.each([
  ["a word that isn't known", treeOf([`${HTB_ROOT} offload on`], [CLASS]), "offload"],
  ["a class with more", treeOf([HTB_ROOT], [`${CLASS} slot 14`]), "slot 14"],
  [
    "a class that hangs nowhere",
    treeOf([HTB_ROOT], [CLASS, CLASS.replace("1: 1:10", "1:7 1:11")]),
    "hangs on",
  ],
  ["a default that isn't there", treeOf([HTB_ROOT.replace("default 0", "default 0x30")], [CLASS]), "1:30"],
  ["a tree with no class", treeOf([HTB_ROOT, "1:10 10: htb r2q 10 default 0"], [CLASS]), "htb 10: has no"],
  ["another kind of tree", treeOf(["root 1: drr"], ["1: 1:10 quantum 9"]), "class 1:10 hangs on 1:"],
  ["what no policy counts in", treeOf(["root 1: hfsc"], ["1: 1:1 sc m1 9bit d 9us m2 8bit"]), "d 9us"],
  [
    "a ceil below its rate",
    treeOf([HTB_ROOT], [CLASS.replace("ceil 1Mbit", "ceil 1Kbit")]),
    "below its rate",
  ],
  ["a filter that acts", filtered("1: ip 1 0x50 fw classid 1:10 police rate 1Mbit"), "found police"],
  ["a table of filters", filtered("1: ip 1 2:5:800 u32 flowid 1:10 match u32 0x1 0x1 at 0"), "2:5:800"],
  ["a filter to nowhere", filtered("1: ip 2 ::1 u32 link 2:"), "the u32 filter of prio 2 on 1: leads to no"],
  ["a filter to another tree", filtered("1: ip 2 0x1 fw classid 7:10"), "leads to 7:10 as no policy"],
  ["a filter of another kind", filtered("1: ip 2 0x1 basic flowid 1:10"), "the basic filter of prio 2"],
  ["a filter on a class", filtered("1:10 ip 2 0x1 fw classid 1:10"), "fw filter of prio 2 on 1:10"],
])("what can't be said exactly is left whole, with its reason: %s", (_, tree, why) => {
  const { text, left } = imported(tree);
  expect(left).toEqual([{ what: "qdisc of eth0", why: expect.stringContaining(why) }]);
  expect(text).not.toMatch(/^(shaping|takeover):/m);
});

test("what the agent can't prove is left in its words", () => {
  const { left } = imported(undefined, { untold: "it comes out otherwise" });
  expect(left).toEqual([{ what: "qdisc of eth0", why: "it comes out otherwise" }]);
});
