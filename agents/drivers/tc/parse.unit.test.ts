import { describe, expect, test } from "vitest";
import { parseClasses, parseFilters, parseQdiscs } from "./parse.ts";

/** Texts as iproute2 prints them, some from kernels that have what this one lacks. */
describe("qdiscs", () => {
  test("that the kernel made by itself are not there", () => {
    const text = `qdisc noqueue 0: dev lo root refcnt 2
qdisc mq 0: dev eth0 root
qdisc fq_codel 0: dev eth0 parent :2 limit 10240p flows 1024 quantum 1514 target 5ms interval 100ms memory_limit 32Mb ecn drop_batch 64
qdisc pfifo_fast 0: dev eth1 root refcnt 2 bands 3 priomap 1 2 2 2 1 2 0 0 1 1 1 1 1 1 1 1
`;
    expect(parseQdiscs(text)).toEqual([]);
  });

  test("keep their options and lose their counters", () => {
    const text = `qdisc htb 1:[00010000] root refcnt 3 r2q 10 default 0x20 direct_packets_stat 17 ver 3.17 direct_qlen 1000
qdisc sfq 10:[00100000] parent 1:10 limit 127p quantum 1514b depth 127 flows 128/1024 divisor 1024 perturb 10sec
qdisc fq_codel 8003: dev eth0 root refcnt 2 limit 10240p flows 1024 quantum 1514 target 5ms interval 100ms memory_limit 32Mb ecn drop_batch 64
`;
    expect(parseQdiscs(text)).toEqual([
      {
        kind: "htb",
        handle: "1:",
        parent: "root",
        words: "r2q 10 default 0x20 ver 3.17 direct_qlen 1000".split(" "),
      },
      {
        kind: "sfq",
        handle: "10:",
        parent: "1:10",
        words: "limit 127p quantum 1514b depth 127 flows 128/1024 divisor 1024 perturb 10sec".split(" "),
      },
      {
        kind: "fq_codel",
        handle: "8003:",
        parent: "root",
        words:
          "limit 10240p flows 1024 quantum 1514 target 5ms interval 100ms memory_limit 32Mb ecn drop_batch 64".split(
            " ",
          ),
      },
    ]);
  });

  test("of more than one line stay one, whatever the kind", () => {
    const text = `qdisc mqprio 8001: root tc 2 map 0 1 0 0
             queues:(0:3) (4:7)
qdisc netem 30: parent 1:30 limit 1000 delay 100ms  10ms 25% loss 0.3%
qdisc cake 40: parent 1:40 bandwidth 10Mbit diffserv3 triple-isolate nonat nowash no-ack-filter split-gso rtt 100ms raw overhead 0
`;
    const qdiscs = parseQdiscs(text);
    expect(qdiscs.map(({ kind, parent }) => [kind, parent])).toEqual([
      ["mqprio", "root"],
      ["netem", "1:30"],
      ["cake", "1:40"],
    ]);
    expect(qdiscs[0]?.words.slice(-2)).toEqual(["queues:(0:3)", "(4:7)"]);
    expect(qdiscs[1]?.words).toEqual(["limit", "1000", "delay", "100ms", "10ms", "25%", "loss", "0.3%"]);
  });

  test("on the ingress hook stand there, not at the root", () => {
    const text =
      "qdisc ingress ffff: parent ffff:fff1 ---------------- \nqdisc clsact ffff: dev eth1 parent ffff:fff1 \n";
    expect(parseQdiscs(text)).toEqual([
      { kind: "ingress", handle: "ffff:", parent: "ingress", words: [] },
      { kind: "clsact", handle: "ffff:", parent: "ingress", words: [] },
    ]);
  });
});

describe("classes", () => {
  test("keep their parent and numbers; leaf and level are seen elsewhere", () => {
    const text = `class htb 1:10 parent 1:1 leaf 10: prio 1 quantum 1500 rate 200Kbit ceil 200Kbit linklayer ethernet burst 1600b/1 mpu 0b cburst 1600b/1 mpu 0b level 0 buffer [000f4240] cbuffer [000f4240]

class htb 1:1 root rate 1224Kbit ceil 1224Kbit burst 15Kb cburst 1599b level 7
`;
    const [leaf, inner] = parseClasses(text);
    expect(leaf).toMatchObject({ kind: "htb", classid: "1:10", parent: "1:1" });
    expect(leaf?.words.join(" ")).toBe(
      "prio 1 quantum 1500 rate 200Kbit ceil 200Kbit linklayer ethernet burst 1600b/1 mpu 0b cburst 1600b/1 mpu 0b buffer [000f4240] cbuffer [000f4240]",
    );
    expect(inner).toMatchObject({ classid: "1:1", parent: "1:" });
  });

  test("that a qdisc makes for itself are not there", () => {
    const text = `class tbf 20:1 parent 20: 
class prio 1:1 parent 1: leaf 10: 
class sfq 10:2f parent 10: 
class fq_codel 30:1ab parent 30: 
class mq :1 root 
class hfsc 1: root 
class hfsc 1:10 parent 1: sc m1 0bit d 0us m2 1Mbit ul m1 0bit d 0us m2 2Mbit
`;
    expect(parseClasses(text)).toEqual([
      {
        kind: "hfsc",
        classid: "1:10",
        parent: "1:",
        words: "sc m1 0bit d 0us m2 1Mbit ul m1 0bit d 0us m2 2Mbit".split(" "),
      },
    ]);
  });
});

