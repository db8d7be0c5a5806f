import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatProblem } from "../base/errors.ts";
import { policyDocument } from "./document.ts";
import { parsePolicy } from "./parse.ts";
import { expectRefusal, policyWith } from "./test-policy.ts";

const EXAMPLE = `policy: web-edge
description: Web servers behind a 1 Mbit uplink
targets: { labels: { role: web } }
vars: { uplink: eth0 }                # overridden per label or server; rules say $uplink
order: 100                            # several policies on one server: lower goes first
sets:
  office: { type: hash:net, entries: [192.0.2.0/24, "2001:db8::/32"] }   # split into v4 and v6
firewall:
  filter:
    INPUT:
      - -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
      - -p tcp --dport 22 -m set --match-set office src -j ACCEPT
      - -p tcp --dport 22 -j ssh
    ssh:                              # a chain of the policy's own
      - -m recent --update --name blacklist --seconds 600 --hitcount 1 -j DROP
blocks: [ blocklist ]                 # live lists to drop, early, both directions unless said
guards:
  ssh: { port: 22, limits: [ {hits: 2, within: 20s}, {hits: 14, within: 200s}, {hits: 79, within: 2000s}, {hits: 399, within: 20000s} ], ban: { for: 600s, renew: true } }
shaping:
  $uplink:
    classes:
      web:  { rate: 200kbit,  ceil: 200kbit,  priority: 1, match: -p tcp --sport 80 }
      rest: { rate: 1024kbit, ceil: 1024kbit, priority: 2, default: true }
probes: [ { tcp: 192.0.2.1:443 } ]    # outgoing, must still work after the change
reach:  [ tcp/22 ]                    # incoming, tried from outside as part of confirm
`;

test("the example of the design is a policy, and its document has the document's shape", () => {
  const result = parsePolicy(EXAMPLE, "web-edge.yaml");
  if (!result.ok) throw new Error(result.problems.map(formatProblem).join("\n"));
  expect(policyDocument.parse(result.document)).toEqual(result.document);
  expect(result.document).toMatchObject({
    policy: "web-edge",
    targets: { servers: [], labels: { role: "web" } },
    vars: { uplink: { value: "eth0", line: 4 } },
    sets: [
      { name: "office", type: "hash:net", entries: [{ text: "192.0.2.0/24" }, { text: "2001:db8::/32" }] },
    ],
    blocks: [{ list: "blocklist", direction: "both" }],
    guards: [{ name: "ssh", protocol: "tcp", ports: ["22"], ban: { forMs: 600_000, renew: true } }],
    probes: [{ tcp: "192.0.2.1:443" }],
    reach: [{ protocol: "tcp", port: 22 }],
  });
});

test("what isn't said has its default", () => {
  const result = parsePolicy("policy: edge\ntargets: { servers: [server-1] }\n");
  expect(result).toEqual({
    ok: true,
    document: {
      policy: "edge",
      description: "",
      targets: { servers: ["server-1"], labels: {} },
      vars: {},
      order: 100,
      sets: [],
      firewall: { defaults: [], chains: [] },
      blocks: [],
      guards: [],
      shaping: [],
      probes: [],
      reach: [],
      protect: [],
      external: { chains: [], sets: [] },
      tests: [],
      takeover: [],
      drift: "repair",
      deadlineMs: 30_000,
    },
  });
});

test("variables keep what they are on some servers", () => {
  const vars = "vars: { uplink: { value: eth0, servers: { server-3: ens3 }, labels: { site=far: wlan0 } } }";
  const result = parsePolicy(policyWith(vars));
  expect(result.ok && result.document.vars).toEqual({
    uplink: {
      value: "eth0",
      servers: { "server-3": "ens3" },
      labels: { "site=far": "wlan0" },
      line: 3,
      column: 9,
    },
  });
});

