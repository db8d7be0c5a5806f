import { describe, expect, test } from "vitest";
import { deviceFactsOf, parseLinks } from "./devices.ts";
import { osName } from "./probe-facts.ts";
import { parseVersion } from "./probe-iptables.ts";
import { gatewaysOf, protectEntries, resolversOf } from "./protect-entries.ts";

describe("the protect set", () => {
  const always = { 4: ["224.0.0.0/4", "255.255.255.255"], 6: ["ff00::/8"] };

  test("holds multicast on every server, and no neighbour", () => {
    expect(protectEntries([])).toEqual(always);
  });

  test("spells an address as the kernel does, once, however it was written", () => {
    const { 4: v4, 6: v6 } = protectEntries([
      "192.0.2.7/32",
      "192.0.2.7",
      "2001:DB8:0::1",
      "2001:db8::1/128",
    ]);
    expect(v4).toContain("192.0.2.7");
    expect(v6.filter((entry) => entry.startsWith("2001"))).toEqual(["2001:db8::1"]);
  });

  test("leaves out loopback, what a network in it holds, and what is no address", () => {
    expect(protectEntries(["127.0.0.53", "::1", "ff02::1%eth0", "dns.example", "", "1.2.3"])).toEqual(always);
  });

  test("holds a gateway or resolver of the link by its own address", () => {
    expect(protectEntries(["fe80::1%eth0"])[6]).toEqual(["fe80::1", "ff00::/8"]);
  });

  test("has every resolver of a resolv.conf, and none that is commented out", () => {
    const text =
      "# nameserver 9.9.9.9\nsearch example\nnameserver 192.0.2.53\n nameserver\t2001:db8::53 \noptions edns0\n";
    expect(resolversOf(text)).toEqual(["192.0.2.53", "2001:db8::53"]);
  });

  test("has the gateways of plain, cross-family and multipath routes", () => {
    const routes = [
      { gateway: "192.0.2.1" },
      { via: { host: "fe80::9" } },
      { nexthops: [{ gateway: "192.0.2.2" }, { gateway: "192.0.2.3" }] },
      {},
    ];
    expect(gatewaysOf(routes)).toEqual(["192.0.2.1", "fe80::9", "192.0.2.2", "192.0.2.3"]);
  });
});

describe("devices", () => {
  const link = (ifname: string, more: object = {}) => ({
    ifname,
    mtu: 1500,
    txqlen: 1000,
    addr_info: [],
    ...more,
  });
  const address = (local: string, prefixlen: number, more: object = {}) => ({
    family: local.includes(":") ? "inet6" : "inet",
    local,
    prefixlen,
    scope: "global",
    ...more,
  });
  const names = (...links: object[]) =>
    deviceFactsOf(parseLinks(JSON.stringify(links))).map(({ name }) => name);

  test("that come and go by themselves don't change a server's facts", () => {
    const guest = link("veth3a1", { master: "docker0", linkinfo: { info_kind: "veth" } });
    const ifb = link("slifb-eth0", { linkinfo: { info_kind: "ifb" } });
    const bond = link("eth1", { master: "bond0" });
    expect(names(link("lo"), link("eth0"), guest, ifb, bond, link("docker0"))).toEqual([
      "docker0",
      "eth0",
      "eth1",
    ]);
  });

  test("have the addresses that stay, in order", () => {
    const addr_info = [
      address("2001:db8::9", 64),
      address("10.0.0.2", 24),
      address("2001:db8::abcd", 64, { temporary: true }),
      address("fe80::1", 64, { scope: "link" }),
    ];
    expect(deviceFactsOf(parseLinks(JSON.stringify([{}, link("eth0", { addr_info })])))).toEqual([
      { name: "eth0", mtu: 1500, txQueueLength: 1000, addresses: ["10.0.0.2/24", "2001:db8::9/64"] },
    ]);
  });
});

test("the backend of iptables is the one it names; the old ones that name none are legacy", () => {
  expect(parseVersion("iptables v1.8.9 (nf_tables)\n")).toEqual({ version: "1.8.9", backend: "nft" });
  expect(parseVersion("iptables v1.8.7 (legacy)\n")).toEqual({ version: "1.8.7", backend: "legacy" });
  expect(parseVersion("iptables v1.6.1\n")).toEqual({ version: "1.6.1", backend: "legacy" });
  expect(parseVersion("sh: iptables: not found")).toBeUndefined();
});

test("the system's name is the one it shows to people", () => {
  expect(osName('NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n')).toBe(
    "Debian GNU/Linux 12 (bookworm)",
  );
  expect(osName("")).toBe("unknown");
});
