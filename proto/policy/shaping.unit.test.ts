import { describe, expect, test } from "vitest";
import { parsePolicy } from "./parse.ts";
import { expectRefusal, policyWith } from "./test-policy.ts";

function shapingOf(fields: string) {
  const result = parsePolicy(policyWith(`vars: { uplink: eth0 }\nshaping:\n  ${fields}\n`));
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.document.shaping[0];
}

test("the classic recipe is understood as tc has it: 1:10 and 1:20, mark 80", () => {
  const shaped = shapingOf(`$uplink:
    classes:
      web: { rate: 200kbit, ceil: 200kbit, priority: 1, mtu: 1500, mark: 80, match: -p tcp --sport 80 }
      rest: { rate: 1024kbit, ceil: 1024kbit, priority: 2, mtu: 1500, default: true }`);
  expect(shaped).toMatchObject({
    device: "$uplink",
    egress: {
      kind: "htb",
      classes: [
        {
          name: "web",
          minor: 0x10,
          rateBitPerSec: 200_000,
          ceilBitPerSec: 200_000,
          priority: 1,
          mtuBytes: 1500,
          mark: 80,
          isDefault: false,
          match: [{ words: ["-p", "tcp", "--sport", "80"] }],
        },
        { name: "rest", minor: 0x20, rateBitPerSec: 1_024_000, mark: 0x20, isDefault: true, match: [] },
      ],
    },
  });
});

test("classes nest, and numbers that are asked for aren't given to others", () => {
  const shaped = shapingOf(`eth0:
    r2q: 5
    classes:
      lan: { rate: 10mbit, classes: { a: { rate: 1mbit, id: 20 }, b: { rate: 1mbit, leaf: sfq } } }
      wan: { rate: 1.5mbit, id: 1a, burst: 16k, leaf: { kind: sfq, perturb: 10, headdrop: true } }`);
  const tree = shaped?.egress;
  const [lan, wan] = tree?.kind === "htb" ? tree.classes : [];
  expect(tree).toMatchObject({ r2q: 5 });
  expect([lan?.minor, ...(lan?.children.map(({ minor }) => minor) ?? []), wan?.minor]).toEqual([
    0x10, 0x20, 0x30, 0x1a,
  ]);
  expect(lan?.children[1]?.leaf).toEqual({ kind: "sfq", args: [] });
  expect(wan).toMatchObject({
    burstBytes: 16_384,
    leaf: { kind: "sfq", args: ["perturb", "10", "headdrop"] },
  });
});

test("a device can have one qdisc for all of it", () => {
  expect(shapingOf("eth0: { tbf: { rate: 1mbit, burst: 10k, latency: 50ms } }")?.egress).toMatchObject({
    kind: "single",
    qdisc: { kind: "tbf", args: ["rate", "1000000bit", "burst", "10240", "latency", "50ms"] },
  });
  expect(shapingOf("eth0: { qdisc: { kind: fq_codel, limit: 1000, target: 5ms } }")?.egress).toMatchObject({
    qdisc: { kind: "fq_codel", args: ["limit", "1000", "target", "5ms"] },
  });
});

test("what comes in is shaped by a rate, which is one class for everything, or by classes", () => {
  expect(shapingOf("eth0: { ingress: { rate: 5mbit } }")).toMatchObject({
    ingress: {
      kind: "htb",
      classes: [{ rateBitPerSec: 5_000_000, ceilBitPerSec: 5_000_000, isDefault: true }],
    },
  });
  const classes =
    "{ ssh: { rate: 1mbit, match: [-p tcp --dport 22, -s 192.0.2.1] }, rest: { rate: 4mbit, default: true } }";
  expect(shapingOf(`eth0: { ingress: { classes: ${classes} } }`)?.ingress).toMatchObject({ kind: "htb" });
});

test("an hfsc has curves, a prio has bands, and a class may hold a tree of its own", () => {
  const shaped = shapingOf(`eth0:
    kind: prio
    by: u32
    classes:
      voice: { match: -p udp --dport 5060, leaf: prio }
      rest:
        default: true
        leaf:
          kind: hfsc
          classes:
            web: { rate: { first: 4mbit, for: 10ms, after: 1mbit }, ceil: 2mbit, match: all }
            bulk: { share: 1mbit, leaf: auto, default: true }`);
  expect(shaped?.egress).toMatchObject({
    kind: "prio",
    by: "u32",
    classes: [
      { name: "voice", minor: 1, handle: 0x10, mark: 0x10, leaf: { kind: "prio", args: [] } },
      {
        ...{ name: "rest", minor: 2, handle: 0x20, isDefault: true },
        inside: {
          kind: "hfsc",
          classes: [
            {
              ...{ name: "web", minor: 0x10, handle: 0x2010, mark: 0x2010, match: [{ words: [] }] },
              curves: [
                { curve: "sc", first: { rateBitPerSec: 4e6, forMs: 10 }, rateBitPerSec: 1e6 },
                { curve: "ul", rateBitPerSec: 2e6 },
              ],
            },
            { name: "bulk", handle: 0x2020, curves: [{ curve: "ls" }], leaf: { kind: "auto" } },
          ],
        },
      },
    ],
  });
});

