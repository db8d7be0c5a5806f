import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createIptablesDriver } from "@sluice/agents/drivers/iptables/driver";
import { type IptablesBackend, iptablesTool } from "@sluice/agents/drivers/iptables/tools";
import type { Namespace } from "@sluice/agents/exec/namespace";
import { openRehearsal } from "@sluice/agents/exec/rehearsal-namespace";
import { makePrivateDirectory } from "@sluice/infra/process/private-directory";
import { FAMILIES } from "@sluice/proto/base/names";
import type { Bench, BenchContext, Ratio, Row } from "./bench.ts";
import { changeOneRule } from "./change-one-rule.ts";
import { ratio, row } from "./figures.ts";
import { inTurn, timeMs } from "./in-turn.ts";
import { raw } from "./raw.ts";
import { rulesOf } from "./workload.ts";

const RULES = 1000;

export const applyRules: Bench = {
  name: "apply-rules",
  what: "1,000 rules of each family by the iptables driver, and one of them changed, against bare iptables-restore",
  runs: 15,
  async run(context) {
    const rows: Row[] = [];
    const ratios: Ratio[] = [];
    for (const backend of ["nft", "legacy"] as const) {
      for (const part of [applyFromNothing, changeOneRule]) {
        const found = await part(context, backend, RULES);
        rows.push(...found.rows);
        ratios.push(...found.ratios);
      }
    }
    const notes = [
      "from nothing: a namespace without rules and a driver without children, so that both sides start their tools",
      "one rule: the driver writes its chain of 100 rules anew, through the child that it keeps; restore is given the same text",
      "every process, ours and bare, is started through nsenter",
    ];
    return { rows, ratios, notes };
  },
};

async function applyFromNothing(
  context: BenchContext,
  backend: IptablesBackend,
  rules: number,
): Promise<{ rows: Row[]; ratios: Ratio[] }> {
  context.progress(`${rules} rules from nothing, ${backend}`);
  const driver = createIptablesDriver({ backend });
  const target = rulesOf(rules);
  const folder = makePrivateDirectory("bench");

  async function afresh(work: (ns: Namespace) => Promise<unknown>): Promise<number> {
    await using ns = await openRehearsal();
    try {
      const ms = await timeMs(() => work(ns));
      for (const family of FAMILIES) await expectRules(ns, iptablesTool(backend, family, "save"), rules);
      return ms;
    } finally {
      await driver.close(ns);
    }
  }

  try {
    const { build } = driver.render(target, undefined, { tables: new Map() });
    const files = build.map((script) => ({
      tool: iptablesTool(backend, script.tool.startsWith("ip6") ? 6 : 4, "restore"),
      path: join(folder.path, script.tool),
      text: script.text,
    }));
    for (const { path, text } of files) await writeFile(path, text);
    const times = await inTurn(context, {
      driver: () =>
        afresh(async (ns) => {
          const steps = driver.render(target, undefined, await driver.read(ns, target));
          for (const script of steps.build) await driver.write(ns, script);
        }),
      bare: () =>
        afresh(async (ns) => {
          for (const { tool, path } of files) await raw(ns, tool, ["--noflush", "-w", "5", path]);
        }),
    });
    return {
      rows: [
        row(`${backend}, from nothing: driver (read, render, write)`, "ms", times.driver),
        row(`${backend}, from nothing: two restores`, "ms", times.bare),
      ],
      ratios: [
        ratio(`${backend}, from nothing: driver / restores`, times.driver, times.bare, { atMost: 1.5 }),
      ],
    };
  } finally {
    await folder.remove();
  }
}

async function expectRules(ns: Namespace, save: string, count: number): Promise<void> {
  const rules = (await raw(ns, save, [])).split("\n").filter((line) => line.startsWith("-A SL-bench-"));
  if (rules.length !== count) throw new Error(`${save} shows ${rules.length} rules, not ${count}`);
}
