import { formatProblem } from "@sluice/proto/base/errors";
import type { PolicyDocument } from "@sluice/proto/policy/document";
import { expect, test } from "vitest";
import { compile } from "./compile.ts";
import type { CompileInput } from "./input.ts";
import {
  chain,
  defaultOf,
  documentWith,
  factsWith,
  firewallOf,
  guardWith,
  inputWith,
  rule,
  set,
  shapedClass,
} from "./test-input.ts";

function refused(parts: Partial<PolicyDocument>, more: Partial<CompileInput> = {}): string[] {
  return problemsOf([documentWith(parts)], more);
}

function problemsOf(documents: readonly PolicyDocument[], more: Partial<CompileInput> = {}): string[] {
  const result = compile(inputWith(documents, more));
  return result.ok ? [] : result.problems.map(formatProblem);
}

function input(...rules: (string | ReturnType<typeof rule>)[]): Partial<PolicyDocument> {
  return firewallOf(chain("filter", "INPUT", rules));
}

function htb(...classes: ReturnType<typeof shapedClass>[]): Partial<PolicyDocument> {
  return {
    shaping: [{ device: "eth0", line: 5, column: 1, egress: { kind: "htb", line: 5, column: 1, classes } }],
  };
}

function ingress(match: string): Partial<PolicyDocument> {
  const classes = [shapedClass("web", 0x10, 200, { match: [rule(match)] })];
  return {
    shaping: [{ device: "eth0", line: 5, column: 1, ingress: { kind: "htb", line: 5, column: 1, classes } }],
  };
}

const withLeaf = (kind: string, args: string[] = []) =>
  htb(shapedClass("web", 0x10, 200, { leaf: { kind, args } }));

