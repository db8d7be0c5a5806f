import { SET_TYPES } from "@sluice/proto/policy/set-types";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type GuestServer, must, openGuestServer } from "./guest-server.ts";
import { onStockKernel } from "./on-stock-kernel.ts";

/** Most of the language, with what few kernels have: sets of every type, leaves beyond pfifo, classes by mark. */
const DEVICES = [
  "link add eth0 type veth peer name peer0",
  "address add 192.0.2.10/24 dev eth0",
  "address add 2001:db8::10/64 dev eth0 nodad",
  "link set peer0 up",
  "link set eth0 up",
  "link add eth1 type veth peer name peer1",
  "link add eth2 type veth peer name peer2",
];

const SETS = `
policy: sets
targets: { servers: ["*"] }
sets:
  pairs-of-nets: { type: "hash:net,net", entries: ["192.0.2.0/24,198.51.100.0/24", "2001:db8::/32,2001:db8:1::/48"] }
  cards: { type: "hash:mac", comment: true, entries: ['02:00:00:00:00:01 comment "a printer"', "02:00:00:00:00:02"] }
  cards-of-hosts: { type: "hash:ip,mac", entries: ["192.0.2.1,02:00:00:00:00:01", "2001:db8::1,02:00:00:00:00:01"] }
  marked: { type: "hash:ip,mark", markmask: "0xff", entries: ["192.0.2.1,0x50", "2001:db8::1,81"] }
  services: { type: "hash:ip,port", timeout: 10m, entries: ["192.0.2.1,tcp:80-82", "2001:db8::1,udp:53"] }
  flows: { type: "hash:ip,port,ip", counters: true, entries: ["192.0.2.1,tcp:80,192.0.2.2"] }
  flows-to-nets: { type: "hash:ip,port,net", entries: ["192.0.2.1,tcp:80,198.51.100.0/24"] }
  nets-of-services: { type: "hash:net,port", entries: ["192.0.2.0/24,tcp:22", "2001:db8::/32,icmpv6:128/0"] }
  nets-both-ways: { type: "hash:net,port,net", entries: ["192.0.2.0/24,tcp:22,198.51.100.0/24"] }
  nets-of-devices: { type: "hash:net,iface", entries: ["10.0.0.0/8,eth0"] }
  singles: { type: "hash:ip", netmask: 24, entries: ["192.0.2.7"] }
  nets: { type: "hash:net", skbinfo: true, entries: ["192.0.2.0/24 skbmark 0x50", "10.0.0.1-10.0.0.9"] }
  low: { type: "bitmap:port", range: 0-1023, entries: [22, 80-82] }
  lan: { type: "bitmap:ip", range: 10.1.0.0/24, entries: [10.1.0.1-10.1.0.3] }
  leases: { type: "bitmap:ip,mac", range: 10.1.0.0/24, entries: ["10.1.0.1,02:00:00:00:00:01"] }
  all: { type: "list:set", entries: [nets, singles] }
firewall:
  filter:
    INPUT:
      - -m set --match-set pairs-of-nets src,dst -j ACCEPT
      - -m set --match-set cards src -j ACCEPT
      - -m set --match-set nets-of-devices src,src -j DROP
      - -m set --match-set all src -j RETURN
    FORWARD:
      - -m set --match-set nets-both-ways src,dst,dst -j SET --add-set services src,dst
`;

