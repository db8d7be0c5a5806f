import type { RuleHitsView } from "@sluice/proto/api/hits";
import type { PolicyDocument } from "@sluice/proto/policy/document";
import { effectsIn, modeOf, reachedRules } from "@sluice/proto/policy/observed";

/** A part of a policy that matches packets, by the path that its kernel rules have for origin. */
export type CountedRule = Pick<RuleHitsView, "line" | "path" | "text" | "mode" | "does">;

const known = new WeakMap<PolicyDocument, readonly CountedRule[]>();

/** In the order in which they stand in the policy's text. */
export function rulesOf(document: PolicyDocument): readonly CountedRule[] {
  const before = known.get(document);
  if (before !== undefined) return before;
  const effectIn = effectsIn(document);
  const mode = modeOf(document);
  const rules: CountedRule[] = [
    ...document.firewall.defaults.map(({ hook, verdict, line }) => ({
      ...{ line, mode, does: "drop" as const },
      path: `firewall.filter.${hook}.default`,
      text: `default ${hook} ${verdict}`,
    })),
    ...reachedRules(document).map(({ rule, chain, path, mode }) => {
      const { effect } = effectIn(chain.table, rule);
      const does = effect === "accept" || effect === "drop" ? effect : ("match" as const);
      return { line: rule.line, path, text: rule.text, mode, does };
    }),
    ...document.blocks.map(({ list, direction, line }, index) => ({
      ...{ line, mode, does: "drop" as const },
      path: `blocks[${index}]`,
      text: `block ${list}${direction === "both" ? "" : ` ${direction}`}`,
    })),
    ...document.guards.map(({ name, line }) => ({
      ...{ line, mode, does: "drop" as const },
      path: `guards.${name}`,
      text: `guard ${name}`,
    })),
  ];
  const sorted = rules.sort((a, b) => a.line - b.line);
  known.set(document, sorted);
  return sorted;
}
