import type { ManifestDevice, TcTree } from "@sluice/proto/manifest/manifest";
import { describe, expect, test } from "vitest";
import type { Target } from "../driver.ts";
import { diffTc } from "./diff.ts";
import { parseClasses, parseFilters, parseQdiscs } from "./parse.ts";
import { renderTc } from "./render.ts";
import type { DeviceState, TcSnapshot } from "./snapshot.ts";
import { ABSENT } from "./snapshot.ts";

const TREE: TcTree = {
  qdiscs: [
    { parent: "root", handle: "1:", kind: "htb", args: ["default", "20"] },
    { parent: "1:11", handle: "11:", kind: "sfq", args: ["perturb", "10"] },
  ],
  classes: [
    { parent: "1:10", classid: "1:11", kind: "htb", args: ["rate", "100kbit"] },
    { parent: "1:0", classid: "1:10", kind: "htb", args: ["rate", "200kbit"] },
    { parent: "1:0", classid: "1:20", kind: "htb", args: ["rate", "1mbit", "prio", "2"] },
  ],
  filters: [{ parent: "1:0", protocol: "ip", prio: 1, handle: "80", kind: "fw", args: ["flowid", "1:11"] }],
};

const STANDING: DeviceState = {
  exists: true,
  up: true,
  qdiscs: parseQdiscs(`qdisc htb 1: root refcnt 2 r2q 10 default 0x20 direct_packets_stat 0 direct_qlen 1000
qdisc sfq 11: parent 1:11 limit 127p quantum 1514b depth 127 divisor 1024 perturb 10sec`),
  classes: parseClasses(`class htb 1:10 root rate 200Kbit
class htb 1:11 parent 1:10 leaf 11: prio 0 quantum 1250 rate 100Kbit
class htb 1:20 root prio 2 quantum 12500 rate 1Mbit`),
  ...parseFilters(
    "filter protocol ip pref 1 fw chain 0 \nfilter protocol ip pref 1 fw chain 0 handle 0x50 classid 1:11",
    "1:",
  ),
};

const BARE: DeviceState = { ...ABSENT, exists: true, up: true };

function target(...devices: ManifestDevice[]): Target {
  return { sets: [], chains: [], hooks: [], devices, external: { chains: [], sets: [] } };
}

function on(device: string, state: DeviceState): TcSnapshot {
  return { devices: { [device]: state } };
}

const shaped = target({ device: "eth0", egress: TREE });

function scripts(of: Target, want: TcSnapshot | undefined, have: TcSnapshot): string[] {
  const { build, remove } = renderTc(of, want, have);
  return [
    ...build.map((one) => `${one.tool}: ${one.text}`),
    ...remove.map((one) => `-${one.tool}: ${one.text}`),
  ];
}

describe("from nothing", () => {
  test("a tree is built from its root: classes parents first, then leaves, then filters", () => {
    expect(scripts(shaped, undefined, on("eth0", BARE))).toEqual([
      `tc: qdisc add dev eth0 root handle 1: htb default 20
class add dev eth0 parent 1: classid 1:10 htb rate 200kbit
class add dev eth0 parent 1:10 classid 1:11 htb rate 100kbit
class add dev eth0 parent 1: classid 1:20 htb rate 1mbit prio 2
qdisc add dev eth0 parent 1:11 handle 11: sfq perturb 10
filter add dev eth0 parent 1: protocol ip prio 1 handle 0x50 fw flowid 1:11
`,
    ]);
  });

  test("incoming traffic gets its device, then its tree, and is sent there last", () => {
    const tree: TcTree = { qdiscs: TREE.qdiscs.slice(0, 1), classes: [], filters: [] };
    const incoming = target({ device: "eth0", ingress: { ifb: "slifb-eth0", tree } });
    expect(scripts(incoming, undefined, on("eth0", BARE))).toEqual([
      "ip: link add name slifb-eth0 type ifb\nlink set dev slifb-eth0 up\n",
      "tc: qdisc add dev slifb-eth0 root handle 1: htb default 20\n",
      `tc: qdisc add dev eth0 handle ffff: ingress
filter add dev eth0 parent ffff: protocol all prio 1 handle ::1 u32 match u32 0 0 action mirred egress redirect dev slifb-eth0
`,
    ]);
  });
});

