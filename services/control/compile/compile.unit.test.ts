import { canonicalJson } from "@sluice/proto/base/canonical";
import { digestOf } from "@sluice/proto/base/digest";
import { EMPTY_MANIFEST, type Manifest, manifest as manifestShape } from "@sluice/proto/manifest/manifest";
import fc from "fast-check";
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
  restoreText,
  rule,
  set,
  shapedClass,
} from "./test-input.ts";
import { webEdge } from "./web-edge-example.ts";

function compiled(input: CompileInput): Manifest {
  const result = compile(input);
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.manifest;
}

const HEAD4 = [
  "-i lo -j ACCEPT",
  "-m set --match-set sl-protect-4 src -j ACCEPT",
  "-p tcp -m set --match-set sl-control-4 src,src -j ACCEPT",
];

const NOT_PROTECTED = ["src", "dst"].map((end) => `-m set ! --match-set sl-protect-4 ${end}`).join(" ");

test("the design's example becomes this IPv4 text", () => {
  expect(restoreText(compiled(inputWith([webEdge()])), 4)).toEqual([
    "[raw SL-OUTPUT]",
    "-o lo -j ACCEPT",
    "-m set --match-set sl-protect-4 dst -j ACCEPT",
    "-p tcp -m set --match-set sl-control-4 dst,dst -j ACCEPT",
    "-m set --match-set sl-l-blocklist-4 dst -j DROP",
    "[raw SL-PREROUTING]",
    ...HEAD4,
    "-m set --match-set sl-l-blocklist-4 src -j DROP",
    "[mangle SL-FORWARD]",
    `-m set --match-set sl-l-blocklist-4 dst ${NOT_PROTECTED} -j DROP`,
    "[mangle SL-POSTROUTING]",
    "-j SL-web-edge-shape",
    "[mangle SL-web-edge-shape]",
    "-o eth0 -p tcp --sport 80 -j MARK --set-mark 80",
    "[filter SL-INPUT]",
    ...HEAD4,
    "-p tcp --dport 22 -m conntrack --ctstate NEW -j SL-web-edge-g-ssh",
    "-j SL-web-edge-INPUT",
    "[filter SL-web-edge-INPUT]",
    "-m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
    "-p tcp --dport 22 -m set --match-set sl-web-edge-office-hn4 src -j ACCEPT",
    "-p tcp --dport 22 -j SL-web-edge-ssh",
    "[filter SL-web-edge-g-ssh]",
    "-m set --match-set sl-reach-4 src -j RETURN",
    "-m recent --update --name sl:web-edge:ssh:ban --seconds 600 --hitcount 1 -j DROP",
    "-m recent --set --name sl:web-edge:ssh:1",
    "-m recent --set --name sl:web-edge:ssh:2",
    "-m recent --set --name sl:web-edge:ssh:3",
    "-m recent --set --name sl:web-edge:ssh:4",
    "-m recent --update --name sl:web-edge:ssh:1 --seconds 20 --hitcount 3 -j SL-web-edge-g-ssh-ban",
    "-m recent --update --name sl:web-edge:ssh:2 --seconds 200 --hitcount 15 -j SL-web-edge-g-ssh-ban",
    "-m recent --update --name sl:web-edge:ssh:3 --seconds 2000 --hitcount 80 -j SL-web-edge-g-ssh-ban",
    "-m recent --update --name sl:web-edge:ssh:4 --seconds 20000 --hitcount 400 -j SL-web-edge-g-ssh-ban",
    "[filter SL-web-edge-g-ssh-ban]",
    "-m recent --name sl:web-edge:ssh:ban --set",
    "-j DROP",
    "[filter SL-web-edge-ssh]",
    "-m recent --update --name blacklist --seconds 600 --hitcount 1 -j DROP",
  ]);
});

