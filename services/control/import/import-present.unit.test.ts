import type { PolicyDocument } from "@sluice/proto/policy/document";
import { parsePolicy } from "@sluice/proto/policy/parse";
import type { Present } from "@sluice/proto/wire/present";
import { expect, test } from "vitest";
import { importPresent } from "./import-present.ts";

function imported(present: Partial<Present>) {
  const whole: Present = { rules: [], sets: [], qdiscs: [], untold: [], ...present };
  const result = importPresent({ server: "web-1", policy: "web", present: whole }, parsePolicy);
  const parsed = parsePolicy(result.text);
  if (!parsed.ok) throw new Error(result.text);
  return { ...result, document: parsed.document };
}

function filter(four: readonly string[], six: readonly string[] = [], policy = "ACCEPT"): Present["rules"] {
  const lines = (rules: readonly string[]) => {
    const chains = new Set(
      rules.map((rule) => rule.split(" ")[1] ?? "").filter((name) => !/^[A-Z]+$/.test(name)),
    );
    return [
      "*filter",
      `:INPUT ${policy} [3:180]`,
      ":FORWARD ACCEPT [0:0]",
      ":OUTPUT ACCEPT [0:0]",
      ...[...chains].map((name) => `:${name} - [0:0]`),
      ...rules,
      "COMMIT",
    ];
  };
  return [
    { family: 4, lines: lines(four) },
    { family: 6, lines: lines(six) },
  ];
}

function rulesOf({ firewall }: PolicyDocument, chain: string) {
  const rules = firewall.chains.find(({ name }) => name === chain)?.rules ?? [];
  return rules.map(({ text, family }) => (family === undefined ? text : `${family}: ${text}`));
}

const set = (name: string, more: Partial<Present["sets"][number]> = {}): Present["sets"][number] => ({
  ...{
    name,
    type: "hash:net",
    family: 4,
    options: ["maxelem", "65536"],
    entries: ["192.0.2.0/24"],
    expiring: false,
  },
  ...more,
});

test("an imported policy does nothing, and is for its server alone", () => {
  const { document } = imported({ rules: filter(["-A INPUT -p tcp -j ACCEPT"]) });
  expect(document).toMatchObject({ policy: "web", mode: "imported", targets: { servers: ["web-1"] } });
});

test("rules of both families become one only where they mean the same, each family's in its order", () => {
  const four = [
    "-A INPUT -i lo -j ACCEPT",
    "-A INPUT -s 10.0.0.0/8 -j DROP",
    "-A INPUT -p icmp -j ACCEPT",
    "-A INPUT -j ok",
  ];
  const six = [
    "-A INPUT -i lo -j ACCEPT",
    "-A INPUT -p icmp -j ACCEPT",
    "-A INPUT -s 2001:db8::/32 -j DROP",
    "-A INPUT -j ok",
  ];
  const { document } = imported({ rules: filter([...four, "-A ok -j ACCEPT"], [...six, "-A ok -j ACCEPT"]) });
  const rules = rulesOf(document, "INPUT");
  expect(rules.filter((rule) => !rule.startsWith("6"))).toEqual([
    ...["-i lo -j ACCEPT", "4: -s 10.0.0.0/8 -j DROP", "4: -p icmp -j ACCEPT", "-j ok"],
  ]);
  expect(rules.filter((rule) => !rule.startsWith("4"))).toEqual([
    ...["-i lo -j ACCEPT", "6: -p icmp -j ACCEPT", "6: -s 2001:db8::/32 -j DROP", "-j ok"],
  ]);
  expect(rulesOf(document, "ok")).toEqual(["-j ACCEPT"]);
});

test("a chain that drops at its end in both families has a default, in one of them a last rule", () => {
  const rules = ["-A INPUT -i lo -j ACCEPT"];
  const both = imported({ rules: filter(rules, rules, "DROP") }).document;
  expect(both.firewall.defaults).toMatchObject([{ hook: "INPUT", verdict: "drop" }]);
  const one = imported({ rules: filter(rules, [], "DROP").slice(0, 1) }).document;
  expect(one.firewall.defaults).toEqual([]);
  expect(rulesOf(one, "INPUT")).toEqual(["4: -i lo -j ACCEPT", "4: -j DROP"]);
});