const cases: [what: string, parts: Partial<PolicyDocument>, problem: string, more?: Partial<CompileInput>][] =
  [
    [
      "a variable without a value",
      input("-i $uplink -j DROP"),
      "web-edge:1:1: the variable $uplink has no value here (at firewall.filter.INPUT[0], found $uplink, expected no variable at all)",
    ],
    [
      "an unknown list in blocks",
      { blocks: [{ list: "bans", direction: "in", line: 7, column: 1 }] },
      "web-edge:7:1: there is no list bans (at blocks[0], found bans, expected blocklist)",
    ],
    [
      "a list by a name that every object has",
      { blocks: [{ list: "constructor", direction: "in", line: 7, column: 1 }] },
      "there is no list constructor",
    ],
    [
      "an ingress match by such a protocol",
      ingress("-p constructor"),
      "an ingress class can't match this protocol",
    ],
    [
      "sets that stand for more members than anybody could hold",
      {
        sets: [
          set("a", "hash:ip", ["10.0.0.0/16", "10.1.0.0/16"]),
          set("b", "hash:ip", ["10.2.0.0/16", "10.3.0.0/16", "10.4.0.0/16"]),
        ],
      },
      "web-edge:12:7: the sets of this policy have more than 262144 members (at sets.b.entries[2], found 10.4.0.0/16",
    ],
    [
      "an unknown list in a rule",
      input("-m set --match-set list:bans src -j DROP"),
      "there is no list bans (at firewall.filter.INPUT[0], found list:bans, expected list:blocklist)",
    ],
    [
      "an unknown set in a rule",
      input(rule("-m set --match-set office src -j DROP", { line: 12, column: 9 })),
      "web-edge:12:9: there is no set office",
    ],
    [
      "a rule that writes to a list",
      input("-j SET --add-set list:blocklist src"),
      "a rule can't write to list:blocklist",
    ],
    ["a jump to a chain that isn't there", input("-j ssh"), "(at firewall.filter.INPUT[0], found ssh"],
    [
      "a jump to a chain of another table",
      firewallOf(chain("filter", "INPUT", ["-j ssh"]), chain("mangle", "ssh", [])),
      "(at firewall.filter.INPUT[0], found ssh",
    ],
    ["a goto to a target", input("-g DROP"), "(at firewall.filter.INPUT[0], found DROP"],
    ["a jump to a built-in chain", input("-j FORWARD"), "(at firewall.filter.INPUT[0], found FORWARD"],
    [
      "a foreign chain that isn't declared",
      input("-j DOCKER-USER"),
      "(at firewall.filter.INPUT[0], found DOCKER-USER",
    ],
    [
      "addresses of both families",
      input("-s 192.0.2.1 -d 2001:db8::1 -j DROP"),
      "this rule fits neither IPv4 nor IPv6 (at firewall.filter.INPUT[0], found IPv4 by `--source 192.0.2.1` and IPv6 by `--destination 2001:db8::1`",
    ],
    [
      "a family that the address contradicts",
      input(rule("-s 192.0.2.1 -j DROP", { family: 6 })),
      "found IPv6 by `family: 6` and IPv4 by `--source 192.0.2.1`",
    ],
    ["a name in place of an address", input("-s example.com -j DROP"), "--source takes addresses, not names"],
    [
      "a newline in a word",
      input(rule("x", { words: ["-m", "comment", "--comment", "a\n-A INPUT -j ACCEPT"] })),
      "a word holds a control character",
    ],
    [
      "a hit count beyond the kernel's",
      input("-m recent --name x --update --hitcount 300 -j DROP"),
      "this kernel's recent match counts to 255; firewall.filter.INPUT[0] wants 300",
      { facts: factsWith({ recentMaxHits: 255 }) },
    ],
    [
      "a guard beyond the kernel's hit count",
      { guards: [guardWith()] },
      "web-edge:23:7: this kernel's recent match counts to 255; guards.ssh.limits[3] wants 400",
      { facts: factsWith({ recentMaxHits: 255 }) },
    ],
    [
      "a guard on a kernel without recent",
      { guards: [guardWith()] },
      "this kernel has no recent match; guards.ssh.limits[0] wants it",
      { facts: factsWith({ recentMaxHits: 0 }) },
    ],
    [
      "a guard's port that is none",
      { guards: [guardWith({ ports: ["ssh"] })] },
      "this is no port (at guards.ssh.port, found ssh",
    ],
    [
      "an entry of the wrong family",
      { sets: [set("office", "hash:net", ["192.0.2.0/24", "2001:db8::/32"], ["family", "inet"])] },
      "web-edge:11:7: the set office is IPv4 only (at sets.office.entries[1], found 2001:db8::/32)",
    ],
    [
      "an entry that is no address",
      { sets: [set("office", "hash:net", ["192.0.2.0/33"])] },
      "hash:net takes an address, a network or a range",
    ],
    [
      "an entry with too few parts",
      { sets: [set("s", "hash:ip,port", ["192.0.2.1"])] },
      "hash:ip,port takes ip,port",
    ],
    [
      "an entry that is too much for hash:ip",
      { sets: [set("s", "hash:ip", ["10.0.0.0/8"])] },
      "stands for more than 65536 members",
    ],
    [
      "one entry with two lifetimes",
      { sets: [set("s", "hash:ip", ["192.0.2.1 timeout 5", "192.0.2.1 timeout 6"], ["timeout", "0"])] },
      "192.0.2.1 is in the set s twice",
    ],
    [
      "a set type that the kernel lacks",
      { sets: [set("s", "hash:mac", [])] },
      "this kernel has no set type hash:mac (at sets.s, found hash:mac, expected bitmap:port, hash:ip",
    ],
    [
      "a timeout beyond ipset's",
      { sets: [set("s", "hash:ip", [], ["timeout", "2147484"])] },
      "the timeout of s is more than ipset can count",
    ],
    [
      "a maxelem below the entries",
      { sets: [set("s", "hash:ip", ["192.0.2.1", "192.0.2.2"], ["maxelem", "1"])] },
      "the set s has 2 entries, more than its maxelem",
    ],
    [
      "an option that ipset would split",
      { sets: [set("s", "hash:ip", [], ["timeout", "5 comment"])] },
      "ipset can't take this option of s",
    ],
    [
      "a list of sets with one that isn't there",
      { sets: [set("all", "list:set", ["office"])] },
      "there is no set office to be in all",
    ],
    [
      "a device that the server lacks",
      {
        shaping: [
          {
            device: "eth9",
            line: 5,
            column: 1,
            egress: { kind: "single", line: 5, column: 1, qdisc: { kind: "tbf", args: [] } },
          },
        ],
      },
      "web-edge:5:1: this server has no device eth9 (at shaping.eth9, found eth9, expected eth0, lo)",
    ],
    [
      "a leaf qdisc that the kernel lacks",
      withLeaf("cake"),
      "web-edge:30:7: this kernel has no cake qdisc (at shaping.eth0.classes.web.leaf, found cake, expected bfifo, fq_codel, htb, pfifo, sfq, tbf)",
    ],
    [
      "an argument that the kernel takes and never tells again",
      withLeaf("netem", ["delay", "80ms", "10ms", "distribution", "normal"]),
      "the kernel doesn't tell the distribution of a netem, so it can't be kept as written",
      { facts: factsWith({ qdiscs: ["htb", "netem"] }) },
    ],
    [
      "an argument that tc would split",
      withLeaf("pfifo", ["limit", "10\nqdisc del dev eth0 root"]),
      "tc can't take this argument of pfifo",
    ],
    [
      "a kernel without htb",
      htb(shapedClass("web", 0x10, 200)),
      "this kernel has no htb qdisc",
      { facts: factsWith({ qdiscs: ["tbf"] }) },
    ],
    [
      "a kernel with nothing that leads to a class",
      htb(shapedClass("web", 0x10, 200, { match: [rule("-p tcp")] })),
      "no fw filter and no CLASSIFY target",
      { facts: factsWith({ filters: [], targets: ["MARK"] }) },
    ],
    [
      "two classes with one number",
      htb(shapedClass("a", 0x10, 200), shapedClass("b", 0x10, 200, { mark: 3 })),
      "the classes a and b have the same minor",
    ],
    [
      "two default classes",
      htb(shapedClass("a", 0x10, 200, { isDefault: true }), shapedClass("b", 0x11, 200, { isDefault: true })),
      "both a and b are the default class",
    ],
    [
      "a ceil below the rate",
      htb(shapedClass("a", 0x10, 200, { ceilBitPerSec: 100_000 })),
      "the ceil of a is below its rate (at shaping.eth0.classes.a, found 100kbit, expected at least 200kbit)",
    ],
    [
      "a match on a class with classes below it",
      htb(shapedClass("a", 0x10, 200, { match: [rule("-p tcp")], children: [shapedClass("b", 0x11, 100)] })),
      "packets go to those",
    ],
    [
      "a leaf on a class with classes below it",
      htb(
        shapedClass("a", 0x10, 200, {
          leaf: { kind: "pfifo", args: [] },
          children: [shapedClass("b", 0x11, 100)],
        }),
      ),
      "it can't have a leaf qdisc",
    ],
    [
      "a leaf on class 1, whose handle is the root's",
      htb(shapedClass("a", 1, 200, { leaf: { kind: "pfifo", args: [] } })),
      "its handle 1: is taken",
    ],
    [
      "a match with a target of its own",
      htb(shapedClass("a", 0x10, 200, { match: [rule("-p tcp -j ACCEPT")] })),
      "a match has no target and no device of its own",
    ],
    [
      "an ingress match that isn't in the packet",
      ingress("-m conntrack --ctstate NEW"),
      "an ingress class can match only -p, -s, -d, --sport, --dport",
    ],
    [
      "a match that becomes too many filters",
      ingress("-p tcp --sport 1:65534 --dport 1:65534"),
      "this match needs 1800 filters, more than 256",
    ],
    ["a negated ingress match", ingress("! -p tcp"), "an ingress class can match only"],
    [
      "ingress without IFB",
      ingress("-p tcp"),
      "this kernel has no ifb device",
      { facts: factsWith({ ifb: false }) },
    ],
    [
      "ingress without u32",
      ingress("-p tcp"),
      "this kernel has no u32 filter",
      { facts: factsWith({ filters: [] }) },
    ],
    [
      "a default where the filter table has no hook",
      { firewall: { defaults: [defaultOf("PREROUTING")], chains: [] } },
      "the table filter has no PREROUTING",
    ],
    [
      "a log prefix that is too long",
      { firewall: { defaults: [defaultOf("INPUT", "drop", "x".repeat(30))], chains: [] } },
      "the log prefix can't be used",
    ],
    [
      "a kernel without LOG",
      { firewall: { defaults: [defaultOf("INPUT", "drop", "in")], chains: [] } },
      "this kernel has no LOG target",
      { facts: factsWith({ targets: [] }) },
    ],
    [
      "a protected name",
      { protect: [{ text: "gateway", line: 8, column: 1 }] },
      "web-edge:8:1: this is no address or network",
    ],
    [
      "everything protected",
      { protect: [{ text: "0.0.0.0/0", line: 8, column: 1 }] },
      "protecting every address would leave nothing to drop",
    ],
    [
      "a probe without a port",
      { probes: [{ tcp: "192.0.2.1", line: 8, column: 1 }] },
      "this is no address with a port",
    ],
    [
      "a chain by a name that Sluice uses",
      { guards: [guardWith()], ...firewallOf(chain("filter", "g-ssh", [])) },
      "the guard ssh of web-edge and the chain g-ssh of web-edge come to the same name in the kernel (at guards.ssh, found SL-web-edge-g-ssh)",
    ],
  ];