test("its IPv6 text differs only in the sets and in what keeps a server in its network", () => {
  const manifest = compiled(inputWith([webEdge()]));
  const six = restoreText(manifest, 6).filter((line) => !/--icmpv6-type|fe80::/.test(line));
  const asFour = six.map((line) =>
    line.replace(/(sl-(?:protect|control|reach|l-blocklist)-)6/g, "$14").replace("hn6", "hn4"),
  );
  expect(asFour).toEqual(restoreText(manifest, 4));
  for (const name of ["SL-INPUT", "SL-PREROUTING", "SL-OUTPUT"]) {
    const head = manifest.chains.find((one) => one.family === 6 && one.name === name);
    expect(head?.rules.filter(({ args }) => /--icmpv6-type 13[3-6] -j ACCEPT$/.test(args))).toHaveLength(4);
    const fromNeighbours = head?.rules.filter(({ args }) => args.startsWith("-s fe80::/10 ")) ?? [];
    expect(fromNeighbours.map(({ args }) => args)).toEqual(
      name === "SL-OUTPUT"
        ? []
        : [
            ...["130", "131", "132", "143"].map(
              (type) => `-s fe80::/10 -p ipv6-icmp --icmpv6-type ${type} -j ACCEPT`,
            ),
            "-s fe80::/10 -p udp --sport 547 --dport 546 -j ACCEPT",
          ],
    );
  }
});

test("where the kernel has fw, a mark leads to the class in both families", () => {
  const [device] = compiled(inputWith([webEdge()])).devices;
  expect(device?.egress?.qdiscs).toMatchObject([
    { parent: "root", handle: "1:", kind: "htb", args: ["default", "20", "direct_qlen", "1000"] },
  ]);
  expect(device?.egress?.classes.map(({ classid, args }) => `${classid} ${args.join(" ")}`)).toEqual([
    "1:10 rate 200kbit ceil 200kbit prio 1 mtu 1500 burst 1525 cburst 1525 quantum 2500",
    "1:20 rate 1024kbit ceil 1024kbit prio 2 mtu 1500 burst 1628 cburst 1628 quantum 12800",
  ]);
  expect(device?.egress?.filters).toMatchObject([
    { parent: "1:", protocol: "ip", prio: 1, handle: "80", kind: "fw", args: ["flowid", "1:10"] },
    { parent: "1:", protocol: "ipv6", prio: 2, handle: "80", kind: "fw", args: ["flowid", "1:10"] },
  ]);
});

test("where it has none, CLASSIFY names the class itself", () => {
  const manifest = compiled(inputWith([webEdge()], { facts: factsWith({ filters: ["u32"] }) }));
  expect(manifest.devices[0]?.egress?.filters).toEqual([]);
  for (const family of [4, 6] as const)
    expect(restoreText(manifest, family)).toContain("-o eth0 -p tcp --sport 80 -j CLASSIFY --set-class 1:10");
});

test("everything that comes from a policy says from which line", () => {
  const { chains, sets, devices } = compiled(inputWith([webEdge()]));
  const blocked = chains.find(({ name }) => name === "SL-PREROUTING")?.rules.at(-1);
  expect(blocked?.origin).toEqual({ policy: "web-edge", revision: 1, line: 15, path: "blocks[0]" });
  const guard = chains.find(({ name }) => name === "SL-web-edge-g-ssh")?.rules[0];
  expect(guard?.origin).toMatchObject({ line: 19, path: "guards.ssh" });
  const own = chains.find(({ name }) => name === "SL-web-edge-INPUT")?.rules[1];
  expect(own?.origin?.path).toBe("firewall.filter.INPUT[1]");
  expect(sets[0]?.origin.path).toBe("sets.office");
  expect(devices[0]?.egress?.classes[0]?.origin?.path).toBe("shaping.$uplink.classes.web");
});

test("a manifest has the contract's shape and is addressed by its content", () => {
  const result = compile(inputWith([webEdge()]));
  if (!result.ok) throw new Error("refused");
  expect(manifestShape.parse(result.manifest)).toEqual(result.manifest);
  expect(result.digest).toBe(digestOf(result.manifest));
  const elsewhere = compile(
    inputWith([webEdge()], { server: { name: "server-2", labels: { role: "web" } } }),
  );
  expect(elsewhere).toMatchObject({ digest: result.digest });
});

test("a server without policies is to hold nothing", () => {
  expect(compiled(inputWith([]))).toEqual(EMPTY_MANIFEST);
});

const base = documentWith({
  policy: "base",
  order: 10,
  ...firewallOf(
    chain("filter", "INPUT", ["-s 203.0.113.9 -j DROP"]),
    chain("nat", "POSTROUTING", ["-o eth0 -j MASQUERADE"]),
  ),
  guards: [guardWith({ name: "mail", ports: ["25", "587"] })],
  blocks: [{ list: "blocklist", direction: "in", line: 2, column: 1 }],
  protect: [{ text: "198.51.100.0/24", line: 3, column: 1 }],
  drift: "report",
  deadlineMs: 90_000,
});

