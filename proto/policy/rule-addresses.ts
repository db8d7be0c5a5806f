import type { Family } from "../base/names.ts";
import { canonicalEntry, familyOfAddress, mappedIpv4, parseRange } from "./addresses.ts";
import type { Reader } from "./reader.ts";
import { addFamily, type RuleFamily } from "./rule-family.ts";
import type { RuleOption } from "./rule-options.ts";
import { addressFault } from "./set-entry.ts";
import type { TextNode } from "./source-node.ts";
import { hasVariable } from "./variables.ts";
import { possibleTexts, type Variables } from "./vars.ts";

/** What stands after `-s` or `-d`: a list of addresses, of one family. With variables in it, only the addresses are checked. */
export function checkAddresses(
  reader: Reader,
  node: TextNode,
  option: RuleOption,
  vars: Variables,
  ofFamily: RuleFamily,
): void {
  const { value, name } = option;
  if (value === undefined || value.text === "!") {
    reader.problem(node, `${name} has no address`, {
      place: node.placeAt(option.at),
      expected: `${name} ADDRESS, or ! ${name} ADDRESS`,
    });
    return;
  }
  if (hasVariable(value.text)) {
    const faults = possibleTexts(value.text, vars).flatMap((text) => text.split(",").map(ruleAddressFamily));
    for (const fault of faults)
      if (!fault.ok)
        reader.problem(node, fault.message, {
          place: node.placeAt(value.at),
          found: value.text,
          expected: fault.expected,
        });
    return;
  }
  let { at } = value;
  for (const text of value.text.split(",")) {
    const checked = ruleAddressFamily(text);
    if (checked.ok) addFamily(reader, node, ofFamily, checked.family, { text, at });
    else
      reader.problem(node, checked.message, {
        place: node.placeAt(at),
        found: text,
        expected: checked.expected,
      });
    at += text.length + 1;
  }
}

type AddressFamily = { ok: true; family: Family } | { ok: false; message: string; expected: string };

/** The family of what stands after `-s` or `-d`: an address or a network, by prefix or mask, as iptables takes them. */
function ruleAddressFamily(text: string): AddressFamily {
  const family = familyOfAddress(text) ?? maskedFamily(text);
  if (family === undefined)
    return {
      ok: false,
      message: addressFault(text),
      expected: "an address, a network, or -m set with a set of this policy",
    };
  if (text.includes("-"))
    return { ok: false, message: `${text} is a range`, expected: "-m iprange --src-range or --dst-range" };
  const range = parseRange(text);
  const ipv4 = range && mappedIpv4(range);
  if (ipv4 !== undefined)
    return { ok: false, message: `${text} is an IPv4 address written as IPv6`, expected: ipv4 };
  return { ok: true, family };
}

/** iptables also takes `10/8`, and masks with holes in them. */
function maskedFamily(text: string): Family | undefined {
  const [address = "", mask = "", ...more] = text.split("/");
  if (more.length > 0) return undefined;
  if (/^\d{1,3}(\.\d{1,3}){0,2}$/.test(address)) {
    const padded = `${address}${".0".repeat(3 - (address.match(/\./g) ?? []).length)}/${mask}`;
    return canonicalEntry(padded) === undefined ? undefined : 4;
  }
  const isAddress = (part: string): boolean => !/[-/]/.test(part) && canonicalEntry(part) !== undefined;
  const family = isAddress(address) ? familyOfAddress(address) : undefined;
  return isAddress(mask) && familyOfAddress(mask) === family ? family : undefined;
}
