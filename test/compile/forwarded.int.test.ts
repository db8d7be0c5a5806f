import { createIpsetDriver } from "@sluice/agents/drivers/ipset/driver";
import { createIptablesDriver } from "@sluice/agents/drivers/iptables/driver";
import { namedNamespace } from "@sluice/agents/exec/named-namespace";
import { createFabric, type Fabric } from "@sluice/infra/net/fabric";
import { addressLine, linkUpLines, vethPairLines } from "@sluice/infra/net/links";
import {
  configure,
  createNamespace,
  deleteNamespace,
  environmentIn,
  setSysctls,
} from "@sluice/infra/net/namespace";
import { type Station, startStation } from "@sluice/infra/packets/station";
import { cleanUpOnDeath } from "@sluice/infra/process/janitor";
import { FAMILIES, type Family } from "@sluice/proto/base/names";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { applyCompiled } from "./apply-compiled.ts";

/** A server that forwards and translates: what its policy drops of packets that only pass through it. */
const INSIDE = [0, 1].map((index) => `slt-inside-${process.pid}-${index}`);
const BANNED = { 4: "198.51.100.66", 6: "2001:db8:66::1" } as const;
const OTHER = { 4: "198.51.100.67", 6: "2001:db8:66::2" } as const;
const OWN = { 4: "10.99.0.1", 6: "fd99::1" } as const;
const INNER = { 4: "10.99.0.2", 6: "fd99::2" } as const;
const PORT = 8053;
const REDIRECTED = 8054;
const ANSWER_MS = 900;

let fabric: Fabric;
let outside: Station;
let janitor: { release(): void };
const stations: Station[] = [];

beforeAll(async () => {
  fabric = await createFabric({ servers: 2, others: ["client"] });
  janitor = cleanUpOnDeath({ namespaces: INSIDE });
  const host = fabric.host("client");
  for (const family of FAMILIES)
    for (const address of [BANNED[family], OTHER[family]])
      await fabric.addAddress(host, `${address}/${family === 4 ? 32 : 128}`);
  outside = await startStation(host.namespace);
  stations.push(outside);
});
afterAll(async () => {
  await Promise.all(stations.map((station) => station.stop()));
  await Promise.all(INSIDE.map(deleteNamespace));
  janitor?.release();
  await fabric?.dispose();
});

describe.each([
  { backend: "nft", index: 0 },
  { backend: "legacy", index: 1 },
] as const)("on $backend", ({ backend, index }) => {
  let inside: Station;
  const host = () => fabric.servers[index] ?? fabric.host("server-1");
  const at = () => {
    const { XTABLES_LOCKFILE = "" } = environmentIn(host().namespace);
    return namedNamespace(host().namespace, { env: { XTABLES_LOCKFILE } });
  };
  const drivers = [createIpsetDriver(), createIptablesDriver({ backend })];

  beforeAll(async () => {
    const { namespace } = host();
    const inner = INSIDE[index] ?? "";
    await createNamespace(inner);
    await configure(namespace, [
      ...vethPairLines({ near: "inner0", far: "eth0", farNamespace: inner }),
      ...linkUpLines("inner0", false),
      addressLine("inner0", `${OWN[4]}/24`),
      addressLine("inner0", `${OWN[6]}/64`),
    ]);
    await configure(inner, [
      ...linkUpLines("eth0", false),
      addressLine("eth0", `${INNER[4]}/24`),
      addressLine("eth0", `${INNER[6]}/64`),
      `route add default via ${OWN[4]}`,
      `route add default via ${OWN[6]}`,
    ]);
    await setSysctls(namespace, { "net.ipv4.ip_forward": 1, "net.ipv6.conf.all.forwarding": 1 });
    inside = await startStation(inner);
    stations.push(inside);
  });
  afterAll(() => Promise.all(drivers.map((driver) => driver.close(at()))));

  async function applyBlock(block: string, more = ""): Promise<void> {
    const text = `
policy: router
targets: { servers: ["*"] }
blocks: [${block}]
${more}
firewall:
  nat:
    POSTROUTING: ["-o ${host().device} -j MASQUERADE"]
    PREROUTING:
      - -4 -p udp --dport ${REDIRECTED} -j DNAT --to-destination ${BANNED[4]}:${PORT}
      - -6 -p udp --dport ${REDIRECTED} -j DNAT --to-destination [${BANNED[6]}]:${PORT}
`;
    const protect = [host().ipv4, host().ipv6, OWN[4], OWN[6]];
    await applyCompiled(text, { drivers, at: at(), protect, bans: [BANNED[4], BANNED[6]] });
  }

  /** One datagram from inside: whether it came out on the other side, and whether its answer came back. */
  async function asks(
    to: string,
    { port = PORT, at = to }: { port?: number; at?: string } = {},
  ): Promise<{ arrives: boolean; answered: boolean }> {
    await using listener = await outside.listen(PORT, { kind: "udp-echo" }, at);
    const { outcome } = await inside.ask({ to, port, text: "hello", timeoutMs: ANSWER_MS });
    const { from } = await listener.heard();
    return { arrives: from.length > 0, answered: outcome === "answered" };
  }
  const inBoth = (ask: (family: Family) => ReturnType<typeof asks>) =>
    FAMILIES.reduce<Promise<Awaited<ReturnType<typeof asks>>[]>>(
      async (before, family) => [...(await before), await ask(family)],
      Promise.resolve([]),
    );

  const PASSES = { arrives: true, answered: true };
  const DROPPED = { arrives: false, answered: false };
  const UNANSWERED = { arrives: true, answered: false };
  const twice = <T>(one: T) => [one, one];

  test("what is forwarded to a listed address is dropped, also where a rule of nat sends it there; all else passes", async () => {
    await applyBlock("bans");
    expect(await inBoth((family) => asks(OTHER[family]))).toEqual(twice(PASSES));
    expect(await inBoth((family) => asks(BANNED[family]))).toEqual(twice(DROPPED));
    expect(await inBoth((family) => asks(OTHER[family], { port: REDIRECTED, at: BANNED[family] }))).toEqual(
      twice(DROPPED),
    );
  });

  test("in one direction only the other passes: in drops answers, out drops questions", async () => {
    await applyBlock("{ list: bans, direction: in }");
    expect(await inBoth((family) => asks(BANNED[family]))).toEqual(twice(UNANSWERED));
    await applyBlock("{ list: bans, direction: out }");
    expect(await inBoth((family) => asks(BANNED[family]))).toEqual(twice(DROPPED));
  });

  test("what is protected may send through the server to a listed address", async () => {
    await applyBlock("{ list: bans, direction: out }", `protect: [${INNER[4]}, "${INNER[6]}"]`);
    expect(await inBoth((family) => asks(BANNED[family]))).toEqual(twice(PASSES));
  });
});