const RULES = `
policy: rules
targets: { servers: ["*"] }
firewall:
  default: { INPUT: { verdict: drop, log: "in: " }, FORWARD: reject }
  raw:
    PREROUTING: [ -p udp --dport 53 -j NOTRACK ]
  mangle:
    PREROUTING: [ -i eth0 -p tcp --syn -j TCPMSS --set-mss 1400, -p tcp -j TPROXY --on-port 81 ]
    FORWARD: [ -j CONNMARK --save-mark, -p tcp -m tos --tos 0x10 -j DSCP --set-dscp-class EF ]
  nat:
    PREROUTING: [ -p tcp --dport 8080 -j REDIRECT --to-ports 80, "-d 2001:db8::5 -p tcp --dport 80 -j DNAT --to-destination [2001:db8::9]:8080" ]
    POSTROUTING: [ -o eth0 -j MASQUERADE ]
  filter:
    INPUT:
      - -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
      - -p tcp -m multiport --dports 80,443,1000:1010 -m comment --comment "the \\"web\\"" -j web
      - -p icmp --icmp-type echo-request -m limit --limit 60/minute -j ACCEPT
      - -p ipv6-icmp --icmpv6-type echo-request -j ACCEPT
      - -m physdev --physdev-in eth0 -j DROP
      - -m time --timestart 08:00 --timestop 18:00 --weekdays Mon,Tue -j ACCEPT
      - -m string --algo bm --string "bad word" -j DROP
      - -m statistic --mode nth --every 5 --packet 0 -j NFLOG --nflog-group 3
      - -p tcp -m hashlimit --hashlimit-name connections --hashlimit-mode srcip --hashlimit-above 50/sec -j DROP
      - -m iprange --src-range 192.0.2.1-192.0.2.9 -j ACCEPT
      - -p tcp -j REJECT --reject-with tcp-reset
    OUTPUT: [ -m owner --uid-owner 0 -j ACCEPT ]
    web:
      - -m recent --update --name blacklist --seconds 600 --hitcount 1 -j DROP
      - -m connlimit --connlimit-above 20 -j DROP
      - -m u32 --u32 "6&0xFF=6" -j ACCEPT
blocks: [blocklist]
guards:
  ssh: { port: 22, limits: [{ hits: 2, within: 20s }, { hits: 14, within: 200s }], ban: { for: 600s, renew: true } }
`;

const SHAPING = `
policy: shaping
targets: { servers: ["*"] }
shaping:
  eth0:
    classes:
      web: { rate: 200kbit, ceil: 200kbit, priority: 1, leaf: { kind: sfq, perturb: 10 }, match: [-p tcp --sport 80, -d 2001:db8:9::/48] }
      bulk: { rate: 100kbit, leaf: { kind: red, limit: 60000, min: 5000, max: 20000, avpkt: 1000, burst: 10 }, match: -p udp }
      slow: { rate: 100kbit, leaf: { kind: netem, delay: [50ms, 10ms], loss: 1% }, match: -p tcp --sport 81 }
      rest: { rate: 1024kbit, ceil: 1024kbit, priority: 2, default: true, leaf: { kind: fq_codel, ecn: true } }
    ingress:
      classes:
        web: { rate: 500kbit, leaf: { kind: fq_codel, target: 8ms }, match: [-p tcp --dport 80, -s 192.0.2.0/24, -s 2001:db8::1] }
        rest: { rate: 1mbit, default: true, leaf: cake }
`;

/** Every kind of tree, one in another, and every kind of filter that leads to classes. */
const TREES = `
policy: trees
targets: { servers: ["*"] }
shaping:
  eth0:
    kind: prio
    classes:
      voice: { match: -p udp --dport 5060, leaf: { kind: pfifo, limit: 50 } }
      office:
        match: -d 192.0.2.0/24
        leaf:
          kind: hfsc
          classes:
            web: { rate: { first: 4mbit, for: 10ms, after: 1mbit }, ceil: 8mbit, match: -p tcp --sport 80, leaf: fq }
            bulk: { share: 1mbit, default: true, leaf: auto }
      rest: { default: true, leaf: prio }
    ingress:
      by: flower
      classes:
        web: { rate: 500kbit, match: ['-p tcp -m multiport --dports 80,1000:1010', -s 2001:db8::/32], leaf: { kind: cake, bandwidth: 1mbit } }
        rest: { rate: 1mbit, match: all }
  eth1:
    by: flower
    kind: hfsc
    classes:
      up: { rate: 2mbit, classes: { web: { realtime: 100kbit, share: 1mbit, match: -p tcp --sport 80 }, rest: { share: 1mbit, match: all } } }
  eth2:
    by: u32
    classes:
      web: { rate: 1mbit, match: -p tcp --sport 80, leaf: { kind: netem, delay: 20ms } }
      rest: { rate: 1mbit, match: all, leaf: { kind: prio, bands: 4 } }
`;

