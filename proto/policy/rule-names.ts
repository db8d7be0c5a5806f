import type { TableName } from "../manifest/manifest.ts";
import type { Reader } from "./reader.ts";
import type { RuleOption } from "./rule-options.ts";
import { type ChainNames, findTarget } from "./rule-targets.ts";
import type { TextNode } from "./source-node.ts";
import { didYouMean, oneOfNames } from "./suggest.ts";
import { hasVariable } from "./variables.ts";
import type { Variables } from "./vars.ts";

/** What a policy's rules may name. */
export interface RuleNames {
  vars: Variables;
  chains: ChainNames;
  /** the policy's sets and the external ones */
  sets: ReadonlySet<string>;
}

/** The name of a set: this policy's, an external one, or a live list as `list:NAME`. */
export function checkSetName(reader: Reader, node: TextNode, option: RuleOption, names: RuleNames): void {
  const name = option.value?.text ?? "";
  const place = node.placeAt(option.value?.at ?? option.at);
  if (names.sets.has(name)) return;
  if (name.startsWith("list:")) {
    if (option.name !== "--match-set")
      reader.problem(node, `a rule can't change the list ${name.slice(5)}`, {
        place,
        found: name,
        expected: "a set of this policy",
      });
    else if (!/^list:[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(name))
      reader.problem(node, "this can't be a list's name", { place, found: name, expected: "list:NAME" });
    return;
  }
  const isVariable = hasVariable(name);
  reader.problem(
    node,
    isVariable ? "a set can't come from a variable" : `undefined set ${name}${didYouMean(name, names.sets)}`,
    {
      place,
      found: name,
      expected: `${names.sets.size > 0 ? oneOfNames(names.sets) : "a set under sets or external.sets"}; or list:NAME for a live list`,
    },
  );
}

/** Where `-j` or `-g` leads. The name of the policy's own chain, if it is one. */
export function checkTarget(
  reader: Reader,
  node: TextNode,
  option: RuleOption,
  table: TableName,
  names: RuleNames,
): string | undefined {
  const name = option.value?.text ?? "";
  const isGoto = option.name === "-g" || option.name === "--goto";
  const target = findTarget(name, isGoto, table, names.chains);
  if (target.kind === "fault") {
    const place = node.placeAt(option.value?.at ?? option.at);
    reader.problem(node, target.message, { place, found: name, expected: target.expected });
  }
  return target.kind === "own" ? name : undefined;
}
