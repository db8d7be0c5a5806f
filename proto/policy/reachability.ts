import type { Family } from "../base/names.ts";
import { canonicalEntry, familyOfAddress, parseRange, prefixOf } from "./addresses.ts";
import type { PolicyDocument } from "./document.ts";
import { type Field, parsed, wholeNumber } from "./fields.ts";
import { type Reader, readFields, readList, readValue } from "./reader.ts";
import { addressFault } from "./set-entry.ts";
import { positionOf, type SourceNode, type TextNode } from "./source-node.ts";
import { hasVariable } from "./variables.ts";
import { checkVariables, possibleTexts, type Variables } from "./vars.ts";

const PROBE = "address:port, such as 192.0.2.1:443 or [2001:db8::1]:443";
const PROTECT = "an address or a network";
/** 10.0.0.0/8 and fc00::/7: with wider ones, a policy could switch off what the others of its server block. */
const PROTECT_WIDEST: Readonly<Record<Family, number>> = { 4: 8, 6: 7 };

const reachPort: Field<number> = parsed("tcp/PORT, such as tcp/22", (text) =>
  text.startsWith("tcp/") ? wholeNumber(text.slice(4), 1, 65_535) : undefined,
);

/** `probes`: connections out that must still work after a change. */
export function readProbes(
  reader: Reader,
  node: SourceNode | undefined,
  vars: Variables,
): PolicyDocument["probes"] {
  const list = node && readList(reader, node, "a list of probes");
  return (list?.items ?? []).flatMap((item) => {
    const target = readFields(reader, item, { tcp: "nested" })?.tcp;
    if (target?.kind !== "text") {
      if (item.kind === "map")
        reader.problem(target ?? item, "tcp is missing", { expected: `tcp: ${PROBE}` });
      return [];
    }
    const texts = checkedTexts(reader, target, vars, PROBE, probeFault);
    return texts === undefined ? [] : [{ tcp: target.text, ...positionOf(item) }];
  });
}

/** `reach`: ports that must still be open to the outside after a change. */
export function readReach(reader: Reader, node: SourceNode | undefined): PolicyDocument["reach"] {
  const list = node && readList(reader, node, "a list of ports such as tcp/22");
  return (list?.items ?? []).flatMap((item) => {
    const port = readValue(reader, item, reachPort);
    return port === undefined ? [] : [{ protocol: "tcp" as const, port, ...positionOf(item) }];
  });
}

/** `protect`: addresses that nothing may cut off. */
export function readProtect(
  reader: Reader,
  node: SourceNode | undefined,
  vars: Variables,
): PolicyDocument["protect"] {
  const list = node && readList(reader, node, "a list of addresses and networks");
  return (list?.items ?? []).flatMap((item) => {
    if (item.kind !== "text") {
      reader.problem(item, "this isn't an address", { expected: PROTECT });
      return [];
    }
    if (checkedTexts(reader, item, vars, PROTECT, protectFault) === undefined) return [];
    const text = hasVariable(item.text) ? item.text : (canonicalEntry(item.text)?.entry ?? item.text);
    return [{ text, ...positionOf(item) }];
  });
}

/** Every text that the variables can make of it, if none has a fault. */
function checkedTexts(
  reader: Reader,
  node: TextNode,
  vars: Variables,
  expected: string,
  faultOf: (text: string) => string | undefined,
): string[] | undefined {
  if (!checkVariables(reader, node, vars)) return undefined;
  const texts = possibleTexts(node.text, vars);
  const faults = texts.flatMap((text) => {
    const fault = faultOf(text);
    return fault === undefined ? [] : [{ text, fault }];
  });
  for (const { text, fault } of faults) reader.problem(node, fault, { found: text, expected });
  return faults.length === 0 ? texts : undefined;
}

function probeFault(text: string): string | undefined {
  const found = /^(?:\[([^\]]*)\]|([^[\]]*)):(\d+)$/.exec(text);
  if (found === null) return "this isn't an address with a port";
  const [, bracketed, bare = "", port = ""] = found;
  if (/[-/]/.test(bracketed ?? bare) && familyOfAddress(bracketed ?? bare))
    return "this is more than one address";
  const family = familyOfAddress(bracketed ?? bare);
  if (bracketed === undefined && (family === 6 || bare.includes(":")))
    return "an IPv6 address stands in brackets";
  if (family === undefined || (bracketed !== undefined && family === 4))
    return addressFault(bracketed ?? bare);
  return wholeNumber(port, 1, 65_535) === undefined ? `${port} is no port` : undefined;
}

function protectFault(text: string): string | undefined {
  const range = parseRange(text);
  if (range === undefined) return addressFault(text);
  const prefix = prefixOf(range);
  if (prefix === undefined) return "a range can't be protected: write its networks";
  if (prefix === 0) return "protecting every address would leave nothing to block";
  const widest = PROTECT_WIDEST[range.family];
  return prefix < widest ? `a network wider than /${widest} can't be protected` : undefined;
}
