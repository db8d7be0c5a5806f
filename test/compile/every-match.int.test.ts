import { openRehearsal, type RehearsalNamespace } from "@sluice/agents/exec/rehearsal-namespace";
import { probeCapabilities } from "@sluice/agents/facts/probe-facts";
import { compile } from "@sluice/control/compile/compile";
import { FAMILIES, type Family, policyChain } from "@sluice/proto/base/names";
import type { Facts } from "@sluice/proto/manifest/facts";
import type { Manifest } from "@sluice/proto/manifest/manifest";
import { parsePolicy } from "@sluice/proto/policy/parse";
import { expect, test } from "vitest";
import { EVERY_MATCH } from "./every-match.ts";
import { ipsetText, restoreText } from "./restore-text.ts";

type Rule = (typeof EVERY_MATCH)[number];
const POLICY = "p";

/**
 * What a server's iptables takes is asked of itself, rule by rule and for each family. All of that, as one policy, must
 * be taken again, for exactly the same families, and read back as it does without Sluice.
 */
test.each(["nft", "legacy"] as const)(
  "every match and target that this iptables-%s knows passes through unharmed",
  async (backend) => {
    await using ns = await openRehearsal();
    const known = await Promise.all(FAMILIES.map((family) => takenAsWritten(ns, toolOf(backend, family))));
    const rules = EVERY_MATCH.filter((_, index) => known.some((taken) => taken.has(index)));
    expect(rules.length).toBeGreaterThan(EVERY_MATCH.length * 0.7);
    const manifest = manifestOf(rules, await facts());
    await fed(ns, "ipset", ["restore"], ipsetText(manifest));
    for (const family of FAMILIES) {
      const tool = toolOf(backend, family);
      const before = await savedRules(ns, tool);
      await fed(ns, `${tool}-restore`, ["--noflush"], restoreText(manifest, family));
      const after = await savedRules(ns, tool);
      for (const [table, hook] of rules) {
        const own = `${table} ${policyChain(POLICY, hook)}`;
        expect(after.get(own)).toEqual(before.get(`${table} ${hook}`));
      }
    }
  },
);

function toolOf(backend: "nft" | "legacy", family: Family): string {
  return `${family === 4 ? "iptables" : "ip6tables"}-${backend}`;
}

/** The rules that the tool takes as they are; they are in the kernel then. */
async function takenAsWritten(ns: RehearsalNamespace, tool: string): Promise<Set<number>> {
  const script = `n=0; while IFS='\t' read -r table rule; do
    printf '*%s\\n%s\\nCOMMIT\\n' "$table" "$rule" | ${tool}-restore --noflush >/dev/null 2>&1 && echo $n
    n=$((n+1)); done; true`;
  const input = EVERY_MATCH.map(([table, hook, rule]) => `${table}\t-A ${hook} ${rule}\n`).join("");
  const said = await fed(ns, "sh", ["-c", script], input);
  return new Set(said.trim().split("\n").map(Number));
}

function manifestOf(rules: readonly Rule[], facts: Facts): Manifest {
  const lines = [`policy: ${POLICY}`, 'targets: { servers: ["*"] }', "firewall:"];
  for (const table of new Set(rules.map(([table]) => table))) {
    lines.push(`  ${table}:`);
    const ofTable = rules.filter((rule) => rule[0] === table);
    for (const hook of new Set(ofTable.map(([, hook]) => hook))) {
      lines.push(`    ${hook}:`);
      for (const [, , rule] of ofTable.filter((rule) => rule[1] === hook))
        lines.push(`      - '${rule.replaceAll("'", "''")}'`);
    }
  }
  const parsed = parsePolicy(`${lines.join("\n")}\n`);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems, undefined, 1));
  const assigned = [{ revision: 1, document: parsed.document }];
  const result = compile({ assigned, server: { name: "s", labels: {} }, facts, lists: {} });
  if (!result.ok) throw new Error(JSON.stringify(result.problems, undefined, 1));
  return result.manifest;
}

async function facts(): Promise<Facts> {
  const capabilities = await probeCapabilities();
  return { hostname: "s", kernel: "", os: "", agent: "", devices: [], capabilities };
}

/** The rules by table and chain, as they read back. The names of hashlimit's tables are rewritten. */
async function savedRules(ns: RehearsalNamespace, tool: string): Promise<Map<string, string[]>> {
  const rules = new Map<string, string[]>();
  let table = "";
  for (const line of (await fed(ns, `${tool}-save`, [], "")).split("\n")) {
    if (line.startsWith("*")) table = line.slice(1);
    const [, chain, rule = ""] = /^-A (\S+) (.*)$/.exec(line) ?? [];
    if (chain === undefined || rule.startsWith("-j SL-")) continue;
    const known = rules.get(`${table} ${chain}`) ?? [];
    rules.set(`${table} ${chain}`, [...known, rule.replace(/(--hashlimit-name) \S+/, "$1 NAME")]);
  }
  return rules;
}

async function fed(ns: RehearsalNamespace, command: string, args: readonly string[], input: string) {
  const { code, stdout, stderr } = await ns.run(command, args, { input, timeoutMs: 60_000 });
  if (code !== 0) throw new Error(`${command}: ${stderr}`);
  return stdout;
}