test("a guard has one port or several, and a ban of ten minutes unless said", () => {
  const limits = "limits: [{ hits: 2, within: 20s }]";
  const guards = `guards: { a: { port: $ssh, ${limits} }, b: { ports: [80, 8000-8080], protocol: udp, ${limits} } }`;
  const result = parsePolicy(policyWith(`vars: { ssh: 2222 }\n${guards}`));
  expect(result.ok && result.document.guards).toMatchObject([
    { ports: ["$ssh"], protocol: "tcp", ban: { forMs: 600_000, renew: true } },
    { ports: ["80", "8000:8080"], protocol: "udp", limits: [{ hits: 2, withinMs: 20_000 }] },
  ]);
});

test("protected addresses and probes are kept as the kernel writes them, variables as they are", () => {
  const fields =
    'vars: { gw: 192.0.2.1 }\nprotect: ["2001:DB8::1/32", $gw]\nprobes: [{ tcp: "[2001:db8::1]:443" }, { tcp: "$gw:53" }]';
  const result = parsePolicy(policyWith(fields));
  expect(result.ok && result.document.protect.map(({ text }) => text)).toEqual(["2001:db8::/32", "$gw"]);
  expect(result.ok && result.document.probes.map(({ tcp }) => tcp)).toEqual(["[2001:db8::1]:443", "$gw:53"]);
});

