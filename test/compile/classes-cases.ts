import { capabilitiesOf } from "@sluice/agents/facts/probe-facts";
import { compile } from "@sluice/control/compile/compile";
import { factsWith, inputWith } from "@sluice/control/compile/test-input";
import { parsePolicy } from "@sluice/proto/policy/parse";
import { expect } from "vitest";
import { driver, type OpenNamespace, openTcLabBy, type TcLab } from "../drivers/tc-lab.ts";

/**
 * Packets to 10.77.0.21, .22 … through a policy's tree on eth0, by filters of tc's own, and where they then were: the last
 * number of each address, and the class or leaf that must have counted it.
 */
export async function expectPacketsIn(
  open: OpenNamespace,
  shaping: string,
  places: Readonly<Record<number, string>>,
): Promise<void> {
  await using lab = await openTcLabBy(open, ["eth0"]);
  const parsed = parsePolicy(`policy: home\ntargets: { servers: ["*"] }\nshaping: { eth0: ${shaping} }\n`);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  await using room = await open();
  const facts = factsWith(await capabilitiesOf(room));
  const compiled = compile(inputWith([parsed.document], { facts }));
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.problems));
  const { target, want } = await lab.apply(compiled.manifest.devices);
  expect(driver.diff(target, want, await driver.read(lab.live, target))).toEqual([]);

  await lab.run("sysctl -q -w net.ipv6.conf.eth0.disable_ipv6=1"); // it speaks by itself
  for (const [number, place] of Object.entries(places)) {
    const before = await sentBy(lab, place);
    const address = `10.77.0.${number}`;
    await lab.run(`ip neigh replace ${address} lladdr 02:00:00:00:00:09 dev eth0`);
    await lab.live.run("ping", ["-c", "1", "-W", "0.01", address]);
    expect([number, place, await sentBy(lab, place)]).toEqual([number, place, before + 1]);
  }
}

/** Packets that a class, or the qdisc `10:`, has sent. */
async function sentBy(lab: TcLab, place: string): Promise<number> {
  const object = place.endsWith(":") ? "qdisc" : "class";
  const text = await lab.tc(`-s ${object} show dev eth0`);
  const of = text.split(new RegExp(`^(?=${object} )`, "m")).find((one) => one.split(" ")[2] === place) ?? "";
  return Number(/Sent \d+ bytes (\d+) pkt/.exec(of)?.[1]);
}