test("what is taken is claimed, but for chains that something else leads to, and policies of one family", () => {
  const rules = [
    "-A INPUT -j own",
    "-A INPUT -j shared",
    "-A own -j DROP",
    "-A shared -j DROP",
    "-A idle -j shared",
  ];
  const { document } = imported({ rules: filter(rules, [], "DROP") });
  const claims = document.takeover.map((one) => (one.what === "chain" ? one.chain : one.what));
  expect(claims).toEqual(["chain-policy", "INPUT", "own"]);
  const one = imported({ rules: filter(rules, [], "DROP").slice(0, 1) }).document;
  expect(one.takeover.map(({ what }) => what)).toEqual(["chain", "chain"]);
});

test("odd texts come through YAML and variables as they were", () => {
  const texts = [
    '-m comment --comment "it\'s # a: $trap $$ {x}" -j ACCEPT',
    "! -s 192.0.2.0/24 -j DROP",
    '-j LOG --log-prefix "IN: "',
  ];
  const { document } = imported({ rules: filter(texts.map((text) => `-A INPUT ${text}`)) });
  expect(rulesOf(document, "INPUT")).toEqual([
    '4: -m comment --comment "it\'s # a: $$trap $$$ {x}" -j ACCEPT',
    ...texts.slice(1).map((text) => `4: ${text}`),
  ]);
});

test("rules of other tools stay where they are: the rest stands before and behind them, and their names are exempt", () => {
  const rules = [
    ...["-A INPUT -i lo -j ACCEPT", "-A INPUT -p tcp -m multiport --dports 22 -j f2b-sshd"],
    ...["-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT", "-A f2b-sshd -s 203.0.113.9/32 -j DROP"],
    ...["-A FORWARD -j DOCKER-USER", "-A FORWARD -o docker0 -j DOCKER", "-A FORWARD -o dmz -j DOCKER"],
    ...["-A FORWARD -i dmz -j ACCEPT", "-A FORWARD -s 10.1.0.0/16 -j ACCEPT"],
    ...["-A DOCKER -j RETURN", "-A DOCKER-USER -j mine", "-A mine -j RETURN"],
  ];
  const six = ["-A INPUT -i lo -j ACCEPT", "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT"];
  const { document, left } = imported({ rules: filter(rules, six, "DROP") });
  const { chains, defaults } = document.firewall;
  expect(chains.map(({ name, others, rules: all }) => [name, others, all.map(({ text }) => text)])).toEqual([
    ["INPUT", 1, ["-i lo -j ACCEPT", "-p tcp -m tcp --dport 22 -j ACCEPT"]],
    ["FORWARD", 0, ["-s 10.1.0.0/16 -j ACCEPT"]],
  ]);
  expect(defaults.map(({ hook }) => hook)).toEqual(["INPUT"]);
  expect(document.takeover).toMatchObject([
    { what: "chain-policy", hook: "INPUT" },
    { what: "chain", chain: "INPUT", except: ["f2b-*", "fail2ban-*"] },
    {
      ...{ what: "chain", chain: "FORWARD" },
      except: ["DOCKER", "DOCKER-*", "docker*", "br-????????????", "dmz"],
    },
  ]);
  expect(left).toEqual([]);
});

test("a policy that a tool sets stays that tool's, one set by hand is claimed", () => {
  const rules = [
    "-A INPUT -j ufw-before-input",
    "-A INPUT -p tcp -j ACCEPT",
    "-A ufw-before-input -j RETURN",
  ];
  const { document, left } = imported({ rules: filter(rules, [], "DROP").slice(0, 1) });
  expect(document.firewall.defaults).toEqual([]);
  expect(rulesOf(document, "INPUT")).toEqual(["4: -p tcp -j ACCEPT"]);
  expect(document.takeover).toMatchObject([{ what: "chain", except: ["ufw-*", "ufw6-*"] }]);
  expect(left).toEqual([{ what: "policy of filter/INPUT", why: "it is ufw's" }]);
});