test("policies apply by order, each with its guards before its own rules", () => {
  const manifest = compiled(inputWith([webEdge(), base]));
  const head = manifest.chains.find((one) => one.name === "SL-INPUT" && one.family === 4);
  expect(head?.rules.slice(3).map(({ args }) => args)).toEqual([
    "-p tcp -m multiport --dports 25,587 -m conntrack --ctstate NEW -j SL-base-g-mail",
    "-j SL-base-INPUT",
    "-p tcp --dport 22 -m conntrack --ctstate NEW -j SL-web-edge-g-ssh",
    "-j SL-web-edge-INPUT",
  ]);
  expect(manifest).toMatchObject({
    policies: [{ policy: "base" }, { policy: "web-edge" }],
    protect: ["198.51.100.0/24"],
    drift: "report",
    deadlineMs: 90_000,
  });
});

test("what else stands in mangle FORWARD is met by protected packets, too, though a list drops there", () => {
  const clamp = "-p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu";
  const blocks = [{ list: "blocklist", direction: "out" as const, line: 2, column: 1 }];
  const document = documentWith({ blocks, ...firewallOf(chain("mangle", "FORWARD", [clamp])) });
  const { chains } = compiled(inputWith([document]));
  const head = chains.find(({ name, family }) => name === "SL-FORWARD" && family === 4);
  expect(head?.rules.map(({ args }) => args)).toEqual([
    `-m set --match-set sl-l-blocklist-4 dst ${NOT_PROTECTED} -j DROP`,
    "-j SL-web-edge-FORWARD",
  ]);
});

test("a list that two policies block is dropped once in each direction", () => {
  const text = restoreText(compiled(inputWith([webEdge(), base])), 4);
  expect(text.filter((line) => line.includes("sl-l-blocklist-4"))).toEqual([
    "-m set --match-set sl-l-blocklist-4 dst -j DROP",
    "-m set --match-set sl-l-blocklist-4 src -j DROP",
    `-m set --match-set sl-l-blocklist-4 dst ${NOT_PROTECTED} -j DROP`,
  ]);
});

test("the order in which policies are assigned makes no difference", () => {
  const documents = [
    webEdge(),
    base,
    documentWith({
      policy: "mail",
      order: 100,
      ...firewallOf(chain("filter", "OUTPUT", ["-p tcp --dport 25 -j ACCEPT"])),
    }),
    documentWith({
      policy: "office",
      order: 100,
      sets: [set("office", "hash:net", ["192.0.2.0/24"])],
      reach: [{ protocol: "tcp", port: 443, line: 1, column: 1 }],
    }),
    documentWith({
      policy: "last",
      order: 900,
      firewall: { defaults: [defaultOf("INPUT")], chains: [] },
      probes: [{ tcp: "[2001:db8::1]:53", line: 1, column: 1 }],
    }),
  ];
  const expected = canonicalJson(compile(inputWith(documents)));
  fc.assert(
    fc.property(fc.shuffledSubarray(documents, { minLength: documents.length }), (shuffled) => {
      expect(canonicalJson(compile(inputWith(shuffled)))).toBe(expected);
    }),
  );
});

test("the order of entries in a set makes no difference, nor does writing one twice", () => {
  const entries = ["192.0.2.0/24", "2001:db8::/32", "198.51.100.7", "10.0.0.0/8", "2001:DB8:1::1"];
  const digestFor = (some: readonly string[]) => {
    const result = compile(
      inputWith([
        documentWith({
          sets: [
            { ...set("s", "hash:net", []), entries: some.map((text) => ({ text, line: 1, column: 1 })) },
          ],
        }),
      ]),
    );
    return result.ok ? result.digest : result.problems;
  };
  fc.assert(
    fc.property(
      fc.shuffledSubarray([...entries, ...entries], { minLength: 2 * entries.length }),
      (shuffled) => {
        expect(digestFor(shuffled)).toBe(digestFor(entries));
      },
    ),
  );
});

