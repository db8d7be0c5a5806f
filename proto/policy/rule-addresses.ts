import type { Family } from "../base/names.ts";
import { canonicalEntry, familyOfAddress } from "./addresses.ts";
import { addressFault } from "./set-entry.ts";

export type AddressFamily = { ok: true; family: Family } | { ok: false; message: string; expected: string };

/** The family of what stands after `-s` or `-d`: an address or a network, by prefix or mask, as iptables takes them. */
export function ruleAddressFamily(text: string): AddressFamily {
  const family = familyOfAddress(text) ?? maskedFamily(text);
  if (family === undefined)
    return {
      ok: false,
      message: addressFault(text),
      expected: "an address, a network, or -m set with a set of this policy",
    };
  if (text.includes("-"))
    return { ok: false, message: `${text} is a range`, expected: "-m iprange --src-range or --dst-range" };
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
