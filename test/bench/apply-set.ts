import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createIpsetDriver } from "@sluice/agents/drivers/ipset/driver";
import { openRehearsal } from "@sluice/agents/exec/rehearsal-namespace";
import { makePrivateDirectory } from "@sluice/infra/process/private-directory";
import type { Bench } from "./bench.ts";
import { ratio, row } from "./figures.ts";
import { inTurn, timeMs } from "./in-turn.ts";
import { raw, rawIpsetRestore } from "./raw.ts";
import { NOTHING, setOf } from "./workload.ts";

const ENTRIES = 100_000;

export const applySet: Bench = {
  name: "apply-set",
  what: "a set of 100,000 addresses built by the ipset driver, against bare ipset restore of the same entries",
  runs: 7,
  async run(context) {
    const driver = createIpsetDriver();
    await using ns = await openRehearsal();
    const folder = makePrivateDirectory("bench");
    try {
      const set = setOf(ENTRIES);
      const target = { ...NOTHING, sets: [set] };
      const script = driver.render(target, undefined, { sets: new Map() }).build[0];
      if (script === undefined) throw new Error("the driver has nothing to write");
      const sized = join(folder.path, "sized");
      const naive = join(folder.path, "naive");
      await writeFile(sized, script.text);
      await writeFile(naive, script.text.replace(/ hashsize \d+/, ""));
      context.progress(`${context.runs + 1} times three ways`);

      const afresh = async (work: () => Promise<unknown>): Promise<number> => {
        const ms = await timeMs(work);
        const listed = await raw(ns, "ipset", ["list", "-t", set.name]);
        if (!listed.includes(`Number of entries: ${ENTRIES}\n`)) throw new Error(`not whole: ${listed}`);
        await raw(ns, "ipset", ["destroy", set.name]);
        return ms;
      };
      const times = await inTurn(context, {
        driver: () =>
          afresh(async () => {
            const { build } = driver.render(target, undefined, await driver.read(ns, target));
            for (const one of build) await driver.write(ns, one);
          }),
        sized: () => afresh(() => rawIpsetRestore(ns, sized)),
        naive: () => afresh(() => rawIpsetRestore(ns, naive)),
      });
      return {
        rows: [
          row("driver: read, render, write", "ms", times.driver),
          row("ipset restore, hash sized beforehand", "ms", times.sized),
          row("ipset restore, as usually written", "ms", times.naive),
        ],
        ratios: [
          ratio("driver / restore, sized beforehand", times.driver, times.sized, { atMost: 1.3 }),
          ratio("driver / restore, as usually written", times.driver, times.naive, { atMost: 1 }),
        ],
        notes: ["each time into a namespace without sets; the number of entries is checked after each"],
      };
    } finally {
      await driver.close(ns);
      await folder.remove();
    }
  },
};
