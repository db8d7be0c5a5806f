import type { Family } from "../base/names.ts";
import type { TableName } from "../manifest/manifest.ts";
import type { PolicyRule } from "./document.ts";
import { oneOf, optional } from "./fields.ts";
import { type Reader, readFields } from "./reader.ts";
import { checkAddresses } from "./rule-addresses.ts";
import { addFamily, type RuleFamily } from "./rule-family.ts";
import { checkSetName, checkTarget, type RuleNames } from "./rule-names.ts";
import { optionFault, optionsOf, separateValues } from "./rule-options.ts";
import { splitRule } from "./rule-text.ts";
import { positionOf, type SourceNode, type TextNode } from "./source-node.ts";
import { checkVariables } from "./vars.ts";

export interface CheckedRule {
  rule: PolicyRule;
  /** the own chains that it goes to */
  goesTo: string[];
  node: TextNode;
}

const SET_OPTIONS = new Set(["--match-set", "--add-set", "--del-set", "--map-set"]);
const ADDRESS_OPTIONS = new Set(["-s", "-d", "--source", "--destination", "--src", "--dst"]);
const FAMILY_OPTIONS: Readonly<Record<string, Family>> = { "-4": 4, "--ipv4": 4, "-6": 6, "--ipv6": 6 };

const FAMILY_NAMES: Readonly<Record<string, Family>> = { ipv4: 4, ipv6: 6 };
const familyField = optional(oneOf(["ipv4", "ipv6"]));
const modeField = optional(oneOf(["observe", "enforce"]));

/** A rule: iptables' own words without `-A CHAIN`, or a map of those, the family and the mode. */
export function readRule(
  reader: Reader,
  node: SourceNode,
  table: TableName,
  names: RuleNames,
): CheckedRule | undefined {
  if (node.kind === "text") return checkRule(reader, node, undefined, table, names);
  if (node.kind === "map") {
    const odd = [...node.fields].find(([key]) => /^[-!]|\s/.test(key));
    if (odd !== undefined) {
      reader.problem(node, "YAML read this rule as a map, because of its `: `", {
        place: odd[1].key.place,
        found: odd[0],
        expected: "the whole rule in single quotes",
      });
      return undefined;
    }
    const fields = readFields(reader, node, { rule: "nested", family: familyField, mode: modeField });
    const family = FAMILY_NAMES[fields?.family ?? ""];
    if (fields?.rule?.kind === "text") {
      const checked = checkRule(reader, fields.rule, family, table, names);
      if (fields.mode === "observe" && checked !== undefined) checked.rule.mode = "observe";
      return checked;
    }
    if (fields !== undefined)
      reader.problem(fields.rule ?? node, "rule is missing", { expected: "rule: the rule's text" });
    return undefined;
  }
  const expected = "a rule, such as -p tcp --dport 22 -j ACCEPT";
  reader.problem(node, node.kind === "empty" ? "an empty rule" : "this isn't a rule", { expected });
  return undefined;
}

function checkRule(
  reader: Reader,
  node: TextNode,
  said: Family | undefined,
  table: TableName,
  names: RuleNames,
): CheckedRule | undefined {
  const split = splitRule(reader, node);
  if (split === undefined) return undefined;
  const problemsBefore = reader.problems.length;
  const words = separateValues(split);
  for (const { text, at } of words) checkVariables(reader, node, names.vars, text, at);

  const ofFamily: RuleFamily = { family: said, because: "family" };
  const goesTo: string[] = [];
  const familyWords = new Set<number>();
  let lastMatch = "";
  let target = "";
  for (const option of optionsOf(words)) {
    const { name, value, index, at } = option;
    const place = node.placeAt(at);
    const fault = optionFault(name, target);
    if (fault !== undefined) {
      reader.problem(node, fault.message, { place, found: name, expected: fault.expected });
      continue;
    }
    const family = FAMILY_OPTIONS[name];
    if (family !== undefined) {
      familyWords.add(index);
      addFamily(reader, node, ofFamily, family, words[index]);
    } else if (name === "-m" || name === "--match") lastMatch = value?.text ?? "";
    else if (name === "--set" && lastMatch === "set")
      reader.problem(node, "--set of the set match is out of use", {
        place,
        found: name,
        expected: "--match-set",
      });
    else if (ADDRESS_OPTIONS.has(name)) checkAddresses(reader, node, option, names.vars, ofFamily);
    else if (SET_OPTIONS.has(name)) checkSetName(reader, node, option, names);
    else if (["-j", "--jump", "-g", "--goto"].includes(name)) {
      target = value?.text ?? "";
      const own = checkTarget(reader, node, option, table, names);
      if (own !== undefined) goesTo.push(own);
    }
  }
  if (reader.problems.length > problemsBefore) return undefined;
  const family = said ?? (familyWords.size > 0 ? ofFamily.family : undefined);
  const kept = words.filter((_, index) => !familyWords.has(index)).map(({ text }) => text);
  const rule = { text: node.text.trim(), words: kept, ...(family && { family }), ...positionOf(node) };
  return { rule, goesTo, node };
}
