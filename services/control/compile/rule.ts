import { sha256Hex } from "@sluice/proto/base/digest";
import { FAMILIES, type Family, policyChain } from "@sluice/proto/base/names";
import type { ManifestRule, Origin, TableName } from "@sluice/proto/manifest/manifest";
import type { PolicyRule } from "@sluice/proto/policy/document";
import { type Effect, effectOf } from "@sluice/proto/policy/effect";
import { type ChainNames, findTarget } from "@sluice/proto/policy/rule-targets";
import { listed, type Reporter, type Spot } from "./findings.ts";
import { type FamilyReason, familyOfText, familyReasons } from "./rule-family.ts";
import { optionsOf, type RuleOption } from "./rule-options.ts";

/**
 * One rule of a policy, ready for both families.
 *
 * 1. A rule goes to both families unless its words, its sets or an explicit `family` say one. Two that contradict each
 *    other are a problem, never a rule that is silently nowhere.
 * 2. Only names are rewritten: own chains, sets, lists, and the tables of hashlimit. Every other word passes unharmed,
 *    for the server's own iptables to judge.
 */
export interface CompiledRule {
  families: Family[];
  words(family: Family): string[];
  /** the policy's own chain that it goes to */
  next: { chain: string; goto: boolean } | undefined;
  /** it can end a packet by itself */
  drops: boolean;
  effect: Effect;
  /** its words without the target */
  matches(family: Family): string[];
  /** it does to no packet what it would do */
  observed: boolean;
  counts?: ManifestRule["counts"];
  origin: Origin;
}

/** A set, list or external set as rules may name it. */
export interface NamedSet {
  kernelName(family: Family): string;
  families: readonly Family[];
  /** rules may add to it and delete from it */
  writable: boolean;
}

/** What the names in a policy's rules mean. */
export interface RuleScope {
  table: TableName;
  report: Reporter;
  chains: ChainNames;
  /** undefined where there is none; the problem is the caller's to report */
  findSet(name: string): NamedSet | undefined;
  knownSets(): string[];
  recentMaxHits: number;
}

type Rewrite = (family: Family) => string;

const SET_OPTIONS = new Set(["--match-set", "--add-set", "--del-set", "--map-set"]);
const DROPS = new Set([
  "DROP",
  "REJECT",
  "QUEUE",
  "NFQUEUE",
  "SYNPROXY",
  "TARPIT",
  "STEAL",
  "CHAOS",
  "DELUDE",
]);

export function compileRule(rule: PolicyRule, path: string, scope: RuleScope): CompiledRule {
  const at: Spot = { line: rule.line, column: rule.column, path };
  const { words } = rule;
  const reasons: FamilyReason[] =
    rule.family === undefined ? [] : [{ family: rule.family, because: `family: ${rule.family}` }];
  const rewrites = new Map<number, Rewrite>();
  const ofTarget = new Set<number>();
  const compiled = { next: undefined as CompiledRule["next"], drops: false };

  checkText(words, at, scope.report);
  for (const option of optionsOf(words)) {
    reasons.push(...familyReasons(option));
    if (option.name === "--source" || option.name === "--destination") checkAddress(option, at, scope.report);
    if (option.name === "--hitcount") checkHits(option, at, scope);
    if (option.name === "--jump" || option.name === "--goto") followJump(option);
    for (const at of targetWords(option)) ofTarget.add(at);
    if (SET_OPTIONS.has(option.name)) followSet(option);
    if (option.name === "--hashlimit-name") renameHashlimit(option);
  }

  function followJump(option: RuleOption): void {
    const name = option.value ?? "";
    const goto = option.name === "--goto";
    const target = findTarget(name, goto, scope.table, scope.chains);
    switch (target.kind) {
      case "own": {
        const own = policyChain(scope.report.policy, name);
        rewrites.set(option.at, () => own);
        compiled.next = { chain: name, goto };
        break;
      }
      case "external":
        compiled.drops = true; // nobody knows what stands in it
        break;
      case "extension":
        compiled.drops ||= DROPS.has(name);
        break;
      case "fault":
        scope.report.problem(at, target.message, { found: name, expected: target.expected });
        break;
    }
  }

  function followSet(option: RuleOption): void {
    const name = option.value ?? "";
    const set = scope.findSet(name);
    if (set === undefined) {
      const isList = name.startsWith("list:");
      scope.report.problem(at, isList ? `there is no list ${name.slice(5)}` : `there is no set ${name}`, {
        found: name,
        expected: listed(scope.knownSets(), "a set under `sets` or `external.sets`: there is none"),
      });
      return;
    }
    if (option.name !== "--match-set" && !set.writable)
      scope.report.problem(at, `a rule can't write to ${name}: a list is changed by \`sluice list\` alone`);
    const [family] = set.families;
    if (set.families.length === 1 && family !== undefined)
      reasons.push({ family, because: `the set ${name}` });
    rewrites.set(option.at, set.kernelName);
  }

  function rewritten(family: Family) {
    return words.map((word, index) => ({ word: rewrites.get(index)?.(family) ?? word, index }));
  }

  function renameHashlimit(option: RuleOption): void {
    const name = hashlimitName(option.value ?? "", words);
    rewrites.set(option.at, () => name);
  }

  return {
    ...compiled,
    families: agreed(reasons, at, scope.report),
    effect: effectOf(words, {
      isOwnChain: (name) => scope.chains.own.get(scope.table)?.has(name) ?? false,
      isForeignSet: () => false,
    }).effect,
    words: (family) => rewritten(family).map(({ word }) => word),
    matches: (family) => rewritten(family).flatMap(({ word, index }) => (ofTarget.has(index) ? [] : [word])),
    observed: rule.mode === "observe",
    origin: scope.report.origin(at),
  };
}