const PATIENCE_MS = 240_000;

onStockKernel("policies", (kernel) => {
  let server: GuestServer;
  let bare: string;
  beforeAll(async () => {
    server = await openGuestServer({ kernel: kernel(), devices: DEVICES });
    bare = await dump();
  }, PATIENCE_MS);
  afterAll(() => server?.close());

  async function dump(): Promise<string> {
    const text = await must(server.live, "sh", [
      "-c",
      "iptables-legacy-save; ip6tables-legacy-save; ipset save; tc qdisc show; tc filter show dev eth0; ip -br link show type ifb",
    ]);
    // tables stay in a legacy kernel once they were looked into
    return text.replace(/^#.*\n/gm, "").replace(/\*\w+\n(?::[A-Z]+ ACCEPT \[\d+:\d+\]\n)+COMMIT\n/g, "");
  }

  test("the probe finds what this kernel has, and the backend that it takes rules in", () => {
    const { iptables, ipv6, qdiscs, filters, ifb, setTypes, recentMaxHits, targets } =
      server.facts.capabilities;
    expect(iptables.backend).toBe("legacy");
    expect({ ipv6, ifb, recentMaxHits }).toEqual({ ipv6: true, ifb: true, recentMaxHits: 255 });
    expect(setTypes).toEqual([...SET_TYPES.keys()].sort());
    expect(filters).toEqual(["basic", "bpf", "flower", "fw", "matchall", "u32"]);
    for (const kind of ["cake", "fq_codel", "hfsc", "htb", "ingress", "netem", "prio", "red", "sfq", "tbf"])
      expect(qdiscs).toContain(kind);
    expect(qdiscs).not.toContain("fq_pie"); // it was built without
    for (const target of ["CLASSIFY", "MARK", "LOG", "NFLOG", "REJECT", "SET", "TCPMSS", "TPROXY"])
      expect(targets).toContain(target);
  });

  test.each([
    ["sets of every type", SETS],
    ["rules in every table", RULES],
    ["classes by mark, with leaves of many kinds", SHAPING],
    ["trees of every kind, by filters of every kind", TREES],
  ])(
    "%s are held as rehearsed on both families, twice writes nothing, and nothing is left of them",
    async (_, policy) => {
      const { left, again, manifest } = await server.hold(policy);
      expect(left).toEqual([]);
      expect(again).toEqual([]);
      if (policy !== TREES)
        expect(new Set(manifest.chains.map(({ family }) => family))).toEqual(new Set([4, 6]));
      const gone = await server.hold();
      expect(gone.left).toEqual([]);
      expect(await dump()).toBe(bare);
    },
    PATIENCE_MS,
  );

  test(
    "all of them together, a change of each, and back",
    async () => {
      await server.hold(SETS, RULES, SHAPING);
      const changed = await server.hold(
        SETS.replace("192.0.2.0/24,198.51.100.0/24", "192.0.2.0/25,198.51.100.0/24"),
        RULES.replace("60/minute", "30/minute"),
        SHAPING.replace("perturb: 10", "perturb: 20").replaceAll("200kbit", "300kbit"),
      );
      expect(changed.left).toEqual([]);
      expect(changed.scripts.map(({ what }) => what)).toEqual([
        "sets: 1 changed",
        "ip4/filter: 1 chain",
        "eth0: 1 qdisc, 1 class",
      ]);
      expect((await server.hold(SETS, RULES, SHAPING)).left).toEqual([]);
      await server.hold();
      expect(await dump()).toBe(bare);
    },
    PATIENCE_MS,
  );
});
