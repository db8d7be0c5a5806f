import type { TcTree } from "@sluice/proto/manifest/manifest";
import { parsePolicy } from "@sluice/proto/policy/parse";
import { expect, test } from "vitest";
import { compile } from "./compile.ts";
import { factsWith, inputWith, restoreText } from "./test-input.ts";

const ALL = ["htb", "hfsc", "prio", "tbf", "pfifo", "sfq", "fq_codel", "cake", "fq_pie"];

type Capabilities = Parameters<typeof factsWith>[0];

function compiled(shaping: string, capabilities: Capabilities = {}) {
  const parsed = parsePolicy(`policy: home\ntargets: { servers: ["*"] }\nshaping:\n  eth0:\n${shaping}`);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return compile(inputWith([parsed.document], { facts: factsWith({ qdiscs: ALL, ...capabilities }) }));
}

function made(shaping: string, capabilities: Capabilities = {}) {
  const result = compiled(shaping, capabilities);
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return { ...result, rules: restoreText(result.manifest, 4), tree: linesOf(result.manifest.devices[0]) };
}

/** As tc would be given it, without what the lines have in common. */
function linesOf(device: { egress?: TcTree; ingress?: { tree: TcTree } } | undefined) {
  const tree = device?.egress ?? device?.ingress?.tree;
  return {
    qdiscs: tree?.qdiscs.map(({ parent, handle, kind, args }) => [parent, handle, kind, ...args].join(" ")),
    classes: tree?.classes.map(({ parent, classid, args }) => [parent, classid, ...args].join(" ")),
    filters: tree?.filters.map(({ parent, protocol, prio, handle, kind, args }) =>
      [parent, protocol, prio, handle, kind, ...args].join(" "),
    ),
  };
}

test("an hfsc has its default in the root and curves in its classes", () => {
  const { tree } = made(`
    kind: hfsc
    classes:
      all:
        rate: 10mbit
        classes:
          voice: { realtime: { first: 1mbit, for: 10ms, after: 200kbit }, share: 200kbit, match: -p udp }
          rest: { share: 1500kbit, ceil: 9mbit, default: true }`);
  expect(tree.qdiscs).toEqual(["root 1: hfsc default 30"]);
  expect(tree.classes).toEqual([
    "1: 1:10 sc rate 10mbit",
    "1:10 1:20 rt m1 1mbit d 10ms m2 200kbit ls rate 200kbit",
    "1:10 1:30 ls rate 1500kbit ul rate 9mbit",
  ]);
});

const CLASSIC = `
    classes:
      web: { rate: 200kbit, priority: 1, filters: protocol ip prio 1 handle 80 fw }
      rest: { rate: 1024kbit, priority: 2, default: true }`;

test("a class's filters are tc's own, with the parent and the class that they stand in", () => {
  const { tree, rules } = made(CLASSIC, { filters: ["fw"] });
  expect(tree.filters).toEqual(["1: ip 1 80 fw flowid 1:10"]);
  expect(rules).not.toContain("SL-home-shape");
  const { filters } = made(
    `
    by: u32
    classes:
      web:
        rate: 1mbit
        match: -p tcp --sport 80
        filters:
          - pref 1 u32 match ip sport 443 0xffff
          - prio 4 protocol ip handle 800::1 u32 match ip dport 80 0xffff
          - protocol ip prio 4 u32 match ip dport 443 0xffff
      rest:
        rate: 1mbit
        default: true
        filters: [protocol ipv6 prio 5 flower ip_proto tcp, prio 9 handle 0x2 matchall]
        leaf: { kind: prio, handle: 8001, classes: { a: { filters: prio 1 u32 match u32 0 0 }, b: {} } }`,
    {
      filters: ["u32", "flower", "matchall"],
    },
  ).tree;
  expect(filters?.slice(2)).toEqual([
    "1: ip 4 800::1 u32 match ip dport 80 0xffff flowid 1:10",
    "1: all 9 0x2 matchall classid 1:20",
    "1: all 1 800::3 u32 match ip sport 443 0xffff flowid 1:10",
    "1: ip 4 800::2 u32 match ip dport 443 0xffff flowid 1:10",
    "8001: all 1 800::1 u32 match u32 0 0 flowid 8001:1",
    "1: ipv6 5 1 flower ip_proto tcp classid 1:20",
  ]);
});

