import type { Family } from "@sluice/proto/base/names";
import type { Namespace } from "../../exec/namespace.ts";
import type { Script } from "../driver.ts";
import { splitArgs } from "./split-args.ts";
import { type IptablesBackend, iptablesTool } from "./tools.ts";

/**
 * Finds the rule behind a refusal that names none: legacy blames the COMMIT, and both backends blame the jump from a
 * built-in chain when a rule further down may not be reached from there (MASQUERADE from INPUT).
 *
 * By halving: jumps first, then ever shorter beginnings of the rules, until one more rule makes the difference.
 * It writes what passes, so it is for a throw-away namespace only, after the refusal has decided its fate.
 */
export async function blameRule(
  at: Namespace,
  backend: IptablesBackend,
  family: Family,
  script: Script,
): Promise<{ line: number; reason: string | undefined } | undefined> {
  const lines = script.text.trimEnd().split("\n");
  const numbered = lines.map((text, line) => ({ text, line }));
  const table = lines[0] ?? "";
  const frame = lines.filter((text) => text.startsWith(":") || text.startsWith("-I "));
  const rules = numbered.filter(({ text }) => text.startsWith("-A "));
  // what leads somewhere goes in first, so that the last rule of a refused beginning is the one that can't be there
  const ordered = [...rules.filter(leads), ...rules.filter((rule) => !leads(rule))];

  async function passes(length: number): Promise<boolean> {
    const part = ordered.slice(0, length).map(({ text }) => text);
    const input = `${[table, ...frame, ...part, "COMMIT"].join("\n")}\n`;
    const args = ["--noflush", "-w", "5"];
    return (await at.run(iptablesTool(backend, family, "restore"), args, { input })).code === 0;
  }

  let good = 0;
  let bad = ordered.length;
  if (bad === 0 || !(await passes(good)) || (await passes(bad))) return undefined;
  while (bad - good > 1) {
    const middle = Math.floor((good + bad) / 2);
    if (await passes(middle)) good = middle;
    else bad = middle;
  }
  const guilty = ordered[bad - 1];
  if (guilty === undefined) return undefined;
  await passes(good);
  return { line: guilty.line, reason: await wordsFor(at, backend, family, table.slice(1), guilty.text) };
}

function leads({ text }: { text: string }): boolean {
  return !text.startsWith("-A SL-") || / -[jg] SL-/.test(text);
}

/** legacy's restore gives no reason, its one-rule command does: `Invalid argument`. */
async function wordsFor(
  at: Namespace,
  backend: IptablesBackend,
  family: Family,
  table: string,
  rule: string,
): Promise<string | undefined> {
  const args = ["-w", "5", "-t", table, ...splitArgs(rule)];
  const { code, stderr } = await at.run(iptablesTool(backend, family), args);
  if (code === 0) return undefined;
  const words = stderr
    .trim()
    .split("\n")
    .filter((line) => !line.startsWith("Try `"));
  return words
    .map((line) =>
      line
        .replace(/^ip6?tables\S*(?: v\S+ \(\S+\))?: */, "")
        .replace(" Run `dmesg' for more information.", ""),
    )
    .join("; ");
}