describe("each field refuses what it can't take, where it stands", () => {
  test.each([
    ["‸chains: []", "unknown field chains"],
    ["‸accept: final", "unknown field accept"],
    ["‸firewal: {}", "unknown field firewal; did you mean firewall?"],
    ["‸Shaping: {}", "unknown field Shaping; did you mean shaping?"],
    ["order: ‸first", "bad value for order"],
    ["order: ‸1.5", "bad value for order"],
    ["drift: ‸ignore", "bad value for drift"],
    ["deadline: ‸4s", "bad value for deadline"],
    ["deadline: ‸2h", "bad value for deadline"],
    ["deadline: ‸30", "bad value for deadline"],
    ["description: ‸[a]", "bad value for description"],
    ["vars: ‸[]", "bad value for vars"],
    ["vars: { ‸1a: b }", "1a can't be a variable's name"],
    ["vars: { a: ‸-j }", "bad value for a"],
    ["vars: { a: ‸$b }", "bad value for a"],
    ["vars: { a: ‸'' }", "bad value for a"],
    ["vars: { a: ‸{ servers: {} } }", "value is missing"],
    ["vars: { a: { value: b, servers: { ‸A: c } } }", "this isn't a server's name"],
    ["vars: { a: { value: b, labels: { ‸far: c } } }", "this isn't a label as key=value"],
    ["blocks: ‸blocklist", "bad value for blocks"],
    ["blocks: [‸Bans]", "bad value for blocks[0]"],
    ["blocks: [{ list: bans, direction: ‸up }]", "bad value for direction"],
    ["blocks: [‸{}]", "list is missing"],
    ["blocks: [bans, ‸bans]", "the list bans is blocked twice"],
    ["guards: { ‸SSH: { port: 22, limits: [{ hits: 2, within: 20s }] } }", "SSH can't be a guard's name"],
    ["guards: { ssh: ‸{ limits: [{ hits: 2, within: 20s }] } }", "a guard has either port or ports"],
    [
      "guards: { ssh: ‸{ port: 22, ports: [22], limits: [{ hits: 2, within: 20s }] } }",
      "a guard has either port or ports",
    ],
    ["guards: { ssh: { port: ‸65536, limits: [{ hits: 2, within: 20s }] } }", "this isn't a port"],
    ["guards: { ssh: { port: ‸ssh, limits: [{ hits: 2, within: 20s }] } }", "this isn't a port"],
    ["guards: { ssh: { ports: ‸[], limits: [{ hits: 2, within: 20s }] } }", "a guard without a port"],
    [
      `guards: { ssh: { ports: ‸[${Array(16).fill(22)}], limits: [{ hits: 2, within: 20s }] } }`,
      "too many ports for one guard",
    ],
    ["guards: { ssh: ‸{ port: 22 } }", "limits is missing"],
    ["guards: { ssh: { port: 22, limits: ‸[] } }", "a guard without a limit"],
    ["guards: { ssh: { port: 22, limits: [{ hits: ‸0, within: 20s }] } }", "bad value for hits"],
    ["guards: { ssh: { port: 22, limits: [{ hits: ‸65535, within: 20s }] } }", "bad value for hits"],
    ["guards: { ssh: { port: 22, limits: [{ hits: 2, within: ‸500ms }] } }", "bad value for within"],
    ["guards: { ssh: { port: 22, limits: [{ hits: 2, within: ‸1500ms }] } }", "bad value for within"],
    [
      "guards: { ssh: { port: 22, limits: [{ hits: 2, within: 20s }], ban: { for: ‸forever } } }",
      "bad value for for",
    ],
    [
      "guards: { ssh: { port: 22, limits: [{ hits: 2, within: 20s }], protocol: ‸icmp } }",
      "bad value for protocol",
    ],
    ["probes: [{ tcp: ‸example.com:443 }]", "example.com is a name, which may resolve differently over time"],
    ["probes: [{ tcp: ‸192.0.2.1 }]", "this isn't an address with a port"],
    ["probes: [{ tcp: ‸192.0.2.1:0 }]", "0 is no port"],
    ["probes: [{ tcp: ‸192.0.2.0/24:80 }]", "this is more than one address"],
    ["probes: [{ tcp: ‸'2001:db8::1:443' }]", "an IPv6 address stands in brackets"],
    ["probes: [{ tcp: ‸'[192.0.2.1]:443' }]", "192.0.2.1 is no address"],
    ["probes: [{ tcp: ‸$nobody:443 }]", "undefined variable $nobody"],
    ["probes: [‸192.0.2.1:443]", "bad value for probes[0]"],
    ["probes: [‸{}]", "tcp is missing"],
    ["reach: [‸udp/53]", "bad value for reach[0]"],
    ["reach: [‸22]", "bad value for reach[0]"],
    ["reach: [‸tcp/65536]", "bad value for reach[0]"],
    ["protect: [‸0.0.0.0/0]", "protecting every address would leave nothing to block"],
    ["protect: [10.0.0.0/8, ‸128.0.0.0/1]", "a network wider than /8 can't be protected"],
    ["protect: [10.0.0.0/8, 'fc00::/7', ‸'2000::/3']", "a network wider than /7 can't be protected"],
    ["protect: [‸192.0.2.1-192.0.2.9]", "a range can't be protected: write its networks"],
    ["protect: [‸gateway]", "gateway is a name, which may resolve differently over time"],
    ["protect: [‸[]]", "this isn't an address"],
  ])("%s", (fields, message) => expectRefusal(policyWith(fields), message));

  test.each([
    ["‸targets: { servers: [a] }\n", "policy is missing"],
    ["‸policy: edge\n", "targets is missing"],
    ["policy: ‸Edge\ntargets: { servers: [a] }\n", "bad value for policy"],
    [`policy: ‸${"e".repeat(32)}\ntargets: { servers: [a] }\n`, "bad value for policy"],
    ["policy: ‸l\ntargets: { servers: [a] }\n", "bad value for policy"],
    ["policy: ‸tmp\ntargets: { servers: [a] }\n", "bad value for policy"],
    ["policy: ‸protect\ntargets: { servers: [a] }\n", "bad value for policy"],
    ["policy: ‸control\ntargets: { servers: [a] }\n", "bad value for policy"],
    ["policy: edge\ntargets: ‸all\n", "bad value for targets"],
    ["policy: edge\ntargets: ‸{}\n", "this targets no server"],
    ["policy: edge\ntargets: { servers: ‸[] }\n", "this targets no server"],
    ["policy: edge\ntargets: { servers: [‸Web 1] }\n", "bad value for servers[0]"],
    ["policy: edge\ntargets: { labels: ‸{} }\n", "this targets every server, or none"],
    [
      "policy: edge\ntargets: ‸{ servers: [a], labels: { role: web } }\n",
      "servers and labels can't be told both",
    ],
    [
      "policy: edge\ntargets: { servers: [a], ‸labls: { role: web } }\n",
      "unknown field labls; did you mean labels?",
    ],
  ])("%j", (text, message) => expectRefusal(text, message));
});

