import { sha256Hex } from "@sluice/proto/base/digest";
import { type Family, policyChain } from "@sluice/proto/base/names";
import type { Facts } from "@sluice/proto/manifest/facts";
import type { ManifestChain, ManifestRule, Origin, TableName } from "@sluice/proto/manifest/manifest";
import { quoteWords } from "@sluice/proto/policy/rule-words";
import { type Reporter, TOP } from "./findings.ts";
import type { CompiledChain } from "./firewall.ts";
import type { CompiledRule } from "./rule.ts";

/**
 * Chains that are observed: every packet that enters one leaves it as it came, and what their rules would have done is
 * counted.
 *
 * 1. What a rule would drop is counted by that rule, logged at a bounded rate, and looked at no further: so a packet
 *    that an earlier rule would have accepted or dropped is never counted as dropped by a later one.
 * 2. Each rule's matches are asked once per packet, as if it were enforced: limits and recent lists count right.
 * 3. No mark, no verdict, nothing of the packet differs when it leaves.
 *
 * How: a decided packet must leave all chains, and RETURN leaves but one. So a chain that others go to hangs a flag out
 * when it has decided, and each caller looks for it. The flag is one bit of the packet's mark, turned over and turned
 * back before the packet leaves. Packets that come with the bit set walk a second copy of the chains, in which the bit
 * unset is the flag.
 *
 *     entry ─┬─ bit unset ─▶ run 0: -j chain, unset the bit
 *            └─ bit set ───▶ run 1: -j the copy, set the bit
 *
 * A policy without chains of its own needs no flag: there RETURN is enough.
 *
 * `ask` is another copy for the end of a hook, where only what the chain didn't decide is of interest: the state that
 * rules keep is read there and not written.
 */
export interface Observer {
  /** The chain through which packets enter an observed one, made when it is first asked for. */
  enter(chain: CompiledChain, family: Family): string;
  /** As `enter`, but what the chain leaves undecided is counted for `end`, and nothing else. */
  ask(chain: CompiledChain, family: Family, end: Origin): string;
  /** One observed rule among rules that aren't: the packet goes on to the next one. */
  lone(rule: CompiledRule, table: TableName, family: Family): ManifestRule;
  /** all that was made so far */
  readonly chains: ManifestChain[];
}

export interface ObserverOptions {
  facts: Facts;
  report: Reporter;
  /** the policy's chains, to look up what rules go to */
  chains: readonly CompiledChain[];
  /** matches of packets that the policy couldn't decide about, whatever its rules say */
  exempt(chain: CompiledChain, family: Family): string[][];
  takeName(table: TableName, kernelName: string): void;
}

const FLAG = "0x80000000/0x80000000";
const UNFLAG = "0x0/0x80000000";
const LOG_PREFIX_MAX = 29;
const LOG_LIMIT = ["-m", "limit", "--limit", "10/minute", "--limit-burst", "5"];

/** Which copy of the chains: `flag` is the value of the bit that says "decided"; undefined where none is needed. */
interface Run {
  table: TableName;
  family: Family;
  flag: 0 | 1 | undefined;
  asks: boolean;
}

