import type { Classifier, PolicyRule } from "./document.ts";
import type { Reader } from "./reader.ts";
import { type CheckedRule, readRule } from "./rule-check.ts";
import type { RuleNames } from "./rule-names.ts";
import { optionsOf } from "./rule-options.ts";
import { positionOf, type SourceNode } from "./source-node.ts";

/** What looks at the packets: a rule of iptables on their way out, or filters of tc's own, which see the packet alone. */
export interface Matched {
  direction: "egress" | "ingress";
  by: Classifier | undefined;
}

const OUT_OF_PLACE: Readonly<Record<string, string>> = {
  "-j": "a match has no target: it leads to its class",
  "--jump": "a match has no target: it leads to its class",
  "-g": "a match has no target: it leads to its class",
  "--goto": "a match has no target: it leads to its class",
  "-o": "the device is the one that is shaped",
  "--out-interface": "the device is the one that is shaped",
  "-i": "a packet on its way out has no incoming device any more",
  "--in-interface": "a packet on its way out has no incoming device any more",
};

/** What u32 and flower can find in a packet; what comes in is sorted before any iptables table sees it. */
const PACKET_OPTIONS = new Set(
  "-p --protocol --proto -s --source --src -d --destination --dst --sport --source-port --dport --destination-port --sports --source-ports --dports --destination-ports -m --match".split(
    " ",
  ),
);
const PACKET_MODULES = new Set(["tcp", "udp", "sctp", "multiport"]);

/** `match`: a rule's words without a target, as a text, a map with the family, or a list of those; or `all`. */
export function readMatches(
  reader: Reader,
  node: SourceNode | undefined,
  matched: Matched,
  names: RuleNames,
): PolicyRule[] {
  if (node === undefined) return [];
  const items = node.kind === "list" ? node.items : [node];
  if (items.length === 0)
    reader.problem(node, "an empty list of matches", { expected: "-p tcp --sport 80, or no match at all" });
  return items.flatMap((item) => {
    if (item.kind === "text" && item.text.trim() === "all") return [everything(item)];
    const checked = readRule(reader, item, "mangle", names);
    return checked !== undefined && fits(reader, checked, matched) ? [checked.rule] : [];
  });
}

/** `all`: a rule without a word. */
function everything(node: SourceNode): PolicyRule {
  return { text: "all", words: [], ...positionOf(node) };
}

function fits(reader: Reader, { rule, node }: CheckedRule, { direction, by }: Matched): boolean {
  const seen = whoSeesPacketsAlone(direction, by);
  // the words have lost their places on the way: the rule's own is near enough
  const words = rule.words.map((text) => ({ text, at: 0 }));
  let isFit = rule.mode === undefined;
  if (!isFit) reader.problem(node, "a match can't be observed", { expected: "a match without mode" });
  for (const { name, value, negated } of optionsOf(words)) {
    const message = OUT_OF_PLACE[name] ?? (seen && packetFault(seen, name, value?.text ?? "", negated));
    if (message === undefined) continue;
    isFit = false;
    reader.problem(node, message, {
      found: `${negated ? "! " : ""}${name} ${value?.text ?? ""}`.trim(),
      expected: "matches alone, such as -p tcp --sport 80",
    });
  }
  return isFit;
}

/** What can match by nothing but the packet itself, as a message begins. */
function whoSeesPacketsAlone(direction: Matched["direction"], by: Matched["by"]): string | undefined {
  if (direction === "ingress") return "an ingress class";
  return by === "u32" || by === "flower" ? `a class by ${by}` : undefined;
}

function packetFault(seen: string, name: string, value: string, negated: boolean): string | undefined {
  const isModule = name === "-m" || name === "--match";
  if (PACKET_OPTIONS.has(name) && !negated && (!isModule || PACKET_MODULES.has(value))) return undefined;
  return `${seen} can't match by ${negated ? "! " : ""}${name}${isModule ? ` ${value}` : ""}: only by protocol, addresses and ports`;
}