test("all problems come at once, in the order of the file, each in full", () => {
  const result = parsePolicy(
    policyWith(`reach: [ssh]
firewall:
  filter:
    INPUT:
      - -s 300.1.1.1 -j nochain
sets: { office: { type: hash:net, entries: [192.0.2.0/33], sise: 5 } }
order: low
`),
    "edge.yaml",
  );
  expect(result.ok ? [] : result.problems.map(formatProblem)).toEqual([
    "edge.yaml:3:9: bad value for reach[0] (at reach[0], found ssh, expected tcp/PORT, such as tcp/22)",
    "edge.yaml:7:12: 300.1.1.1 is no address (at firewall.filter.INPUT[0], found 300.1.1.1, expected an address, a network, or -m set with a set of this policy)",
    "edge.yaml:7:25: no chain 'nochain' in table filter of this policy (at firewall.filter.INPUT[0], found nochain, expected a chain under firewall.filter, one under external.chains.filter, or a target)",
    "edge.yaml:8:45: the prefix of 192.0.2.0/33 is out of range (at sets.office.entries[0], found 192.0.2.0/33, expected an address, network or range)",
    expect.stringMatching(
      /^edge.yaml:8:60: unknown field sise; did you mean size\? \(at sets.office.sise, found sise, expected one of type, entries, /,
    ),
    "edge.yaml:9:8: bad value for order (at order, found low, expected a whole number from -10000 to 10000)",
  ]);
});

test("a file that is wrong everywhere ends in a count", () => {
  const result = parsePolicy(policyWith(`reach: [${Array(1200).fill("x")}]`));
  expect(!result.ok && result.problems.length).toBe(501);
  expect(!result.ok && result.problems.at(-1)?.message).toBe("and 700 more problems");
});

test("one that goes on being wrong isn't read to its end", () => {
  const rules = "      - -j NOPE1x\n".repeat(50_000);
  const result = parsePolicy(policyWith(`firewall:\n  filter:\n    INPUT:\n${rules}`));
  expect(!result.ok && result.problems.at(-1)).toEqual({ message: "and more than 1000 more problems" });
});

describe("no text makes it throw", () => {
  test("any text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => {
        expect(parsePolicy(text).ok).toBe(false);
      }),
    );
  });

  test("the example with a piece of it replaced", () => {
    const piece = fc.oneof(
      fc.string({ maxLength: 8 }),
      fc.constantFrom(
        "[",
        "]",
        "{",
        "}",
        "\n",
        "\t",
        ": ",
        " #",
        "*a",
        "&a ",
        "!",
        "|",
        ">-",
        "'",
        '"',
        "$x",
        "---\n",
        "- ",
        "null",
      ),
    );
    fc.assert(
      fc.property(fc.nat(EXAMPLE.length), fc.nat(40), piece, (at, length, text) => {
        const result = parsePolicy(EXAMPLE.slice(0, at) + text + EXAMPLE.slice(at + length));
        if (result.ok) expect(policyDocument.safeParse(result.document).success).toBe(true);
        else for (const problem of result.problems) expect(problem.place?.line).toBeGreaterThan(0);
      }),
      { numRuns: 300 },
    );
  });

  test("any values in the known fields", () => {
    const leaf = fc.oneof(
      fc.string({ maxLength: 12 }),
      fc.constantFrom("$a", "hash:net", "-j", "192.0.2.1", "1mbit", "22"),
    );
    const keys = fc.constantFrom(
      ...[
        "policy",
        "targets",
        "vars",
        "sets",
        "firewall",
        "filter",
        "INPUT",
        "shaping",
        "classes",
        "guards",
        "limits",
        "external",
      ],
      ...[
        "chains",
        "type",
        "entries",
        "match",
        "leaf",
        "kind",
        "ingress",
        "tbf",
        "rule",
        "family",
        "constructor",
        "toString",
      ],
    );
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 5 },
        leaf,
        fc.array(tie("value"), { maxLength: 4 }),
        fc.dictionary(keys, tie("value"), { maxKeys: 6 }),
      ),
    }));
    fc.assert(
      fc.property(fc.dictionary(keys, value, { maxKeys: 8 }), (fields) => {
        expect(typeof parsePolicy(JSON.stringify(fields)).ok).toBe("boolean");
      }),
      { numRuns: 300 },
    );
  });
});