describe("what stands", () => {
  const want = on("eth0", STANDING);
  const with_ = (change: Partial<DeviceState>) => on("eth0", { ...STANDING, ...change });

  test("and is the same is not named", () => {
    expect(scripts(shaped, want, want)).toEqual([]);
    expect(diffTc(shaped, want, want)).toEqual([]);
  });

  test("under another root goes whole, in the same batch", () => {
    const [first] = scripts(
      shaped,
      want,
      on("eth0", { ...BARE, qdiscs: parseQdiscs("qdisc fq_codel 8001: root refcnt 2 limit 10240p") }),
    );
    expect(first).toMatch(/^tc: qdisc del dev eth0 root\nqdisc add dev eth0 root handle 1: htb/);
  });

  test("and is extra goes before anything is added: filters, leaves, classes from the leaf", () => {
    const have = with_({
      classes: [
        ...STANDING.classes,
        ...parseClasses("class htb 1:30 root rate 1Mbit\nclass htb 1:31 parent 1:30 rate 1Mbit"),
      ],
      qdiscs: [...STANDING.qdiscs, ...parseQdiscs("qdisc pfifo 20: parent 1:20 limit 10p")],
      ...parseFilters(
        `filter protocol ip pref 1 fw chain 0 handle 0x50 classid 1:11
filter protocol ip pref 1 fw chain 0 handle 0x51 classid 1:31
filter protocol ipv6 pref 2 u32 chain 0 fh 801::1 order 1 key ht 801 bkt 0 flowid 1:31`,
        "1:",
      ),
    });
    expect(scripts(shaped, want, have)).toEqual([
      `tc: filter del dev eth0 parent 1: protocol ipv6 prio 2
filter del dev eth0 parent 1: protocol ip prio 1 handle 0x51 fw
qdisc del dev eth0 parent 1:20 handle 20:
class del dev eth0 classid 1:31
class del dev eth0 classid 1:30
`,
    ]);
  });

  test("at another parent is made anew with all that hangs on it", () => {
    const have = with_({
      classes: STANDING.classes.map((one) => (one.classid === "1:11" ? { ...one, parent: "1:20" } : one)),
    });
    expect(scripts(shaped, want, have)[0]).toBe(`tc: filter del dev eth0 parent 1: protocol ip prio 1
class del dev eth0 classid 1:11
class add dev eth0 parent 1:10 classid 1:11 htb rate 100kbit
class change dev eth0 parent 1: classid 1:20 htb rate 1mbit prio 2
qdisc add dev eth0 parent 1:11 handle 11: sfq perturb 10
filter add dev eth0 parent 1: protocol ip prio 1 handle 0x50 fw flowid 1:11
`);
  });

  test("a lost child is the child's difference, not its parent's", () => {
    const have = with_({
      classes: parseClasses(
        "class htb 1:10 root prio 0 quantum 2500 rate 200Kbit\nclass htb 1:20 root prio 2 quantum 12500 rate 1Mbit",
      ),
    });
    const differences = diffTc(shaped, want, have);
    expect(differences.map(({ object, kind }) => [object, kind])).toEqual([["eth0/class/1:11", "missing"]]);
  });

  test("a value that only the device decides is no difference, unless the policy gives it", () => {
    const have = with_({
      qdiscs: STANDING.qdiscs.map((one) => ({
        ...one,
        words: one.words.map((word) => (word === "1000" ? "32" : word)),
      })),
    });
    expect(diffTc(shaped, want, have)).toEqual([]);
    const given = TREE.qdiscs.map((one) => ({ ...one, args: [...one.args, "direct_qlen", "1000"] }));
    expect(diffTc(target({ device: "eth0", egress: { ...TREE, qdiscs: given } }), want, have)).toMatchObject([
      { object: "eth0/qdisc/1:", kind: "changed", have: [expect.stringContaining("direct_qlen 32")] },
    ]);
  });

  test("that kernels change badly in place is made anew: an sfq keeps what isn't named any more", () => {
    const have = with_({
      qdiscs: STANDING.qdiscs.map((one) =>
        one.kind === "sfq" ? { ...one, words: [...one.words, "headdrop"] } : one,
      ),
    });
    expect(scripts(shaped, want, have)).toEqual([
      `tc: qdisc del dev eth0 parent 1:11 handle 11:
qdisc add dev eth0 parent 1:11 handle 11: sfq perturb 10
`,
    ]);
  });

  test("is left alone where egress isn't ours, and goes where it is ours and to be bare", () => {
    const unowned = target({ device: "eth0" });
    const bare = target({ device: "eth0", egress: { qdiscs: [], classes: [], filters: [] } });
    expect(scripts(unowned, on("eth0", BARE), want)).toEqual([]);
    expect(scripts(bare, on("eth0", BARE), want)).toEqual(["-tc: qdisc del dev eth0 root\n"]);
  });
});

test("a word can't become a second command", () => {
  const evil = (word: string) => () =>
    renderTc(
      target({
        device: "eth0",
        egress: { ...TREE, qdiscs: [{ parent: "root", handle: "1:", kind: "htb", args: [word] }] },
      }),
      undefined,
      on("eth0", BARE),
    );
  for (const word of ["x\nqdisc del dev eth1 root", 'a" b', "#", "a\\", "ü"])
    expect(evil(word)).toThrow(/can't be given/);
  expect(evil("1,6 0 0 65535")).not.toThrow();
});