test("two policies with the same chain and set names don't meet in the kernel", () => {
  const parts = {
    sets: [set("office", "hash:net", [])],
    ...firewallOf(
      chain("filter", "INPUT", ["-j ssh"]),
      chain("filter", "ssh", ["-m set --match-set office src -j ACCEPT"]),
    ),
  };
  const manifest = compiled(
    inputWith([documentWith({ policy: "a", ...parts }), documentWith({ policy: "b", ...parts })]),
  );
  const identities = manifest.chains.map(({ family, table, name }) => `${family}/${table}/${name}`);
  expect(new Set(identities).size).toBe(identities.length);
  expect(manifest.sets.map(({ name }) => name)).toEqual([
    "sl-a-office-hn4",
    "sl-a-office-hn6",
    "sl-b-office-hn4",
    "sl-b-office-hn6",
  ]);
});

test("default: drop stands in the tail alone, and both families have it", () => {
  const manifest = compiled(
    inputWith([
      documentWith({
        firewall: {
          defaults: [defaultOf("INPUT", "drop", "in: "), defaultOf("FORWARD", "reject")],
          chains: [],
        },
      }),
    ]),
  );
  for (const family of [4, 6] as const) {
    const text = restoreText(manifest, family);
    const at = text.indexOf("[filter SL-INPUT-end]");
    expect(text.slice(at, at + 3)).toEqual([
      "[filter SL-INPUT-end]",
      '-j LOG --log-prefix "in: "',
      "-j DROP",
    ]);
    expect(text).toContain(`-m set --match-set sl-protect-${family} dst -j ACCEPT`); // FORWARD, the other direction
    expect(text.slice(text.indexOf("[filter SL-FORWARD-end]"))[1]).toBe("-j REJECT");
    const hooks = manifest.hooks.filter((hook) => hook.family === family && hook.hook === "INPUT");
    expect(hooks.map(({ at: end, chain: name }) => `${end} ${name}`)).toEqual([
      "head SL-INPUT",
      "tail SL-INPUT-end",
    ]);
  }
});

test("the same default in two policies is one tail", () => {
  const closed = (policy: string) =>
    documentWith({ policy, firewall: { defaults: [defaultOf("INPUT")], chains: [] } });
  const manifest = compiled(inputWith([closed("a"), closed("b")]));
  expect(manifest.hooks.filter(({ at, family }) => at === "tail" && family === 4)).toHaveLength(1);
});

test("plain marking and nat pass nobody by, since an accept there would skip them", () => {
  const manifest = compiled(
    inputWith([
      documentWith(
        firewallOf(
          chain("mangle", "PREROUTING", ["-p tcp --dport 80 -j MARK --set-mark 7"]),
          chain("nat", "PREROUTING", ["-p tcp --dport 80 -j DNAT --to-destination 10.0.0.1:8080"]),
          chain("raw", "PREROUTING", ["-p udp --dport 53 -j NOTRACK"]),
        ),
      ),
    ]),
  );
  const heads = manifest.chains.filter(({ name }) => name === "SL-PREROUTING");
  for (const head of heads) expect(head.rules.map(({ args }) => args)).toEqual(["-j SL-web-edge-PREROUTING"]);
});

test("the filter table always passes what is protected, also before a guard alone", () => {
  const manifest = compiled(inputWith([documentWith({ guards: [guardWith()] })]));
  const head = manifest.chains.find(({ name, family }) => name === "SL-INPUT" && family === 4);
  expect(head?.rules.map(({ args }) => args)).toEqual([
    ...HEAD4,
    "-p tcp --dport 22 -m conntrack --ctstate NEW -j SL-web-edge-g-ssh",
  ]);
});

test("a drop in a chain that mangle leads to makes its head pass what is protected, after the marks for shaping", () => {
  const document = webEdge(
    firewallOf(
      chain("mangle", "POSTROUTING", ["-p tcp -j checks"]),
      chain("mangle", "checks", ["-m u32 --u32 0>>22&0x3C@4=0x29 -j DROP"]),
      chain("mangle", "PREROUTING", ["-j MARK --set-mark 7"]),
    ),
  );
  const result = compile(inputWith([document]));
  if (!result.ok) throw new Error("refused");
  const head = (hook: string) =>
    result.manifest.chains
      .find(({ name, table, family }) => name === `SL-${hook}` && table === "mangle" && family === 4)
      ?.rules.map(({ args }) => args);
  expect(head("POSTROUTING")).toEqual([
    "-j SL-web-edge-shape",
    "-o lo -j ACCEPT",
    "-m set --match-set sl-protect-4 dst -j ACCEPT",
    "-p tcp -m set --match-set sl-control-4 dst,dst -j ACCEPT",
    "-j SL-web-edge-POSTROUTING",
  ]);
  expect(head("PREROUTING")).toEqual(["-j SL-web-edge-PREROUTING"]);
  expect(result.warnings.join()).toContain("something can drop in mangle POSTROUTING");
});

