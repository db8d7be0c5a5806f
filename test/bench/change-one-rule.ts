import type { Driver, Script, Target } from "@sluice/agents/drivers/driver";
import { createIptablesDriver } from "@sluice/agents/drivers/iptables/driver";
import type { IptablesSnapshot } from "@sluice/agents/drivers/iptables/snapshot";
import { type IptablesBackend, iptablesTool } from "@sluice/agents/drivers/iptables/tools";
import { openRehearsal, type RehearsalNamespace } from "@sluice/agents/exec/rehearsal-namespace";
import type { BenchContext, Ratio, Row } from "./bench.ts";
import { ratio, row } from "./figures.ts";
import { inTurn, timeMs } from "./in-turn.ts";
import { raw } from "./raw.ts";
import { rulesOf } from "./workload.ts";

/** From one of two states to the other, which differ in one rule. */
interface Edit {
  target: Target;
  want: IptablesSnapshot;
  script: Script;
  /** the same as arguments of `iptables` */
  replace: string[];
}

/** One rule among many, back and forth: the driver with its child that stays, against processes started for it. */
export async function changeOneRule(
  context: BenchContext,
  backend: IptablesBackend,
  rules: number,
): Promise<{ rows: Row[]; ratios: Ratio[] }> {
  context.progress(`one rule among ${rules}, ${backend}`);
  const driver = createIptablesDriver({ backend });
  await using ns = await openRehearsal();
  try {
    const edits = await prepare(driver, ns, rules);
    let done = 0;
    const timed = (work: (edit: Edit) => Promise<unknown>) => () => {
      const edit = edits[done++ % 2];
      if (edit === undefined) throw new Error("there are two states");
      return timeMs(() => work(edit));
    };
    const restore = iptablesTool(backend, 4, "restore");
    const times = await inTurn(context, {
      write: timed(({ script }) => driver.write(ns, script)),
      whole: timed(async ({ target, want }) => {
        const { build } = driver.render(target, want, await driver.read(ns, target));
        for (const script of build) await driver.write(ns, script);
      }),
      restore: timed(({ script }) => raw(ns, restore, ["--noflush", "-w", "5"], script.text)),
      replace: timed(({ replace }) => raw(ns, iptablesTool(backend, 4), ["-w", "5", ...replace])),
    });
    return {
      rows: [
        row(`${backend}, one rule: driver's write`, "ms", times.write),
        row(`${backend}, one rule: driver's read, render, write`, "ms", times.whole),
        row(`${backend}, one rule: restore, spawned`, "ms", times.restore),
        row(`${backend}, one rule: iptables -R, spawned`, "ms", times.replace),
      ],
      ratios: [
        ratio(`${backend}, one rule: write / restore`, times.write, times.restore, { atMost: 0.5 }),
        ratio(`${backend}, one rule: write / iptables -R`, times.write, times.replace, { atMost: 0.5 }),
        ratio(`${backend}, one rule: read, render, write / restore`, times.whole, times.restore),
      ],
    };
  } finally {
    await driver.close(ns);
  }
}

/** Builds the first state; gives the edit to the second and the one back. */
async function prepare(
  driver: Driver<IptablesSnapshot>,
  ns: RehearsalNamespace,
  rules: number,
): Promise<Edit[]> {
  const one = rulesOf(rules);
  const other = rulesOf(rules, true);
  const standing: IptablesSnapshot[] = [];
  for (const target of [other, one]) {
    for (const script of driver.render(target, undefined, { tables: new Map() }).build) {
      // the jump from INPUT is there already the second time
      const text = standing.length === 0 ? script.text : script.text.replace(/^-I .*\n/m, "");
      await driver.write(ns, { ...script, text });
    }
    standing.push(await driver.read(ns, target));
  }
  const [ofOther, ofOne] = standing;
  if (ofOther === undefined || ofOne === undefined) throw new Error("there are two states");
  return [editTo(driver, other, ofOther, one, ofOne), editTo(driver, one, ofOne, other, ofOther)];
}

function editTo(
  driver: Driver<IptablesSnapshot>,
  target: Target,
  want: IptablesSnapshot,
  before: Target,
  have: IptablesSnapshot,
): Edit {
  const [script, ...more] = driver.render(target, want, have).build;
  if (script === undefined || more.length > 0) throw new Error("one changed rule is one script");
  for (const [index, chain] of target.chains.entries()) {
    const old = before.chains[index]?.rules;
    const at = chain.rules.findIndex(({ args }, place) => args !== old?.[place]?.args);
    const args = chain.rules[at]?.args;
    if (args !== undefined) {
      return { target, want, script, replace: ["-R", chain.name, String(at + 1), ...args.split(" ")] };
    }
  }
  throw new Error("the two states are the same");
}