describe("filters", () => {
  test("of u32 have every match, and a handle that doesn't depend on the order of creation", () => {
    const text = (table: string) => `filter protocol ip pref 1 u32 chain 0 
filter protocol ip pref 1 u32 chain 0 fh ${table}: ht divisor 1 
filter protocol ip pref 1 u32 chain 0 fh ${table}::1 order 1 key ht ${table} bkt 0 *flowid 1:10 not_in_hw  (rule hit 12 success 3)
  match 00500000/ffff0000 at 20
  match 0a000000/ff000000 at 16
`;
    const early = parseFilters(text("800"), "1:0");
    const late = parseFilters(text("80a"), "1:");
    expect(early.filters).toHaveLength(1);
    expect(early.filters[0]).toMatchObject({
      parent: "1:",
      protocol: "ip",
      prio: 1,
      kind: "u32",
      handle: "::1",
    });
    expect(early.filters[0]?.words.join(" ")).toBe(
      "key bkt 0 flowid 1:10 match 00500000/ffff0000 at 20 match 0a000000/ff000000 at 16",
    );
    expect(late.filters[0]).toEqual({ ...early.filters[0], kernelHandle: "80a::1" });
  });

  test("of u32 in a table of the policy's own keep that table's number", () => {
    const text = `filter protocol ip pref 2 u32 chain 0 fh 5: ht divisor 256 
filter protocol ip pref 2 u32 chain 0 fh 5:10:1 order 1 key ht 5 bkt 10 flowid 1:10 
  match 00000000/00000000 at 0
`;
    expect(parseFilters(text, "1:").filters.map(({ handle, words }) => [handle, words.slice(0, 3)])).toEqual([
      ["5:", ["ht", "divisor", "256"]],
      ["5:10:1", ["key", "ht", "5"]],
    ]);
  });

  test("of an empty prio leave its place behind", () => {
    const text = `filter protocol ip pref 2 u32 chain 0 
filter protocol ip pref 2 u32 chain 0 fh 801: ht divisor 1 
`;
    expect(parseFilters(text, "1:")).toEqual({
      groups: [{ parent: "1:", protocol: "ip", prio: 2, kind: "u32" }],
      filters: [],
    });
  });

  test("of fw, flower, matchall, basic and bpf are read alike", () => {
    const text = `filter parent 1: protocol ip pref 1 fw chain 0 
filter parent 1: protocol ip pref 1 fw chain 0 handle 0x50 classid 1:10 
filter parent 1: protocol ipv6 pref 2 flower chain 0 
filter parent 1: protocol ipv6 pref 2 flower chain 0 handle 0x1 classid 1:20 
  eth_type ipv6
  ip_proto tcp
  dst_port 80
  not_in_hw
filter parent 1: protocol all pref 3 matchall chain 0 
filter parent 1: protocol all pref 3 matchall chain 0 handle 0x1 flowid 1:1 
  not_in_hw (rule hit 0)
filter parent 1: protocol all pref 4 basic chain 0 handle 0x1 flowid 1:1 
  cmp(u16 at 2 layer 1 eq 80)
filter parent 1: protocol all pref 5 bpf chain 0 handle 0x1 flowid 1:20 not_in_hw bytecode '1,6 0 0 65535'
`;
    expect(
      parseFilters(text, "1:").filters.map(({ kind, handle, prio, words }) => [
        kind,
        handle,
        prio,
        words.join(" "),
      ]),
    ).toEqual([
      ["fw", "0x50", 1, "classid 1:10"],
      ["flower", "0x1", 2, "classid 1:20 eth_type ipv6 ip_proto tcp dst_port 80"],
      ["matchall", "0x1", 3, "flowid 1:1"],
      ["basic", "0x1", 4, "flowid 1:1 cmp(u16 at 2 layer 1 eq 80)"],
      ["bpf", "0x1", 5, "flowid 1:20 bytecode '1,6 0 0 65535'"],
    ]);
  });

  test("keep what their actions do, without the kernel's numbering of actions", () => {
    const text = `filter protocol all pref 1 u32 chain 0 fh 800::1 order 1 key ht 800 bkt 0 terminal flowid not_in_hw 
  match 00000000/00000000 at 0
	action order 1: mirred (Egress Redirect to device slifb-eth0) stolen
 	index 7 ref 1 bind 1
`;
    expect(parseFilters(text, "ffff:").filters[0]?.words.join(" ")).toBe(
      "key bkt 0 terminal flowid match 00000000/00000000 at 0 action order 1: mirred (Egress Redirect to device slifb-eth0) stolen",
    );
  });

  test("keep a policer's rate, without the number that the kernel gives each", () => {
    const text = (number: string) =>
      "filter protocol ip pref 5 u32 chain 0 fh 800::1 order 1 key ht 800 bkt 0 flowid 1:10 not_in_hw \n" +
      `  match 00500000/ffff0000 at 20\n police ${number} rate 2Mbit burst 10Kb mtu 2Kb action drop overhead 0b \n\tref 1 bind 1 \n`;
    const [first, second] = ["0x1", "0x2"].map((number) => parseFilters(text(number), "1:").filters);
    expect(second).toEqual(first);
    expect(first?.[0]?.words.join(" ")).toContain("police rate 2Mbit burst 10Kb");
  });
});