test.each(cases)("%s is refused with its place", (_, parts, problem, more) => {
  expect(refused(parts, more).join("\n")).toContain(problem);
});

test("all problems are told at once, none of them twice", () => {
  const problems = refused({
    ...input("-j a", "-j b"),
    blocks: [{ list: "c", direction: "out", line: 1, column: 1 }],
  });
  expect(problems).toHaveLength(3);
});

const tbf = (policy: string, way: "egress" | "ingress") => {
  const tree = { kind: "single" as const, line: 4, qdisc: { kind: "tbf", args: [] } };
  return documentWith({ policy, shaping: [{ device: "eth0", line: 4, column: 1, [way]: tree }] });
};

test.each(["egress", "ingress"] as const)(
  "two policies that shape one device's %s are refused by name",
  (way) => {
    const way2 = way === "egress" ? "goes out" : "comes in";
    expect(problemsOf([tbf("home", way), tbf("office", way)])[0]).toContain(
      `what ${way2} on eth0 is shaped twice: by home line 4 and by office line 4`,
    );
  },
);

test("one policy may shape what goes out and another what comes in", () => {
  expect(problemsOf([tbf("home", "egress"), tbf("office", "ingress")])).toEqual([]);
});

test("two different ends of one hook are refused by name", () => {
  const closed = (policy: string, verdict: "drop" | "reject") =>
    documentWith({ policy, firewall: { defaults: [defaultOf("INPUT", verdict)], chains: [] } });
  expect(problemsOf([closed("a", "drop"), closed("b", "reject")])).toEqual([
    "b:1:5: INPUT can't end in two ways: a line 1 and b line 1 differ (at firewall.filter.INPUT.default, found reject, expected drop)",
  ]);
});

test("two policies whose names come to one chain in the kernel are refused by name", () => {
  const one = documentWith({ policy: "a", ...firewallOf(chain("filter", "b-c", [])) });
  const other = documentWith({ policy: "a-b", ...firewallOf(chain("filter", "c", [])) });
  expect(problemsOf([one, other])[0]).toContain(
    "the chain c of a-b and the chain b-c of a come to the same name",
  );
});

test("a policy that is assigned twice is refused", () => {
  expect(problemsOf([documentWith(), documentWith()])).toEqual([
    "web-edge:1:1: the policy web-edge is assigned twice (at policy)",
  ]);
});
