import { waitUntil } from "@sluice/infra/process/wait-until";
import type { ManifestDevice, TcTree } from "@sluice/proto/manifest/manifest";
import { expect } from "vitest";
import { driver, htbClass, type TcLab } from "./tc-lab.ts";

/**
 * Packets that wait in a class while something around them is changed. The class lets one through in eight seconds, so
 * most of those that it was sent are still there when the change comes; whatever it let through meanwhile was counted.
 */
const SLOW = "1kbit";
const SENT = 20;
const PATIENCE_MS = 60_000;

export interface Leaf {
  kind: string;
  args: string;
}

/** Everything goes through 1:10, which holds the leaf. */
export function slowTree(leaf: Leaf, rate = SLOW): TcTree {
  const args = leaf.args.split(" ").filter((word) => word !== "");
  return {
    qdiscs: [
      { parent: "root", handle: "1:", kind: "htb", args: ["default", "10", "direct_qlen", "1000"] },
      { parent: "1:10", handle: "10:", kind: leaf.kind, args },
    ],
    classes: [htbClass("1:", "1:10", rate)],
    filters: [],
  };
}

export async function sendPackets(lab: TcLab, to: readonly string[] = ["10.77.0.9"]): Promise<void> {
  await lab.run("sysctl -q -w net.ipv6.conf.eth0.disable_ipv6=1"); // it speaks by itself
  // frames of 1,000 bytes, and room in the socket for all of them
  const ping = `ping -q -c ${SENT} -l ${SENT} -s 958 -S 1000000 -W 0.01`;
  const lines = to.map(
    (address) => `ip neigh replace ${address} lladdr 02:00:00:00:00:09 dev eth0 && { ${ping} ${address} & }`,
  );
  await lab.live.run("sh", ["-c", `${lines.join("\n")}\nwait`]);
}

export async function queueOf(lab: TcLab, handle: string): Promise<{ sent: number; waiting: number }> {
  const text = await lab.tc("-s qdisc show dev eth0");
  const of = text.split(/^(?=qdisc )/m).find((one) => one.split(" ")[2] === handle) ?? "";
  const [, sent] = /Sent \d+ bytes (\d+) pkt/.exec(of) ?? [];
  const [, waiting] = /backlog \S+ (\d+)p/.exec(of) ?? [];
  return { sent: Number(sent), waiting: Number(waiting) };
}

/** Some of them do, and none was lost. */
export async function expectPacketsWait(lab: TcLab, handle: string): Promise<void> {
  const { sent, waiting } = await queueOf(lab, handle);
  expect([handle, sent + waiting]).toEqual([handle, SENT]);
  expect(waiting).toBeGreaterThan(0);
}

async function converge(lab: TcLab, tree: TcTree): Promise<string[]> {
  const devices: ManifestDevice[] = [{ device: "eth0", egress: tree }];
  const { target, want, scripts } = await lab.apply(devices);
  expect(driver.diff(target, want, await driver.read(lab.live, target))).toEqual([]);
  return scripts.flatMap(({ text }) => text.trim().split("\n"));
}

/** Sends into one tree, changes it to the other, and finds the packets where they were. */
export async function expectPacketsToStay(lab: TcLab, from: TcTree, to: TcTree): Promise<string[]> {
  await converge(lab, from);
  await sendPackets(lab);
  await expectPacketsWait(lab, "10:");
  const lines = await converge(lab, to);
  await expectPacketsWait(lab, "10:");
  return lines;
}

/** Opens the class, and counts every packet that was ever sent. */
export async function expectAllToArrive(lab: TcLab, leaf: Leaf): Promise<void> {
  await converge(lab, slowTree(leaf, "100mbit"));
  await waitUntil("an empty queue", PATIENCE_MS, async () => (await queueOf(lab, "10:")).waiting === 0);
  const text = await lab.tc("-s class show dev eth0 classid 1:10");
  expect(text).toMatch(new RegExp(`Sent \\d+ bytes ${SENT} pkt \\(dropped 0,`));
}
