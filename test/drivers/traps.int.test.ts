import type { Target } from "@sluice/agents/drivers/driver";
import { createIptablesDriver } from "@sluice/agents/drivers/iptables/driver";
import { openRehearsal, type RehearsalNamespace } from "@sluice/agents/exec/rehearsal-namespace";
import { compile } from "@sluice/control/compile/compile";
import { factsWith, inputWith } from "@sluice/control/compile/test-input";
import { parsePolicy } from "@sluice/proto/policy/parse";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

/** What the kernel keeps under a name while the rules that name it change: docs/kernel-traps.md. */
describe.each(["nft", "legacy"] as const)("iptables-%s", (backend) => {
  const driver = createIptablesDriver({ backend });
  let ns: RehearsalNamespace;
  beforeEach(async () => {
    ns = await openRehearsal();
    // what every firewall looks into
    for (const family of [4, 6])
      await sh(
        ["protect hash:net", "reach hash:ip", "control hash:ip,port"]
          .map((set) => set.split(" "))
          .map(
            ([name, type]) => `ipset create sl-${name}-${family} ${type} family inet${family === 6 ? 6 : ""}`,
          )
          .join("; "),
      );
  });
  afterEach(async () => {
    await driver.close(ns);
    await ns.close();
  });

  async function sh(command: string): Promise<string> {
    const { stdout, stderr } = await ns.run("sh", ["-c", command]);
    expect(stderr).toBe("");
    return stdout;
  }

  async function hold(fields: string): Promise<void> {
    const parsed = parsePolicy(`policy: edge\ntargets: { servers: ["*"] }\n${fields}`);
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
    const compiled = compile(inputWith([parsed.document], { facts: factsWith({ ipv6: false }) }));
    if (!compiled.ok) throw new Error(JSON.stringify(compiled.problems));
    const { chains, hooks } = compiled.manifest;
    const target: Target = { chains, hooks, sets: [], devices: [], external: { chains: [], sets: [] } };
    const { build } = driver.render(target, undefined, await driver.read(ns, target));
    for (const script of build) await driver.write(ns, script);
  }

  test("a guard whose limits change keeps its bans, though the kernel then forgets whom it counted", async () => {
    const guard = (hits: number) =>
      `guards: { ssh: { port: 22, limits: [{ hits: ${hits}, within: 20s }], ban: { for: 600s } } }`;
    await hold(guard(2));
    const lists = (await sh("ls /proc/net/xt_recent")).trim().split("\n");
    const ban = lists.find((name) => name.endsWith(":ban")) ?? "";
    for (const name of lists) await sh(`echo +192.0.2.7 > '/proc/net/xt_recent/${name}'`);
    await hold(guard(60));
    expect(await sh(`cat '/proc/net/xt_recent/${ban}'`)).toContain("src=192.0.2.7 ");
    const counting = lists.find((name) => name !== ban) ?? "";
    expect(await sh(`cat '/proc/net/xt_recent/${counting}'`)).toBe("");
  });

  test("another rate of hashlimit counts at once", async () => {
    const limited = (rate: string) =>
      `firewall: { filter: { INPUT: [-p icmp -m hashlimit --hashlimit-name pings --hashlimit-above ${rate} --hashlimit-burst 1 -j DROP] } }`;
    const pings = async () => {
      const said = await sh("ping -q -c 5 -i 0.01 -W 1 10.98.0.1 || true");
      return Number(/(\d+) received/.exec(said)?.[1]);
    };
    await using far = await openRehearsal();
    await sh(
      `ip link add eth0 type veth peer name eth0 netns ${far.pid}; ip address add 10.98.0.2/24 dev eth0; ip link set eth0 up`,
    );
    await far.run("ip", ["address", "add", "10.98.0.1/24", "dev", "eth0"]);
    await far.run("ip", ["link", "set", "eth0", "up"]);
    await hold(limited("1/hour"));
    expect(await pings()).toBe(1);
    await hold(limited("1000/sec"));
    expect(await pings()).toBe(5);
  });
});
