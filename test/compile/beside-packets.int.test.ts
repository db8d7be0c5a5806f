import { createIpsetDriver } from "@sluice/agents/drivers/ipset/driver";
import { createIptablesDriver } from "@sluice/agents/drivers/iptables/driver";
import { namedNamespace } from "@sluice/agents/exec/named-namespace";
import { createFabric, type Fabric } from "@sluice/infra/net/fabric";
import { environmentIn, execIn } from "@sluice/infra/net/namespace";
import { type Station, startStation } from "@sluice/infra/packets/station";
import { FAMILIES, type Family } from "@sluice/proto/base/names";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { applyCompiled } from "./apply-compiled.ts";

/** Policies as they are compiled, in a kernel where another tool has chains of its own, met by packets. */
let fabric: Fabric;
let client: Station;
const stations: Station[] = [];
const BACKENDS = ["nft", "legacy"] as const;
const PORTS = [80, 81, 82];
const BANNED = { 4: "198.51.100.66", 6: "2001:db8:66::1" } as const;

beforeAll(async () => {
  fabric = await createFabric({ servers: 2, others: ["client"] });
  const host = fabric.host("client");
  await Promise.all([
    fabric.addAddress(host, `${BANNED[4]}/32`),
    fabric.addAddress(host, `${BANNED[6]}/128`),
  ]);
  client = await startStation(host.namespace);
  stations.push(client);
  await client.listen(80, { kind: "accept" });
});
afterAll(async () => {
  await Promise.all(stations.map((station) => station.stop()));
  await fabric?.dispose();
});

describe.each(BACKENDS.map((backend, index) => ({ backend, index })))("on $backend", ({ backend, index }) => {
  let station: Station;
  const host = () => fabric.servers[index] ?? fabric.host("server-1");
  const at = () => {
    const { XTABLES_LOCKFILE = "" } = environmentIn(host().namespace);
    return namedNamespace(host().namespace, { env: { XTABLES_LOCKFILE } });
  };
  const iptables = (family: Family, ...words: string[]) =>
    execIn(host().namespace, `${family === 4 ? "iptables" : "ip6tables"}-${backend}`, words);
  const drivers = [createIpsetDriver(), createIptablesDriver({ backend })];

  beforeAll(async () => {
    station = await startStation(host().namespace);
    stations.push(station);
    for (const port of PORTS) await station.listen(port, { kind: "accept" });
    // another tool, as fail2ban does it: a chain of its own, and a jump to it from INPUT
    for (const family of FAMILIES) {
      await iptables(family, "-N", "f2b-web");
      await iptables(family, "-A", "f2b-web", "-p", "tcp", "--dport", "81", "-j", "DROP");
      await iptables(family, "-A", "INPUT", "-p", "tcp", "-j", "f2b-web");
    }
  });
  afterAll(() => Promise.all(drivers.map((driver) => driver.close(at()))));

  const apply = (text: string, bans: readonly string[] = []) =>
    applyCompiled(text, { drivers, at: at(), protect: [host().ipv4, host().ipv6], bans });

  async function knocks(family: Family, from?: string): Promise<Record<number, string>> {
    const to = family === 4 ? host().ipv4 : host().ipv6;
    const tries = PORTS.map(async (port) => {
      const { outcome } = await client.connect({ to, port, timeoutMs: 900, ...(from && { from }) });
      return [port, outcome] as const;
    });
    return Object.fromEntries(await Promise.all(tries));
  }

  const WEB = (accept: string) => `
policy: web
targets: { servers: ["*"] }
firewall:
  ${accept}
  default: { INPUT: drop }
  filter:
    INPUT:
      - -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
      - -p tcp -j web
    web:
      - -p tcp -m multiport --dports 80,81 -j ACCEPT
      - -j DROP
`;
  const PASSED_BY = { 80: "accepted", 81: "accepted", 82: "timeout" };
  const HEARD = { 80: "accepted", 81: "timeout", 82: "timeout" };

  test.each([
    ["accept: final passes other tools by", "accept: final", PASSED_BY],
    [
      "accept: return lets them have their say, and the tail lets pass what was accepted",
      "accept: return",
      HEARD,
    ],
    ["unless it is said, they have their say where they have a chain", "", HEARD],
  ])("%s", async (_, accept, expected) => {
    await apply(WEB(accept));
    expect(await Promise.all(FAMILIES.map((family) => knocks(family)))).toEqual([expected, expected]);
  });

  test("a mark that a packet brings isn't taken for an accept of ours", async () => {
    // nothing but the tail stands in its way
    await apply(WEB("accept: return").replace("      - -j DROP\n", ""));
    for (const family of FAMILIES)
      await iptables(
        family,
        ..."-t mangle -A PREROUTING -p tcp --dport 82 -j MARK --set-mark 0x80000000".split(" "),
      );
    expect(await knocks(4)).toEqual(HEARD);
    expect(await knocks(6)).toEqual(HEARD);
    for (const family of FAMILIES) await iptables(family, "-t", "mangle", "-F", "PREROUTING");
  });

  test("what is protected passes in both directions and families, whatever rules and lists say", async () => {
    const plain = fabric.host("client");
    const listed = [plain.ipv4, plain.ipv6, BANNED[4], BANNED[6]];
    await apply(
      `
policy: closed
targets: { servers: ["*"] }
blocks: [bans]
protect: [${plain.ipv4}, "${plain.ipv6}"]
firewall:
  accept: final
  default: { INPUT: drop, OUTPUT: drop }
  raw: { PREROUTING: [-p tcp -j DROP] }
  mangle: { OUTPUT: [-p tcp -j DROP] }
  filter: { INPUT: [-j DROP], OUTPUT: [-j DROP] }
`,
      listed,
    );
    for (const family of FAMILIES) {
      const [own, banned] = [family === 4 ? plain.ipv4 : plain.ipv6, BANNED[family]];
      const outOf = async (to: string) => (await station.connect({ to, port: 80, timeoutMs: 900 })).outcome;
      expect(await knocks(family, own)).toMatchObject({ 80: "accepted", 82: "accepted" });
      expect(await outOf(own)).toBe("accepted");
      expect(await knocks(family, banned)).toMatchObject({ 80: "timeout", 82: "timeout" });
      expect(await outOf(banned)).not.toBe("accepted");
    }
  });
});