test("a class has filters in tc's own words", () => {
  const shaped = shapingOf(`eth0:
    classes:
      web: { rate: 1mbit, filters: protocol ip prio 1 handle 80 fw }
      rest: { rate: 1mbit, filters: [pref 2 u32 match ip dst $uplink match ip sport 80 0xffff at -14] }`);
  expect(shaped?.egress).toMatchObject({
    classes: [
      { filters: [{ protocol: "ip", prio: 1, handle: "80", kind: "fw", args: [], line: 7, column: 36 }] },
      {
        filters: [
          {
            ...{ protocol: "all", prio: 2, kind: "u32" },
            args: "match ip dst $uplink match ip sport 80 0xffff at -14".split(" "),
          },
        ],
      },
    ],
  });
});

describe("what is no filter is refused at its word", () => {
  test.each([
    ["‸[]", "an empty list of filters"],
    ["[‸{ fw: 80 }]", "this isn't a filter"],
    ["protocol ip prio 1 ‸fw", "fw needs the mark that it leads to its class"],
    ["protocol ip prio 1 handle ‸web fw", "bad value for handle"],
    ["protocol ip prio 1 handle ‸1:2 u32 match u32 0 0", "bad value for handle"],
    ["protocol ip prio ‸first handle 80 fw", "bad value for prio"],
    ["protocol ip handle 80 fw‸", "prio is missing"],
    ["protocol ip prio 1 ‸prio 2 handle 80 fw", "prio stands twice"],
    ["protocol ip prio 1‸", "the kind of the filter is missing"],
    ["protocol ip prio 1 handle 80 ‸basic", "bad value for the kind of the filter"],
    ["protocol ip prio 1 handle 80 fw ‸flowid 1:10", "the flowid of a filter is told by where it stands"],
    ["‸parent 1:0 protocol ip prio 1 handle 80 fw", "the parent of a filter is told by where it stands"],
    ["prio 1 u32 match u32 0 0 ‸action drop", "a filter here leads to its class, and nothing else"],
    ["prio 1 ‸u32", "a u32 without a match"],
    ['prio 1 u32 match u32 0 ‸"0 0"', "tc can't take this as a filter's word"],
    ["prio 1 u32 match ip dst ‸$nope", "undefined variable $nope"],
  ])("%s", (filters, message) => {
    expectRefusal(
      policyWith(
        `vars: { x: y }\nshaping:\n  eth0: { classes: { a: { rate: 1mbit, filters: ${filters} } } }`,
      ),
      message,
    );
  });
  test("a mark on what comes in", () => {
    expectRefusal(
      policyWith(
        "shaping: { eth0: { ingress: { classes: { a: { rate: 1mbit, filters: prio 1 handle 8 ‸fw } } } } }",
      ),
      "what comes in has met no rule yet that could mark it",
    );
  });
});

const MATCH = "classes: { a: { rate: 1mbit, match:";