test("a filter whose place is taken, or that the kernel lacks, is refused with its line", () => {
  const refusals = (filters: string, capabilities: string[]) => {
    const result = compiled(
      `    classes:
      web: { rate: 1mbit, match: -p tcp }
      rest:
        rate: 1mbit
        filters: ${filters}`,
      { filters: capabilities },
    );
    return result.ok
      ? []
      : result.problems.map(({ message, place }) => `${place?.line}:${place?.column} ${message}`);
  };
  const all = ["fw", "u32"];
  expect(refusals("[protocol ip prio 1 handle 0x10 fw]", all)).toEqual([
    "9:19 prio 1 has a filter of handle 0x10 already",
  ]);
  expect(refusals("[prio 1 handle 80 fw]", all)).toEqual([
    "9:19 prio 1 holds fw filters of protocol ip here",
  ]);
  expect(refusals("[prio 9 u32 match u32 0 0, prio 9 handle 80 fw]", all)).toEqual([
    "9:19 prio 9 holds fw filters of protocol all here",
  ]);
  expect(refusals("[prio 9 matchall]", all)).toEqual(["9:19 this kernel has no matchall filter"]);
});

test("what the line adds to a packet is said of the classes that know it", () => {
  const { tree } = made(`
    classes:
      dsl: { rate: 1mbit, overhead: 34, mpu: 68, linklayer: ethernet }
      atm: { rate: 1mbit, linklayer: atm }
      rest: { rate: 1mbit, overhead: 0, default: true }`);
  expect(tree.classes?.map((line) => line.replace(/^.* quantum \d+ ?/, ""))).toEqual([
    "overhead 34 mpu 68 linklayer ethernet",
    "linklayer atm",
    "",
  ]);
});

test("a qdisc has the number that is asked for, and its classes with it", () => {
  const { tree } = made(`
    handle: 8001
    direct_qlen: 3
    classes:
      web: { rate: 1mbit, leaf: { kind: sfq, handle: "8002:" } }
      rest: { rate: 1mbit, default: true, leaf: { kind: prio, handle: 1, priomap: [${"0, ".repeat(15)}1], classes: { a: { leaf: pfifo }, b: {} } } }`);
  expect(tree.qdiscs).toEqual([
    "root 8001: htb default 20 direct_qlen 3",
    "8001:10 8002: sfq limit 127 quantum 1514",
    `8001:20 1: prio bands 2 priomap ${"0 ".repeat(15)}1`,
    "1:1 2010: pfifo limit 1000",
  ]);
  expect(tree.classes?.map((line) => line.slice(0, 13))).toEqual(["8001: 8001:10", "8001: 8001:20"]);
  expect(made("    qdisc: { kind: sfq, handle: 7 }").tree.qdiscs).toEqual([
    "root 7: sfq limit 127 quantum 1514",
  ]);
  const twice = compiled(`
    handle: 7
    classes: { web: { rate: 1mbit, leaf: { kind: sfq, handle: 7 } } }`);
  expect(twice).toMatchObject({ ok: false, problems: [{ message: expect.stringContaining("7: is taken") }] });
});

test("a prio makes its bands by itself; what nothing leads to one goes to the default, else to the last", () => {
  const bands = (first: string, last: string) =>
    made(`
    kind: prio
    classes:
      first: { match: -p tcp --sport 22 ${first} }
      second: { match: -p tcp --sport 80, leaf: sfq }
      last: { leaf: pfifo ${last} }`);
  expect(bands("", "").tree).toMatchObject({
    qdiscs: [
      `root 1: prio bands 3 priomap ${"2 ".repeat(16).trim()}`,
      "1:2 20: sfq limit 127 quantum 1514",
      "1:3 30: pfifo limit 1000",
    ],
    classes: [],
  });
  expect(bands("", "").tree.filters?.slice(0, 2)).toEqual([
    "1: ip 1 16 fw flowid 1:1",
    "1: ipv6 2 16 fw flowid 1:1",
  ]);
  expect(bands(", default: true", "").tree.qdiscs?.[0]).toContain(`priomap ${"0 ".repeat(16).trim()}`);
});

const NESTED = `
    classes:
      office:
        rate: 5mbit
        match: -d 192.0.2.0/24
        leaf:
          kind: prio
          classes: { voice: { match: -p udp }, rest: {} }
      rest: { rate: 1mbit, default: true }`;

test("a packet is led to the class, and on in the tree inside of it; the inner match is asked first", () => {
  const { tree, rules } = made(NESTED);
  expect(tree.qdiscs?.map((line) => line.split(" ").slice(0, 3).join(" "))).toEqual([
    "root 1: htb",
    "1:10 10: prio",
  ]);
  expect(tree.filters).toEqual([
    "1: ip 1 4112 fw flowid 1:10",
    "1: ipv6 2 4112 fw flowid 1:10",
    "10: ip 1 4112 fw flowid 10:1",
    "10: ipv6 2 4112 fw flowid 10:1",
    "1: ip 1 16 fw flowid 1:10",
    "1: ipv6 2 16 fw flowid 1:10",
  ]);
  expect(rules).toEqual(
    expect.arrayContaining([
      "-o eth0 -d 192.0.2.0/24 -j MARK --set-mark 16",
      "-o eth0 -p udp -j MARK --set-mark 4112",
    ]),
  );
  expect(made(NESTED.replace("classes:", "by: u32\n    classes:")).tree.filters).toEqual([
    "1: all 1 800::1 u32 match u8 0x40 0xf0 at 0 match ip protocol 17 0xff flowid 1:10",
    "10: all 1 800::1 u32 match u8 0x40 0xf0 at 0 match ip protocol 17 0xff flowid 10:1",
    "1: all 1 800::2 u32 match u8 0x60 0xf0 at 0 match ip6 protocol 17 0xff flowid 1:10",
    "10: all 1 800::2 u32 match u8 0x60 0xf0 at 0 match ip6 protocol 17 0xff flowid 10:1",
    "1: all 1 800::3 u32 match u8 0x40 0xf0 at 0 match ip dst 192.0.2.0/24 flowid 1:10",
  ]);
});