test("an IPv4 port forward in a chain of its own leaves the IPv6 nat table alone", () => {
  const manifest = compiled(
    inputWith([
      documentWith(
        firewallOf(
          chain("nat", "PREROUTING", ["-p tcp --dport 80 -j web"]),
          chain("nat", "web", ["-j DNAT --to-destination 10.0.0.1:8080"]),
        ),
      ),
    ]),
  );
  expect(new Set(manifest.chains.map(({ family }) => family))).toEqual(new Set([4]));
});

test("a server without IPv6 gets the IPv4 half", () => {
  const manifest = compiled(inputWith([webEdge()], { facts: factsWith({ ipv6: false }) }));
  const whole = compiled(inputWith([webEdge()]));
  expect(manifest.chains).toEqual(whole.chains.filter(({ family }) => family === 4));
  expect(manifest.hooks).toEqual(whole.hooks.filter(({ family }) => family === 4));
  expect(manifest.sets.map(({ name }) => name)).toEqual(["sl-web-edge-office-hn4"]);
  expect(manifest.lists).toEqual([{ list: "blocklist", sets: [{ name: "sl-l-blocklist-4", family: 4 }] }]);
});

test("of classes that match the same packet the first one wins: its rule stands last", () => {
  const classes = [
    shapedClass("inner", 1, 1000, {
      children: [
        shapedClass("web", 0x10, 200, { match: [rule("-p tcp --sport 80"), rule("-p tcp --sport 443")] }),
        shapedClass("tcp", 0x20, 300, { match: [rule("-p tcp")] }),
      ],
    }),
    shapedClass("rest", 0x30, 100, { isDefault: true, match: [rule("-p icmp")] }),
  ];
  const manifest = compiled(
    inputWith([
      documentWith({
        shaping: [
          { device: "eth0", line: 5, column: 1, egress: { kind: "htb", line: 5, column: 1, classes } },
        ],
      }),
    ]),
  );
  const shape = (family: 4 | 6) =>
    manifest.chains.find((one) => one.name === "SL-web-edge-shape" && one.family === family);
  expect(shape(4)?.rules.map(({ args }) => args)).toEqual([
    "-o eth0 -p icmp -j MARK --set-mark 48",
    "-o eth0 -p tcp -j MARK --set-mark 32",
    "-o eth0 -p tcp --sport 80 -j MARK --set-mark 16",
    "-o eth0 -p tcp --sport 443 -j MARK --set-mark 16",
  ]);
  expect(shape(6)?.rules).toHaveLength(3);
  expect(manifest.devices[0]?.egress?.classes.map(({ parent, classid }) => `${parent} ${classid}`)).toEqual([
    "1: 1:1",
    "1:1 1:10",
    "1:1 1:20",
    "1: 1:30",
  ]);
});

test("what would depend on the device is always said", () => {
  const leaf = (kind: string, args: string[] = []) => ({ leaf: { kind, args } });
  const classes = [
    shapedClass("a", 0xa, 200, leaf("pfifo")),
    shapedClass("b", 0xb, 200, leaf("sfq", ["perturb", "10"])),
    shapedClass("c", 0xc, 10_000_000, { ...leaf("fq_codel", ["limit", "500"]), quantumBytes: undefined }),
  ];
  const egress = { kind: "htb" as const, line: 5, column: 1, classes };
  const [device] = compiled(
    inputWith([documentWith({ shaping: [{ device: "eth0", line: 5, column: 1, egress }] })]),
  ).devices;
  expect(
    device?.egress?.qdiscs
      .slice(1)
      .map(({ parent, handle, kind, args }) => [parent, handle, kind, ...args].join(" ")),
  ).toEqual([
    "1:a a: pfifo limit 1000",
    "1:b b: sfq limit 127 quantum 1514 perturb 10",
    "1:c c: fq_codel quantum 1514 limit 500",
  ]);
  expect(device?.egress?.classes[2]?.args.join(" ")).toBe(
    "rate 10gbit ceil 10gbit prio 0 mtu 1500 burst 1251500 cburst 1251500 quantum 200000",
  );
});