export function createObserver(options: ObserverOptions): Observer {
  const { facts, report } = options;
  const byName = new Map(options.chains.map((chain) => [`${chain.table}/${chain.name}`, chain]));
  const made = new Map<string, ManifestChain>();
  const names = new Map<string, string>();

  /** The same purpose has the same name in both families. */
  function nameFor(table: TableName, purpose: string): string {
    const known = names.get(`${table}/${purpose}`);
    if (known !== undefined) return known;
    const name = policyChain(report.policy, `o-${names.size + 1}`);
    names.set(`${table}/${purpose}`, name);
    options.takeName(table, name);
    return name;
  }

  function make(
    { table, family }: Pick<Run, "table" | "family">,
    name: string,
    rules: () => ManifestRule[],
  ): string {
    const key = `${family}/${table}/${name}`;
    if (made.has(key)) return name;
    const chain: ManifestChain = { family, table, name, rules: [] };
    made.set(key, chain);
    chain.rules = rules();
    return name;
  }

  function makeFor(run: Run, purpose: string, rules: () => ManifestRule[]): string {
    const copy = `${run.flag ?? "-"}${run.asks ? "?" : ""}`;
    return make(run, nameFor(run.table, `${purpose} ${copy}`), rules);
  }

  function enter(chain: CompiledChain, family: Family): string {
    const { table, hook, kernelName } = chain;
    const name = hook === undefined ? nameFor(table, `enter ${chain.name}`) : kernelName;
    return make({ table, family }, name, () => entry(chain, family, undefined));
  }

  function ask(chain: CompiledChain, family: Family, end: Origin): string {
    const { table } = chain;
    return make({ table, family }, nameFor(table, `ask ${chain.name}`), () => entry(chain, family, end));
  }

  function entry(chain: CompiledChain, family: Family, end: Origin | undefined): ManifestRule[] {
    const { table } = chain;
    const run: Run = { table, family, flag: undefined, asks: end !== undefined };
    const exempt = options.exempt(chain, family).map((words) => step([...words, "-j", "RETURN"]));
    if (!needsFlag(chain, run)) return [...exempt, ...body(chain, run, { end })];
    if (!facts.capabilities.targets.includes("MARK"))
      report.problem({ ...TOP, line: chain.origin.line ?? 1, path: chain.origin.path ?? "" }, NO_MARK);
    const through = (flag: 0 | 1) => {
      const way: Run = { ...run, flag: flag === 1 ? 1 : 0 };
      return makeFor(way, `run ${chain.name}`, () => [
        step(["-j", makeFor(way, `top ${chain.name}`, () => body(chain, way, { end }))]),
        step([...isFlagged(way), "-j", "MARK", "--set-xmark", flag === 1 ? UNFLAG : FLAG]),
      ]);
    };
    return [...exempt, step(["-m", "mark", "!", "--mark", FLAG, "-g", through(1)]), step(["-g", through(0)])];
  }

  /** The rules of a chain in a run; `end` is at the end of the outermost alone. */
  function body(chain: CompiledChain, run: Run, { end }: { end?: Origin | undefined } = {}): ManifestRule[] {
    const rules = rulesOf(chain, run.family).flatMap((rule) => observed(rule, chain, run, end));
    return end === undefined ? rules : [...rules, ending(run, end)];
  }

  function ending(run: Run, end: Origin): ManifestRule {
    return counted([], { origin: end }, ["-g", wouldDrop({ ...run, flag: undefined }, end)]);
  }

  function observed(
    rule: CompiledRule,
    chain: CompiledChain,
    run: Run,
    end: Origin | undefined,
  ): ManifestRule[] {
    const { family, asks, flag } = run;
    const own = apart(rule.matches(family), `${report.policy} ${asks}`);
    const matches = asks ? withoutWriting(own) : own;
    const tell = (words: readonly string[]) =>
      asks ? step([...matches, ...words], rule.origin) : counted(matches, rule, words);
    switch (rule.effect) {
      case "accept":
        return [tell(flag === undefined ? ["-j", "RETURN"] : ["-g", decided(run)])];
      case "drop":
        if (!asks) return [tell(["-g", wouldDrop(run, rule.origin)])];
        return [tell(flag === undefined ? ["-j", "RETURN"] : ["-g", decided(run)])];
      case "return":
        return [end === undefined ? tell(["-j", "RETURN"]) : tell(["-g", undecided(run, end)])];
      case "goes": {
        const to = byName.get(`${chain.table}/${rule.next?.chain ?? ""}`);
        if (to === undefined) return []; // a problem already
        const next = makeFor(run, `chain ${to.name}`, () => body(to, run));
        const look = step([...isFlagged(run), "-j", "RETURN"]);
        if (!rule.next?.goto) return [tell(["-j", next]), look];
        if (end === undefined) return [tell(["-g", next])];
        const last = () => [step(["-j", next]), look, step(["-g", undecided(run, end)])];
        return [tell(["-g", makeFor(run, `last ${to.name}`, last)])];
      }
      default:
        return asks ? [] : [counted(apart(rule.words(family), `${report.policy} ${asks}`), rule)];
    }
  }

  function undecided(run: Run, end: Origin): string {
    return makeFor(run, `undecided ${end.path}`, () => [ending(run, end)]);
  }

  function decided(run: Run): string {
    return makeFor(run, "decided", () => hangOut(run));
  }

  function wouldDrop(run: Run, origin: Origin): string {
    return makeFor(run, `drop ${origin.path}`, () => [
      ...logWords(facts, origin).map((words) => step(words, origin)),
      ...hangOut(run),
    ]);
  }

  function hangOut({ flag }: Run): ManifestRule[] {
    if (flag === undefined) return [];
    return [step(["-j", "MARK", "--set-xmark", flag === 1 ? FLAG : UNFLAG])];
  }

  function needsFlag(chain: CompiledChain, { family, asks }: Run): boolean {
    const seen = new Set([chain]);
    for (const one of seen)
      for (const { next } of rulesOf(one, family)) {
        if (next === undefined) continue;
        if (!next.goto || asks) return true;
        const to = byName.get(`${chain.table}/${next.chain}`);
        if (to !== undefined) seen.add(to);
      }
    return false;
  }

  return {
    enter,
    ask,
    lone(rule, table, family) {
      const to = byName.get(`${table}/${rule.next?.chain ?? ""}`);
      const matches = rule.matches(family);
      const run: Run = { table, family, flag: undefined, asks: false };
      if (rule.effect === "drop") return counted(matches, rule, ["-j", wouldDrop(run, rule.origin)]);
      if (to !== undefined) return counted(matches, rule, ["-j", enter(to, family)]);
      return counted(rule.effect === "passes" ? rule.words(family) : matches, rule);
    },
    get chains() {
      return [...made.values()];
    },
  };
}

