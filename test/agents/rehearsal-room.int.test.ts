import { furnish, roomDevices } from "@sluice/agents/converge/rehearsal-room";
import { openRehearsal, type RehearsalNamespace } from "@sluice/agents/exec/rehearsal-namespace";
import { readDevices } from "@sluice/agents/facts/devices";
import { expect, test } from "vitest";

const NOTHING = { chains: [], sets: [] };
const ETH0 = { name: "eth0", mtu: 9000, txQueueLength: 64, addresses: ["192.0.2.5/24", "2001:db8::5/64"] };

async function isTaken(room: RehearsalNamespace, line: string): Promise<boolean> {
  const [command = "", ...args] = line.split(" ");
  return (await room.run(command, args)).code === 0;
}

test("a device stands as it does live: name, MTU, queue length, addresses, up", async () => {
  await using room = await openRehearsal();
  await furnish(room, [ETH0], NOTHING);
  expect((await readDevices(room)).find(({ name }) => name === "eth0")).toEqual(ETH0);
  const { stdout } = await room.run("ip", ["-o", "link", "show", "dev", "eth0"]);
  expect(stdout).toContain("state UP");
  // usable at once: no address waits to be found unique
  expect((await room.run("ip", ["address", "show", "tentative"])).stdout).not.toContain("2001:db8::5");
});

test("what a rule refers to and somebody else owns is there, empty", async () => {
  const refers = [
    "iptables -A INPUT -j DOCKER-USER",
    "ip6tables -A FORWARD -j DOCKER-USER",
    "iptables -t nat -A PREROUTING -j theirs",
    "iptables -A INPUT -m set --match-set f2b-sshd src -j DROP",
    "ip6tables -A INPUT -m set --match-set f2b-sshd6 src -j DROP",
    "iptables -A INPUT -m set --match-set ports dst -j DROP",
  ];
  await using bare = await openRehearsal();
  for (const line of refers) expect([line, await isTaken(bare, line)]).toEqual([line, false]);
  await using room = await openRehearsal();
  await furnish(room, [], {
    chains: [
      { family: 4, table: "filter", name: "DOCKER-USER" },
      { family: 6, table: "filter", name: "DOCKER-USER" },
      { family: 4, table: "nat", name: "theirs" },
      { family: 4, table: "filter", name: "INPUT" },
    ],
    sets: [
      { name: "f2b-sshd", type: "hash:ip", family: 4 },
      { name: "f2b-sshd6", type: "hash:ip", family: 6 },
      { name: "ports", type: "bitmap:port", family: 4 },
    ],
  });
  for (const line of refers) expect([line, await isTaken(room, line)]).toEqual([line, true]);
});

test("the room has the devices that are shaped and those with addresses; one not there yet is an Ethernet device", () => {
  const known = [
    ETH0,
    { ...ETH0, name: "bare0", addresses: [] },
    { ...ETH0, name: "slifb-eth0" },
    { ...ETH0, name: "lo" },
  ];
  const shaped = [
    { device: "ppp0", ingress: { ifb: "slifb-eth0", tree: { qdiscs: [], classes: [], filters: [] } } },
  ];
  expect(roomDevices(known, shaped)).toEqual([
    ETH0,
    { name: "ppp0", mtu: 1500, txQueueLength: 1000, addresses: [] },
  ]);
});

test("a name that would be a second command is refused, and nothing is made", async () => {
  await using room = await openRehearsal();
  const sets = [{ name: "x\ncreate y", type: "hash:ip", family: 4 as const }];
  await expect(furnish(room, [{ ...ETH0, name: "-batch" }], NOTHING)).rejects.toThrow("can't be the name");
  await expect(furnish(room, [], { chains: [], sets })).rejects.toThrow("can't be the name");
  expect((await room.run("ipset", ["list", "-name"])).stdout).toBe("");
});