test("filters of tc's own need no rule; flower has a prio for each; `all` comes last", () => {
  const filters = (by: string, filters: string[]) => {
    const { tree, rules } = made(
      `
    by: ${by}
    classes:
      web: { rate: 1mbit, match: '-p tcp -m multiport --sports 80,1000:1010' }
      rest: { rate: 1mbit, match: all }`,
      { filters },
    );
    expect(rules.join()).not.toContain("shape");
    return tree.filters;
  };
  expect(filters("flower", ["flower", "matchall"])).toEqual([
    "1: ip 1 1 flower ip_proto tcp src_port 80 classid 1:10",
    "1: ip 2 1 flower ip_proto tcp src_port 1000-1010 classid 1:10",
    "1: ipv6 3 1 flower ip_proto tcp src_port 80 classid 1:10",
    "1: ipv6 4 1 flower ip_proto tcp src_port 1000-1010 classid 1:10",
    "1: all 5 1 matchall classid 1:20",
  ]);
  expect(filters("flower", ["flower"])?.at(-1)).toBe("1: all 5 1 flower classid 1:20");
  expect(filters("u32", ["u32"])?.at(-1)).toBe("1: all 2 800::1 u32 match u32 0 0 flowid 1:20");
});

test("what comes in is sorted by flower where the kernel has no u32", () => {
  const { tree } = made(
    "    ingress: { classes: { web: { rate: 1mbit, match: -s 2001:db8::/32 }, rest: { rate: 1mbit } } }",
    { filters: ["flower"] },
  );
  expect(tree.filters).toEqual(["1: ipv6 1 1 flower src_ip 2001:db8::/32 classid 1:10"]);
});

test.each([
  [ALL, "fq_codel", []],
  [["htb", "sfq", "pfifo"], "sfq", ["home:5: auto is sfq here: this kernel has no fq_codel, cake, fq_pie"]],
  [["htb", "pfifo"], "pfifo", [expect.stringContaining("auto is pfifo here")]],
])(
  "auto on a kernel with %s is %s, and is told where it isn't the best there could be",
  (qdiscs, kind, told) => {
    const { tree, warnings } = made("    classes: { all: { rate: 1mbit, default: true, leaf: auto } }", {
      qdiscs,
    });
    expect(tree.qdiscs?.[1]).toMatch(new RegExp(`^1:10 10: ${kind} `));
    expect(warnings).toEqual(told);
  },
);

test.each([
  ["kind: hfsc, classes: { a: { rate: 1mbit } }", { qdiscs: ["htb"] }, "this kernel has no hfsc qdisc"],
  ["kind: prio, classes: { a: {}, b: {} }", { qdiscs: ["htb"] }, "this kernel has no prio qdisc"],
  [
    "by: flower, classes: { a: { rate: 1mbit, match: -p tcp } }",
    { filters: ["u32"] },
    "this kernel has no flower filter, so nothing leads to a class",
  ],
  [
    "by: fw, classes: { a: { rate: 1mbit, match: -p tcp } }",
    { filters: ["u32"] },
    "this kernel has no fw filter, so nothing leads to a class",
  ],
  [
    "classes: { a: { rate: 1mbit, match: -p tcp, leaf: { classes: { b: { rate: 1mbit, match: -p udp } } } } }",
    { filters: ["u32"] },
    "CLASSIFY leads no packet on to a class inside of a class",
  ],
  [
    "by: u32, classes: { a: { rate: 1mbit, match: all }, b: { rate: 1mbit, match: -p udp } }",
    {},
    "a takes all packets before b is asked",
  ],
])("{ %s } is refused on a kernel with %o, with its place", (tree, capabilities, problem) => {
  const result = compiled(`    { ${tree} }`, capabilities);
  if (result.ok) throw new Error("not refused");
  expect(result.problems).toEqual([expect.objectContaining({ message: expect.stringContaining(problem) })]);
  expect(result.problems[0]?.place).toMatchObject({ file: "home", line: 5 });
});