const NO_MARK = "this kernel has no MARK target, so chains that go to others can't be observed";

function rulesOf(chain: CompiledChain, family: Family): CompiledRule[] {
  return chain.rules.filter((rule) => rule.families.includes(family));
}

function isFlagged({ flag }: Run): string[] {
  return ["-m", "mark", ...(flag === 1 ? [] : ["!"]), "--mark", FLAG];
}

function step(words: readonly string[], origin?: Origin): ManifestRule {
  return { args: quoteWords(words), ...(origin && { origin }), counts: "nothing" };
}

function counted(
  matches: readonly string[],
  { origin, counts = "observed" }: Pick<CompiledRule, "origin" | "counts">,
  target: readonly string[] = [],
): ManifestRule {
  return { args: quoteWords([...matches, ...target]), origin, counts };
}

/** `observe web-edge:12 `, which a kernel's log shows before the packet. */
function logWords({ capabilities }: Facts, { policy, line = 0 }: Origin): string[][] {
  const end = `:${line} `;
  const prefix = `observe ${policy}`.slice(0, LOG_PREFIX_MAX - end.length) + end;
  if (capabilities.targets.includes("LOG")) return [[...LOG_LIMIT, "-j", "LOG", "--log-prefix", prefix]];
  if (capabilities.targets.includes("NFLOG"))
    return [[...LOG_LIMIT, "-j", "NFLOG", "--nflog-prefix", prefix]];
  return [];
}

/** A hashlimit table is found by its name, whoever names it: an observed rule must not empty another's. */
function apart(matches: readonly string[], whose: string): string[] {
  return matches.map((word, index) =>
    matches[index - 1] === "--hashlimit-name"
      ? `${word.slice(0, 8)}.${sha256Hex(`${whose} ${word}`).slice(0, 6)}`
      : word,
  );
}

/** A recent list was written to where the packet was judged: here it is only looked at. */
function withoutWriting(matches: readonly string[]): string[] {
  return matches.map((word, index) =>
    matches[index - 1] !== "--comment" && isRecent(matches, index) && /^--(update|set)$/.test(word)
      ? "--rcheck"
      : word,
  );
}

/** The last match named before this word. */
function isRecent(words: readonly string[], index: number): boolean {
  const last = words.slice(0, index).findLastIndex((word) => word === "-m" || word === "--match");
  return words[last + 1] === "recent";
}