test("a single qdisc is the whole tree; what comes in is shaped on the device's own IFB", () => {
  const classes = [
    shapedClass("web", 0x10, 200, { match: [rule("-p tcp --dport 80"), rule("-s 192.0.2.0/24")] }),
    shapedClass("rest", 0x20, 800, { isDefault: true }),
  ];
  const [device] = compiled(
    inputWith([
      documentWith({
        shaping: [
          {
            device: "eth0",
            line: 5,
            column: 1,
            egress: {
              kind: "single",
              line: 6,
              column: 1,
              qdisc: { kind: "tbf", args: ["rate", "1mbit", "burst", "32kb", "latency", "400ms"] },
            },
            ingress: { kind: "htb", line: 7, column: 1, classes },
          },
        ],
      }),
    ]),
  ).devices;
  expect(device?.egress).toMatchObject({
    qdiscs: [{ parent: "root", handle: "1:", kind: "tbf" }],
    classes: [],
    filters: [],
  });
  expect(device?.ingress?.ifb).toBe("slifb-eth0");
  expect(
    device?.ingress?.tree.filters.map(({ handle, protocol, args }) => [protocol, handle, ...args].join(" ")),
  ).toEqual([
    "all 800::1 match u8 0x40 0xf0 at 0 match ip protocol 6 0xff match ip dport 80 0xffff flowid 1:10",
    "all 800::2 match u8 0x60 0xf0 at 0 match ip6 protocol 6 0xff match ip6 dport 80 0xffff flowid 1:10",
    "all 800::3 match u8 0x40 0xf0 at 0 match ip src 192.0.2.0/24 flowid 1:10",
  ]);
});

test("a foreign chain and set are stubbed in the families that name them", () => {
  const { external } = compiled(
    inputWith([
      documentWith({
        external: {
          chains: [{ table: "filter", name: "DOCKER-USER", line: 1, column: 1 }],
          sets: [
            { name: "f2b-sshd", type: "hash:ip", line: 2, column: 1 },
            { name: "f2b-sshd6", type: "hash:ip", line: 3, column: 1 },
          ],
        },
        ...firewallOf(
          chain("filter", "FORWARD", ["-s 192.0.2.1 -j DOCKER-USER"]),
          chain("filter", "INPUT", [
            "-m set --match-set f2b-sshd src -j DROP",
            rule("-m set --match-set f2b-sshd6 src -j DROP", { family: 6 }),
          ]),
        ),
      }),
    ]),
  );
  expect(external).toEqual({
    chains: [{ family: 4, table: "filter", name: "DOCKER-USER" }],
    sets: [
      { name: "f2b-sshd", type: "hash:ip", family: 4 },
      { name: "f2b-sshd6", type: "hash:ip", family: 6 },
    ],
  });
});

test("a closed INPUT without a way back or a proof of the way in is warned of", () => {
  const closed = (parts: Partial<Parameters<typeof documentWith>[0]> = {}) =>
    compile(
      inputWith([documentWith({ firewall: { defaults: [defaultOf("INPUT")], chains: [] }, ...parts })]),
    );
  expect(closed()).toMatchObject({
    warnings: [
      expect.stringContaining("no rule accepts ESTABLISHED"),
      expect.stringContaining("no policy has `reach`"),
    ],
  });
  const open = closed({
    firewall: {
      defaults: [defaultOf("INPUT")],
      chains: [chain("filter", "INPUT", ["-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"])],
    },
    reach: [{ protocol: "tcp", port: 22, line: 1, column: 1 }],
  });
  expect(open).toMatchObject({ ok: true, warnings: [] });
});

test("thousands of chains in a row are followed to their end", () => {
  const chains = Array.from({ length: 5_000 }, (_, i) => chain("mangle", `c${i}`, [`-j c${i + 1}`]));
  const way = [
    chain("mangle", "INPUT", ["-j c0"]),
    ...chains,
    chain("mangle", "c5000", ["-s 192.0.2.1 -j DROP"]),
  ];
  const manifest = compiled(inputWith([documentWith(firewallOf(...way))]));
  expect(manifest.chains.find(({ name }) => name === "SL-INPUT")?.rules[0]?.args).toBe("-i lo -j ACCEPT");
  expect(manifest.chains.filter(({ family }) => family === 6)).toEqual([]);
});
