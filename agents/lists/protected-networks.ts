import type { Family } from "@sluice/proto/base/names";
import { networksOf, parseRange } from "@sluice/proto/policy/addresses";
import { type AddressKey, createKey, readKey } from "@sluice/proto/wire/address-text";

/** Networks that no list may block, in part or whole; asked for each of a million entries. */
export interface ProtectedNetworks {
  overlap(family: Family, key: AddressKey): boolean;
}

export function protectedNetworks(texts: readonly string[]): ProtectedNetworks {
  const networks: Record<Family, AddressKey[]> = { 4: [], 6: [] };
  for (const text of texts) {
    const range = parseRange(text);
    for (const network of range === undefined ? [] : networksOf(range)) {
      const key = createKey();
      const family = readKey(Buffer.from(network), 0, network.length, key);
      if (family !== undefined) networks[family].push(key);
    }
  }
  return { overlap: (family, key) => networks[family].some((network) => overlap(network, key)) };
}

/** One of the two holds the other: as far as the shorter prefix goes they are the same. */
function overlap(a: AddressKey, b: AddressKey): boolean {
  let bits = Math.min(a.prefix, b.prefix);
  for (let word = 0; bits > 0; word++, bits -= 32) {
    const differ = ((a.words[word] ?? 0) ^ (b.words[word] ?? 0)) >>> 0;
    if (bits >= 32 ? differ !== 0 : differ >>> (32 - bits) !== 0) return false;
  }
  return true;
}