describe("what can't be shaped is refused where it stands", () => {
  test.each([
    ["‸$nope: { ingress: { rate: 1mbit } }", "undefined variable $nope"],
    ["‸a-device-too-long: { ingress: { rate: 1mbit } }", "a-device-too-long can't be a device's name"],
    ["‸a/b: { ingress: { rate: 1mbit } }", "a/b can't be a device's name"],
    ["‸$far: { ingress: { rate: 1mbit } }", "a device can't be a device's name"],
    ["eth0: ‸{}", "nothing is said about eth0"],
    ["eth0: ‸{ r2q: 10 }", "a device has one tree of classes, or one qdisc"],
    [
      "eth0: ‸{ classes: { a: { rate: 1mbit } }, qdisc: sfq }",
      "a device has one tree of classes, or one qdisc",
    ],
    ["eth0: { r2q: ‸0, ingress: { rate: 1mbit } }", "bad value for r2q"],
    ["eth0: { classes: ‸{} }", "no class at all"],
    ["eth0: { classes: ‸[] }", "bad value for classes"],
    ["eth0: { classes: { a: ‸{} } }", "rate is missing"],
    ["eth0: { classes: { a: { rate: ‸200kbps } } }", "bad value for rate"],
    ["eth0: { classes: { a: { rate: ‸5bit } } }", "bad value for rate"],
    ["eth0: { classes: { a: { rate: 1mbit, ‸rat: 1mbit } } }", "unknown field rat; did you mean rate?"],
    ["eth0: { classes: { a: { rate: 1mbit, priority: ‸8 } } }", "bad value for priority"],
    ["eth0: { classes: { a: { rate: 1mbit, mtu: ‸big } } }", "bad value for mtu"],
    ["eth0: { classes: { a: { rate: 1mbit, overhead: ‸-4 } } }", "bad value for overhead"],
    ["eth0: { classes: { a: { rate: 1mbit, linklayer: ‸dsl } } }", "bad value for linklayer"],
    ["eth0: { classes: { a: { rate: 2mbit, ceil: ‸1mbit } } }", "the ceil of a is below its rate"],
    ["eth0: { classes: { a: { rate: 1mbit, id: ‸0 } } }", "bad value for id"],
    ["eth0: { classes: { a: { rate: 1mbit, id: ‸ffff } } }", "bad value for id"],
    [
      "eth0: { classes: { a: { rate: 1mbit, id: 5 }, b: { rate: 1mbit, id: ‸5 } } }",
      "the classes a and b have the same id",
    ],
    ["eth0: { classes: { a: { rate: 1mbit, mark: ‸0 } } }", "bad value for mark"],
    [
      "eth0: { classes: { a: { rate: 1mbit, mark: 7 }, b: { rate: 1mbit, mark: ‸0x7 } } }",
      "the classes a and b have the same mark",
    ],
    [
      "eth0: { classes: { a: { rate: 1mbit, default: true }, b: { rate: 1mbit, default: ‸true } } }",
      "a is the default class already",
    ],
    ["eth0: { classes: { ‸1a: { rate: 1mbit } } }", "1a can't be a class's name"],
    [
      "eth0: { classes: { a: { rate: 1mbit, leaf: ‸sfq, classes: { b: { rate: 1mbit } } } } }",
      "a has classes below it, so it can't have leaf",
    ],
    [
      "eth0: { classes: { a: { rate: 1mbit, match: ‸-p tcp, classes: { b: { rate: 1mbit } } } } }",
      "a has classes below it, so it can't have match",
    ],
    [
      "eth0: { classes: { a: { rate: 1mbit, default: ‸true, classes: { b: { rate: 1mbit } } } } }",
      "a has classes below it, so it can't have default",
    ],
    ["eth0: { classes: { a: { rate: 1mbit, leaf: ‸htb } } }", "htb can't stand here"],
    ["eth0: { classes: { a: { rate: 1mbit, leaf: ‸{ perturb: 10 } } } }", "a qdisc without a kind"],
    [
      "eth0: { classes: { a: { rate: 1mbit, leaf: { kind: sfq, ‸per turb: 10 } } } }",
      "per turb can't be an argument of tc",
    ],
    [
      "eth0: { classes: { a: { rate: 1mbit, leaf: { kind: sfq, perturb: ‸10 root } } } }",
      "tc can't take this as an argument",
    ],
    ["eth0: { classes: { a: { rate: 1mbit, leaf: { kind: fq_codel, ecn: ‸false } } } }", "tc has no false"],
    ["eth0: { tbf: ‸{ rate: 1mbit, burst: 10k } }", "tbf takes either latency or limit"],
    ["eth0: { tbf: ‸{ rate: 1mbit, latency: 50ms } }", "burst is missing"],
    [
      "eth0: { tbf: ‸{ rate: 1mbit, burst: 10k, limit: 10k, peakrate: 2mbit } }",
      "tbf with a peakrate needs an mtu",
    ],
    ["eth0: { kind: ‸drr, classes: { a: { rate: 1mbit } } }", "bad value for kind"],
    ["eth0: { classes: { a: { rate: 1mbit } }, by: ‸luck }", "bad value for by"],
    ["eth0: ‸{ by: fw }", "a device has one tree of classes, or one qdisc"],
    ["eth0: { kind: prio, r2q: ‸5, classes: { a: {}, b: {} } }", "prio has no r2q"],
    ["eth0: { kind: hfsc, direct_qlen: ‸5, classes: { a: { rate: 1mbit } } }", "hfsc has no direct_qlen"],
    ["eth0: { priomap: ‸[0], classes: { a: { rate: 1mbit } } }", "htb has no priomap"],
    [
      "eth0: { kind: prio, priomap: ‸[0, 1], classes: { a: {}, b: {} } }",
      "a priomap has a band for each of the 16 priorities",
    ],
    [
      `eth0: { kind: prio, priomap: ‸[${"1, ".repeat(15)}2], classes: { a: {}, b: {} } }`,
      "a priomap has a band for each of the 16 priorities",
    ],
    [
      `eth0: { kind: prio, priomap: ‸[${"1, ".repeat(15)}0], classes: { a: { default: true }, b: {} } }`,
      "priomap and a default class say two things of the same packets",
    ],
    ["eth0: { handle: ‸ffff, classes: { a: { rate: 1mbit } } }", "bad value for handle"],
    ["eth0: { tbf: { rate: 1mbit, burst: 10k, limit: 10k, handle: ‸0 } }", "bad value for handle"],
    ["eth0: { qdisc: { kind: sfq, handle: ‸80011 } }", "bad value for handle"],
    ["eth0: ‸{ handle: 2, qdisc: sfq }", "a device has one tree of classes, or one qdisc"],
    ["eth0: { kind: prio, classes: ‸{ a: {} } }", "a prio has a class for each of its bands"],
    ["eth0: { kind: prio, classes: { a: { ‸rate: 1mbit }, b: {} } }", "unknown field rate"],
    ["eth0: { kind: prio, classes: { a: { ‸classes: { c: {} } }, b: {} } }", "unknown field classes"],
    ["eth0: { kind: hfsc, classes: { a: ‸{ ceil: 1mbit } } }", "a needs a rate, or its parts by themselves"],
    [
      "eth0: { kind: hfsc, classes: { a: ‸{ rate: 1mbit, share: 1mbit } } }",
      "a needs a rate, or its parts by themselves",
    ],
    [
      "eth0: { kind: hfsc, classes: { a: { rate: { first: ‸fast, for: 1ms, after: 1mbit } } } }",
      "bad value for first",
    ],
    [
      "eth0: { classes: { a: { rate: 1mbit, leaf: { kind: auto, ‸limit: 5 } } } }",
      "auto takes no arguments: servers may differ in what it is",
    ],
    [
      "eth0: { classes: { a: { rate: 1mbit, leaf: { ‸by: fw, classes: { b: { rate: 1mbit } } } } } }",
      "unknown field by",
    ],
    [
      "eth0: { classes: { a: { rate: 1mbit, id: 100, leaf: { classes: { ‸b: { rate: 1mbit } } } } } }",
      "b stands inside of a class, and one of the two has too large a number",
    ],
    [
      "eth0: { classes: { a: { rate: 1mbit, leaf: { classes: { b: { rate: 1mbit } } } }, ‸c: { rate: 1mbit, id: 1010 } } }",
      "the classes b and c come to the same number",
    ],
    [
      "eth0: { ingress: ‸{ by: fw, classes: { a: { rate: 1mbit } } } }",
      "what comes in has met no rule yet that could lead to a class by fw",
    ],
    [
      `eth0: { by: flower, ${MATCH} ‸-p tcp --syn } } }`,
      "a class by flower can't match by --syn: only by protocol, addresses and ports",
    ],
    ["eth0: { ingress: { rate: ‸fast } }", "bad value for rate"],
    ["eth0: { ingress: { rate: 1mbit, ‸ceil: 1mbit } }", "unknown field ceil"],
    ["eth0: { ingress: ‸{} }", "a device has one tree of classes, or one qdisc"],
    [`eth0: { ${MATCH} ‸-p tcp -j DROP } } }`, "a match has no target: it leads to its class"],
    [`eth0: { ${MATCH} [-p tcp, ‸-o eth1] } } }`, "the device is the one that is shaped"],
    [`eth0: { ${MATCH} ‸-i eth1 } } }`, "a packet on its way out has no incoming device any more"],
    [`eth0: { ${MATCH} ‸[] } } }`, "an empty list of matches"],
    [`eth0: { ${MATCH} -s ‸300.1.1.1 } } }`, "300.1.1.1 is no address"],
    [
      `eth0: { ingress: { ${MATCH} ‸-m conntrack } } } }`,
      "an ingress class can't match by -m conntrack: only by protocol, addresses and ports",
    ],
    [
      `eth0: { ingress: { ${MATCH} ‸-p tcp --syn } } } }`,
      "an ingress class can't match by --syn: only by protocol, addresses and ports",
    ],
    [
      `eth0: { ingress: { ${MATCH} ‸'! -s 192.0.2.1' } } } }`,
      "an ingress class can't match by ! -s: only by protocol, addresses and ports",
    ],
  ])("%s", (fields, message) => {
    const vars = "vars: { uplink: eth0, far: { value: eth0, labels: { site=far: a device } } }";
    expectRefusal(policyWith(`${vars}\nshaping:\n  ${fields}\n`), message);
  });
});
