import {
  closeAll,
  type Drivers,
  diffAll,
  readAll,
  renderAll,
  writeScripts,
} from "@sluice/agents/converge/kernel";
import { furnish } from "@sluice/agents/converge/rehearsal-room";
import type { Target } from "@sluice/agents/drivers/driver";
import { createIpsetDriver } from "@sluice/agents/drivers/ipset/driver";
import { createIptablesDriver } from "@sluice/agents/drivers/iptables/driver";
import { type IptablesBackend, iptablesTool } from "@sluice/agents/drivers/iptables/tools";
import { createTcDriver } from "@sluice/agents/drivers/tc/driver";
import { openRehearsal } from "@sluice/agents/exec/rehearsal-namespace";
import type { Bench, BenchContext, Ratio, Row } from "./bench.ts";
import { ratio, row } from "./figures.ts";
import { inTurn, timeMs } from "./in-turn.ts";
import { raw } from "./raw.ts";
import { classesOf, rulesOf, setOf } from "./workload.ts";

const DEVICE = "eth0";
const RULES_PER_FAMILY = 500;
const ENTRIES = 10_000;
const CLASSES = 20;

export const noChange: Bench = {
  name: "no-change",
  what: "a look at 1,000 rules, 10,000 addresses and 20 classes that finds nothing to do, against the tools that print them",
  runs: 15,
  async run(context) {
    const rows: Row[] = [];
    const ratios: Ratio[] = [];
    for (const backend of ["nft", "legacy"] as const) {
      for (const use of ["policy", "list"] as const) {
        const found = await look(context, backend, use);
        rows.push(...found.rows);
        ratios.push(...found.ratios);
      }
    }
    const notes = [
      "Sluice: read, diff and render of all three drivers; it must find no difference, and nothing to write",
      "bare: iptables-save, ip6tables-save, ipset, and tc qdisc, class and filter show, all at once, their output thrown away",
      "a policy's set is compared entry by entry (ipset save), a live list by its header (ipset list -t)",
    ];
    return { rows, ratios, notes };
  },
};

async function look(
  context: BenchContext,
  backend: IptablesBackend,
  use: "policy" | "list",
): Promise<{ rows: Row[]; ratios: Ratio[] }> {
  const what = `${backend}, ${use === "policy" ? "policy's set" : "live list"}`;
  context.progress(what);
  const drivers: Drivers = [createIpsetDriver(), createIptablesDriver({ backend }), createTcDriver()];
  const target: Target = {
    ...rulesOf(RULES_PER_FAMILY),
    sets: [setOf(ENTRIES, use)],
    devices: [classesOf(DEVICE, CLASSES)],
  };
  await using ns = await openRehearsal();
  try {
    await furnish(
      ns,
      [{ name: DEVICE, mtu: 1500, txQueueLength: 1000, addresses: ["10.77.0.1/24"] }],
      target.external,
    );
    const { build } = renderAll(drivers, target, undefined, await readAll(drivers, ns, target));
    await writeScripts(drivers, ns, build);
    const want = await readAll(drivers, ns, target);
    const times = await inTurn(context, {
      sluice: () =>
        timeMs(async () => {
          const have = await readAll(drivers, ns, target);
          const differences = diffAll(drivers, target, want, have);
          const plan = renderAll(drivers, target, want, have);
          const scripts = [...plan.build, ...plan.remove, ...plan.removeSets];
          if (differences.length + scripts.length > 0) throw new Error("there was something to do");
        }),
      bare: () =>
        timeMs(() =>
          Promise.all([
            raw(ns, iptablesTool(backend, 4, "save"), []),
            raw(ns, iptablesTool(backend, 6, "save"), []),
            raw(ns, "ipset", use === "policy" ? ["save"] : ["list", "-t"]),
            raw(ns, "tc", ["qdisc", "show", "dev", DEVICE]),
            raw(ns, "tc", ["class", "show", "dev", DEVICE]),
            raw(ns, "tc", ["filter", "show", "dev", DEVICE]),
          ]),
        ),
    });
    return {
      rows: [row(`${what}: Sluice`, "ms", times.sluice), row(`${what}: bare tools`, "ms", times.bare)],
      ratios: [ratio(`${what}: Sluice / bare tools`, times.sluice, times.bare, { atMost: 1.5 })],
    };
  } finally {
    await closeAll(drivers, ns);
  }
}
