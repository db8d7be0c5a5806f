import { createIptablesDriver } from "@sluice/agents/drivers/iptables/driver";
import type { IptablesBackend } from "@sluice/agents/drivers/iptables/tools";
import { openRehearsal, type RehearsalNamespace } from "@sluice/agents/exec/rehearsal-namespace";
import { afterAll, describe, expect, test, vi } from "vitest";
import { iptablesCases } from "./iptables-cases.ts";
import { apply, EMPTY, target, WHOLE } from "./iptables-lab.ts";
import { HERE } from "./where.ts";

describe.each<IptablesBackend>(["nft", "legacy"])("iptables on %s", (backend) =>
  iptablesCases(backend, HERE),
);

const opened: RehearsalNamespace[] = [];
async function open(): Promise<RehearsalNamespace> {
  const ns = await openRehearsal();
  opened.push(ns);
  return ns;
}
afterAll(() => Promise.all(opened.map((ns) => ns.close())));

test("a commit that finds the xtables lock held is tried again until it is free", async () => {
  const ns = await open();
  const driver = createIptablesDriver({ backend: "legacy" });
  const { stdout } = await ns.run("printenv", ["XTABLES_LOCKFILE"]);
  const holder = ns.spawn("flock", ["--no-fork", stdout.trim(), "cat"]);
  const held = new Promise<void>((resolve) => holder.onLine(() => resolve()));
  holder.write("held\n"); // cat answers once flock has the lock
  await held;
  let started = 0;
  const watched: RehearsalNamespace = {
    ...ns,
    spawn(command, args) {
      started++;
      return ns.spawn(command, args);
    },
  };
  const text = "*filter\n:SL-a - [0:0]\n-A SL-a -j DROP\nCOMMIT\n";
  const written = driver.write(watched, { driver: "iptables", what: "a", tool: "iptables-restore", text });
  // the first child has waited its five seconds and given up
  await vi.waitUntil(() => started === 2, { timeout: 20_000 });
  holder.kill();
  await written;
  expect((await driver.read(ns, EMPTY)).tables.get("ip4/filter")?.chains.get("SL-a")).toEqual(["-j DROP"]);
  await driver.close(watched);
});

test("a table that only nft can print fails the read where the target needs it", async () => {
  const ns = await open();
  const driver = createIptablesDriver({ backend: "nft" });
  const made = await ns.run("nft", ["-f", "-"], {
    input: "add table ip nat\nadd chain ip nat foo { type filter hook input priority 5 ; }\n",
  });
  if (made.code !== 0) throw new Error(made.stderr);
  await expect(driver.read(ns, WHOLE)).rejects.toThrow("table nat holds chains that only nft can print");
  const filterOnly = target({ filter: { chains: { "SL-a": ["-j DROP"] } } });
  await apply(driver, ns, filterOnly);
  expect((await driver.read(ns, filterOnly)).tables.get("ip4/filter")?.chains.get("SL-a")).toEqual([
    "-j DROP",
  ]);
  await driver.close(ns);
});
