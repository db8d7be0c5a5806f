import type { Problem } from "../base/errors.ts";
import { readBlocks } from "./blocks.ts";
import type { PolicyDocument } from "./document.ts";
import { readExternal } from "./external.ts";
import { duration, type Field, freeText, integer, oneOf, optional, parsed, withDefault } from "./fields.ts";
import { ownChains, readFirewall } from "./firewall.ts";
import { readGuards } from "./guards.ts";
import { checkObserved } from "./observed.ts";
import { readProbes, readProtect, readReach } from "./reachability.ts";
import { createReader, DROPPED_MAX, type Reader, readFields, TooManyProblems } from "./reader.ts";
import type { RuleNames } from "./rule-names.ts";
import { readSets } from "./sets.ts";
import { readShaping } from "./shaping.ts";
import type { MapNode, SourceNode } from "./source-node.ts";
import { readTakeover } from "./takeover.ts";
import { readTargets } from "./targets.ts";
import { readTests } from "./tests.ts";
import { readVars } from "./vars.ts";
import { readYaml } from "./yaml-source.ts";

/**
 * A policy file, understood or refused.
 *
 * 1. Never throws, reads nothing but the text, and gives the same answer for the same text everywhere.
 * 2. Everything wrong with it at once, each problem with its file, line, column, path, what was found and what was
 *    expected. A text with a problem gives no document.
 * 3. A rule passes unharmed unless it can't be one rule of one chain, or names what the policy hasn't.
 */
export type ParsedPolicy = { ok: true; document: PolicyDocument } | { ok: false; problems: Problem[] };

/** Kernel names of policies stand beside those of lists (`sl-l-…`), of new sets (`sl-tmp-…`) and of Sluice's own. */
const RESERVED = new Set(["l", "tmp", "protect", "control"]);

const policyName: Field<string> = parsed(
  `1 to 31 small letters, digits and -, and none of ${[...RESERVED].join(", ")}`,
  (text) => (/^[a-z0-9][a-z0-9-]{0,30}$/.test(text) && !RESERVED.has(text) ? text : undefined),
);

const SHAPE = {
  policy: policyName,
  description: withDefault(freeText, ""),
  targets: "nested",
  vars: "nested",
  order: withDefault(integer(-10_000, 10_000), 100),
  mode: optional(oneOf(["observe", "enforce", "imported"])),
  reason: optional(oneOf(["required", "optional"])),
  sets: "nested",
  firewall: "nested",
  blocks: "nested",
  guards: "nested",
  shaping: "nested",
  probes: "nested",
  reach: "nested",
  protect: "nested",
  external: "nested",
  tests: "nested",
  takeover: "nested",
  drift: withDefault(oneOf(["repair", "report"]), "repair"),
  deadline: withDefault(duration("a time from 5s to 1h, such as 30s", 5_000, 3_600_000), 30_000),
} as const;

export function parsePolicy(text: string, file?: string): ParsedPolicy {
  const { root, problems } = readYaml(text, file);
  const reader = createReader(problems);
  const document = root && readWhole(reader, root);
  if (document !== undefined && problems.length === 0) return { ok: true, document };
  return { ok: false, problems: sorted(reader) };
}

function readWhole(reader: Reader, root: SourceNode): PolicyDocument | undefined {
  try {
    return readPolicy(reader, root);
  } catch (error) {
    if (error instanceof TooManyProblems) return undefined;
    throw error;
  }
}

function readPolicy(reader: Reader, root: SourceNode): PolicyDocument | undefined {
  const fields = readFields(reader, root, SHAPE);
  if (root.kind !== "map") return undefined;
  const part = (name: keyof typeof SHAPE): SourceNode | undefined => root.fields.get(name)?.value;
  const targets = readRequiredTargets(reader, root);
  const vars = readVars(reader, part("vars"));
  const external = readExternal(reader, part("external"));
  const externalSets = new Map(external.sets.map(({ name, type }) => [name, type]));
  const sets = readSets(reader, part("sets"), vars, externalSets);
  const names: RuleNames = {
    vars,
    chains: { own: ownChains(part("firewall")), external: groupedNames(external.chains) },
    sets: new Set([...setNames(part("sets")), ...externalSets.keys()]),
  };
  const rest = {
    sets,
    firewall: readFirewall(reader, part("firewall"), names),
    blocks: readBlocks(reader, part("blocks")),
    guards: readGuards(reader, part("guards"), vars),
    shaping: readShaping(reader, part("shaping"), names),
    probes: readProbes(reader, part("probes"), vars),
    reach: readReach(reader, part("reach")),
    protect: readProtect(reader, part("protect"), vars),
    external,
    tests: readTests(reader, part("tests"), vars),
    takeover: readTakeover(reader, part("takeover"), vars),
  };
  if (fields === undefined || targets === undefined) return undefined;
  const { policy, description, order, mode, reason, drift, deadline } = fields;
  const document: PolicyDocument = {
    policy,
    description,
    targets,
    vars: Object.fromEntries([...vars].map(([name, { document }]) => [name, document])),
    order,
    ...(mode !== undefined && mode !== "enforce" && { mode }),
    ...(reason === "required" && { reason }),
    ...rest,
    drift,
    deadlineMs: deadline,
  };
  checkObserved(reader, document, root);
  return document;
}

function readRequiredTargets(reader: Reader, root: MapNode): PolicyDocument["targets"] | undefined {
  const node = root.fields.get("targets")?.value;
  if (node !== undefined) return readTargets(reader, node);
  const expected = "targets: { servers: [name] } or { labels: { role: web } }";
  reader.problem(root, "targets is missing", { found: "nothing", expected });
  return undefined;
}

/** Also those that are wrong in themselves: a rule that names one is no second problem. */
function setNames(node: SourceNode | undefined): string[] {
  return node?.kind === "map" ? [...node.fields.keys()] : [];
}

function groupedNames(chains: PolicyDocument["external"]["chains"]): RuleNames["chains"]["external"] {
  const tables = Map.groupBy(chains, ({ table }) => table);
  return new Map([...tables].map(([table, some]) => [table, new Set(some.map(({ name }) => name))]));
}

/** In the order of the file. */
function sorted({ problems, dropped }: Reader): Problem[] {
  const line = (problem: Problem): number => problem.place?.line ?? 0;
  const column = (problem: Problem): number => problem.place?.column ?? 0;
  const all = problems.toSorted((a, b) => line(a) - line(b) || column(a) - column(b));
  const count = dropped > DROPPED_MAX ? `more than ${DROPPED_MAX}` : dropped;
  return dropped === 0 ? all : [...all, { message: `and ${count} more problems` }];
}