/** Options of the targets that end a packet, and how many words each takes beside its name. */
const TARGET_OPTIONS: Readonly<Record<string, number>> = {
  "--jump": 1,
  "--goto": 1,
  "--reject-with": 1,
  "--tarpit": 0,
  "--honeypot": 0,
  "--delude": 0,
};

/** The indexes of an option's words, where it says what becomes of the packet. */
function targetWords({ name, at }: RuleOption): number[] {
  const values = TARGET_OPTIONS[name];
  return values === undefined ? [] : Array.from({ length: values + 1 }, (_, index) => at - 1 + index);
}

/** The families that all reasons allow. */
function agreed(reasons: readonly FamilyReason[], at: Spot, report: Reporter): Family[] {
  const first = reasons[0];
  if (first === undefined) return [...FAMILIES];
  const other = reasons.find((reason) => reason.family !== first.family);
  if (other !== undefined)
    report.problem(at, "this rule fits neither IPv4 nor IPv6", {
      found: `IPv${first.family} by \`${first.because}\` and IPv${other.family} by \`${other.because}\``,
      expected: "one family in a rule; a set holds both",
    });
  return [first.family];
}

function checkText(words: readonly string[], at: Spot, report: Reporter): void {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
  const bad = words.find((word) => /[\u0000-\u001f\u007f]/.test(word));
  if (bad !== undefined)
    report.problem(at, "a word holds a control character", { found: JSON.stringify(bad) });
}

/** A name would be looked up when the rule is loaded, by whatever resolver there is then: not in a policy. */
function checkAddress({ name, value = "" }: RuleOption, at: Spot, report: Reporter): void {
  if (value === "!") return;
  const bad = value.split(",").find((text) => familyOfText(text) === undefined);
  if (bad !== undefined)
    report.problem(at, `${name} takes addresses, not names`, {
      found: bad,
      expected: "an address or network",
    });
}

function checkHits({ value = "" }: RuleOption, at: Spot, scope: RuleScope): void {
  if (Number(value) > scope.recentMaxHits)
    scope.report.problem(at, recentTooSmall(scope.recentMaxHits, value, at.path));
}

export function recentTooSmall(max: number, wants: string | number, path: string): string {
  if (max === 0) return `this kernel has no recent match; ${path} wants it`;
  return `this kernel's recent match counts to ${max}; ${path} wants ${wants}`;
}

/**
 * The kernel keeps a hashlimit table's old rate when a rule of the same name comes with a new one, while showing the new
 * one. So the name carries its parameters: another rate is another table. 15 characters is the kernel's limit.
 */
function hashlimitName(name: string, words: readonly string[]): string {
  const parameters: string[] = [name];
  for (const option of optionsOf(words)) {
    if (!option.name.startsWith("--hashlimit") || option.name === "--hashlimit-name") continue;
    parameters.push(option.negated ? "!" : "", option.name, option.value ?? "");
  }
  return `${name.slice(0, 8)}-${sha256Hex(parameters.join("\n")).slice(0, 6)}`;
}