test.each([
  [
    "rules by hand between those of a tool",
    ["-j f2b-sshd", "-p tcp -j ACCEPT", "-j f2b-nginx"],
    /between rules of fail2ban .*: -p tcp -j ACCEPT/,
  ],
  [
    "a rule that goes past those of a tool",
    ["-p tcp -j RETURN", "-j f2b-sshd", "-j DROP"],
    /goes past those of fail2ban to the chain's end: -p tcp -j RETURN/,
  ],
  ["nothing but a tool's rules", ["-j f2b-sshd"], /all rules there are fail2ban's/],
  ["a chain by hand with a tool's rules in it", ["-j own"], /fail2ban keeps rules of its own in a chain/],
  ["a tool whose rules nobody can tell", ["-j KUBE-FIREWALL", "-p tcp -j ACCEPT"], /Kubernetes keeps rules/],
])("%s: the hook is left, with the reason", (_, rules, why) => {
  const chains = ["-A f2b-sshd -j RETURN", "-A f2b-nginx -j RETURN", "-A KUBE-FIREWALL -j RETURN"];
  const inOwn = "-A own -p tcp -j f2b-sshd";
  const { document, left } = imported({
    rules: filter([...rules.map((rule) => `-A INPUT ${rule}`), ...chains, inOwn]),
  });
  expect(document.firewall.chains).toEqual([]);
  expect(document.takeover).toEqual([]);
  const [reason] = left.filter(({ what }) => what === "filter/INPUT");
  expect(reason?.why).toMatch(why);
});

test("beside Docker only its first rule leads to the chain that ours may stand in", () => {
  const forward = (...rules: string[]) => {
    const all = [
      ...rules.map((rule) => `-A FORWARD ${rule}`),
      "-A DOCKER-USER -j RETURN",
      "-A DOCKER -j RETURN",
    ];
    return imported({ rules: filter(all) });
  };
  const first = forward("-s 10.0.0.0/8 -j DROP", "-j DOCKER-USER", "-o docker0 -j DOCKER");
  expect(first.document.firewall.chains).toMatchObject([{ name: "FORWARD", others: 1 }]);
  const late = forward("-s 10.0.0.0/8 -j DROP", "-o docker0 -j DOCKER", "-j DOCKER-USER");
  expect(late.left).toMatchObject([{ what: "filter/FORWARD", why: expect.stringContaining("DOCKER-USER") }]);
});

test("what the language refuses is left with its words, and all that leads there", () => {
  const { document, left } = imported({
    rules: filter([
      "-A INPUT -j odd@name",
      "-A FORWARD -i lo -j ACCEPT",
      "-A odd@name -j ACCEPT",
      "-A idle -j DROP",
    ]),
  });
  expect(document.firewall.chains.map(({ name }) => name)).toEqual(["FORWARD"]);
  expect(left).toMatchObject([
    { what: "filter/INPUT", why: expect.stringContaining("odd@name") },
    { what: "filter/idle", why: "no built-in chain leads there" },
  ]);
});

test("sets are taken with their entries; those that change by themselves are referred to", () => {
  const rules = ["office", "bans", "f2b-x", "written"].map(
    (name) => `-A INPUT -m set --match-set ${name} src -j ACCEPT`,
  );
  const { document, left } = imported({
    rules: filter([
      ...rules.filter((rule) => !rule.includes("f2b")),
      "-A INPUT -j SET --add-set written src",
    ]),
    sets: [
      ...[set("office"), set("bans", { options: ["timeout", "600"], expiring: true })],
      ...[set("written"), set("alone"), set("f2b-x")],
    ],
  });
  expect(document.sets).toMatchObject([
    {
      name: "office",
      type: "hash:net",
      options: ["family", "inet", "maxelem", "65536"],
      entries: [{ text: "192.0.2.0/24" }],
    },
  ]);
  expect(document.external.sets.map(({ name }) => name)).toEqual(["bans", "written"]);
  expect(left.map(({ what }) => what)).toEqual(["set alone", "set f2b-x", "set bans", "set written"]);
});

test("what can't be read is named in the file, qdiscs too", () => {
  const { text } = imported({
    untold: ["table nat: it holds what only nft can print"],
    qdiscs: [{ device: "eth0", kind: "htb", handle: "1:" }],
  });
  expect(text).toContain("#   rules: table nat: it holds what only nft can print\n");
  expect(text).toContain("#   qdisc of eth0: its agent tells no more than htb 1:");
});
