import { HOOKS, type TableName } from "../manifest/manifest.ts";
import type { PolicyChainDocument, PolicyDocument, PolicyRule } from "./document.ts";
import { effectOf } from "./effect.ts";
import type { Reader } from "./reader.ts";
import type { MapNode } from "./source-node.ts";

/**
 * Which rules of a policy are observed: all of a policy in `mode: observe`, else those that say so themselves, and those
 * of the chains that these go to.
 */
export type Mode = "enforce" | "observe";

/** A rule as it is reached: one of a chain that observed and other rules go to is there in both modes. */
export interface ReachedRule {
  rule: PolicyRule;
  chain: PolicyChainDocument;
  /** dotted path in the policy, as origins have it */
  path: string;
  mode: Mode;
}

/** What a policy's rules are unless they say so themselves: an imported one's will enforce. */
export function modeOf({ mode }: PolicyDocument): Mode {
  return mode === "observe" ? "observe" : "enforce";
}

export function reachedRules(document: PolicyDocument): ReachedRule[] {
  const { chains } = document.firewall;
  const whole = modeOf(document);
  const effectIn = effectsIn(document);
  const byKey = new Map(chains.map((chain) => [`${chain.table}/${chain.name}`, chain]));
  const modes = new Map<PolicyChainDocument, Set<Mode>>(chains.map((chain) => [chain, new Set()]));
  const toLookAt: { chain: PolicyChainDocument; mode: Mode }[] = [];

  function reach(chain: PolicyChainDocument | undefined, mode: Mode): void {
    if (chain === undefined || modes.get(chain)?.has(mode)) return;
    modes.get(chain)?.add(mode);
    toLookAt.push({ chain, mode });
  }

  for (const chain of chains) if (HOOKS.some((hook) => hook === chain.name)) reach(chain, whole);
  for (let next = toLookAt.pop(); next !== undefined; next = toLookAt.pop())
    for (const rule of next.chain.rules) {
      const { effect, target } = effectIn(next.chain.table, rule);
      if (effect === "goes") reach(byKey.get(`${next.chain.table}/${target}`), rule.mode ?? next.mode);
    }
  return chains.flatMap((chain) => {
    const reached = [...(modes.get(chain) ?? [])].sort();
    const ofChain = reached.length > 0 ? reached : [whole];
    return chain.rules.flatMap((rule, index) =>
      [...new Set(ofChain.map((mode) => rule.mode ?? mode))].map((mode) => ({
        ...{ rule, chain, mode },
        path: `firewall.${chain.table}.${chain.name}[${index}]`,
      })),
    );
  });
}

export function effectsIn({ firewall, external }: PolicyDocument) {
  const own = new Set(firewall.chains.map(({ table, name }) => `${table}/${name}`));
  const foreign = new Set(external.sets.map(({ name }) => name));
  return (table: TableName, { words }: Pick<PolicyRule, "words">) =>
    effectOf(words, {
      isOwnChain: (name) => own.has(`${table}/${name}`),
      isForeignSet: (name) => foreign.has(name),
    });
}

/** What changes packets can't be observed: it would change them, or what comes after it would be told wrong. */
export function checkObserved(reader: Reader, document: PolicyDocument, root: MapNode): void {
  const says = document.firewall.chains.some(({ rules }) => rules.some(({ mode }) => mode !== undefined));
  if (document.mode !== "observe" && !says) return;
  const effectIn = effectsIn(document);
  const expected = "what accepts, drops, logs or goes to a chain; the rest in a policy of its own";
  const { file } = root.place;
  for (const { rule, chain, path, mode } of reachedRules(document)) {
    const { effect, target } = effectIn(chain.table, rule);
    if (mode !== "observe" || effect !== "changes") continue;
    const place = { ...(file !== undefined && { file }), line: rule.line, column: rule.column };
    reader.problem({ place, path }, `${target} can't be observed: it doesn't only decide about a packet`, {
      found: rule.text,
      expected,
    });
  }
  const shaping = root.fields.get("shaping")?.key;
  if (document.mode === "observe" && document.shaping.length > 0 && shaping !== undefined)
    reader.problem(shaping, "shaping can't be observed", { found: "shaping", expected });
}
