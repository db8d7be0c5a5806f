import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { furnish } from "@sluice/agents/converge/rehearsal-room";
import { openRehearsal, type RehearsalNamespace } from "@sluice/agents/exec/rehearsal-namespace";
import { localAddresses } from "@sluice/agents/facts/local-addresses";
import { probeFacts } from "@sluice/agents/facts/probe-facts";
import { capabilities, type Facts, facts } from "@sluice/proto/manifest/facts";
import { afterAll, beforeAll, expect, test } from "vitest";

const ETH0 = {
  name: "eth0",
  mtu: 1400,
  txQueueLength: 333,
  addresses: ["10.20.0.2/24", "2001:db8:20::2/64"],
};

let live: RehearsalNamespace;
let found: Facts;
let linksBefore: string;
beforeAll(async () => {
  live = await openRehearsal();
  await furnish(live, [ETH0], { chains: [], sets: [] });
  linksBefore = await run("ip -o link show");
  found = await probeFacts({ live, agent: "1.2.3" });
});
afterAll(() => live.close());

async function run(line: string, input?: string): Promise<string> {
  const [command = "", ...args] = line.split(" ");
  const { code, stdout, stderr } = await live.run(command, args, { input });
  if (code !== 0) throw new Error(`${line}: ${stderr}`);
  return stdout;
}

async function isTaken(line: string): Promise<boolean> {
  return run(line).then(
    () => true,
    () => false,
  );
}

test("facts have the contract's shape, the agent's version and the devices as they stand", () => {
  expect(facts.parse(found).agent).toBe("1.2.3");
  expect(found.devices.find(({ name }) => name === "eth0")).toEqual(ETH0);
});

test("probing changes nothing in the live namespace", async () => {
  expect(await run("ip -o link show")).toBe(linksBefore);
  expect(await run("tc qdisc show dev eth0")).toMatch(/^qdisc noqueue 0:/);
  expect(await run("ipset list -name")).toBe("");
  expect(await run("iptables-save")).not.toContain("slprobe");
});

test("a capability is there exactly if the kernel takes the thing", async () => {
  const { qdiscs, setTypes, recentMaxHits, recentListSize } = capabilities.parse(found.capabilities);
  for (const kind of ["htb", "prio", "netem", "fq_codel", "pfifo", "hfsc"]) {
    expect([kind, await isTaken(`tc qdisc add dev eth0 root handle 7: ${kind}`)]).toEqual([
      kind,
      qdiscs.includes(kind),
    ]);
    await isTaken("tc qdisc del dev eth0 root");
  }
  for (const type of ["hash:net", "hash:net,net", "hash:mac", "list:set", "hash:ip,port"])
    expect([type, await isTaken(`ipset create x-${type.length}-${type} ${type}`)]).toEqual([
      type,
      setTypes.includes(type),
    ]);
  const recent = (hits: number) =>
    isTaken(`iptables -A INPUT -m recent --name t${hits} --rcheck --hitcount ${hits}`);
  expect(await recent(recentMaxHits)).toBe(true);
  expect(await recent(65_536)).toBe(false);
  const parameter = await readFile("/sys/module/xt_recent/parameters/ip_list_tot", "utf8").catch(() => "");
  expect(recentListSize).toBe(parameter === "" ? undefined : Number(parameter));
});

test("equal servers give equal facts", async () => {
  expect(await probeFacts({ live, agent: "1.2.3" })).toEqual(found);
});

test("the protect set of a server has its addresses, its gateways and its resolvers", async () => {
  await run("ip route add default via 10.20.0.1");
  await run("ip -6 route add default via 2001:db8:20::1");
  await run("ip route add default via 10.20.0.254 table 77");
  const folder = await mkdtemp(join(tmpdir(), "sluice-facts-"));
  const resolvConf = join(folder, "resolv.conf");
  await writeFile(resolvConf, "nameserver 127.0.0.53\nnameserver 10.20.0.53\n");
  const entries = await localAddresses(live, [resolvConf, join(folder, "not-there")]);
  await rm(folder, { recursive: true });
  expect(entries).toEqual({
    4: ["10.20.0.1", "10.20.0.2", "10.20.0.254", "10.20.0.53", "224.0.0.0/4", "255.255.255.255"],
    6: ["2001:db8:20::1", "2001:db8:20::2", "ff00::/8"],
  });
});
