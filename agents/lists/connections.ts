import { endianness } from "node:os";
import type { Family } from "@sluice/proto/base/names";
import { type AddressKey, readKey } from "@sluice/proto/wire/address-text";

/** Addresses in what the kernel prints of live connections. Whatever can't be read is left out. */

const LISTENING = "0A";
const MAPPED = /^0{16}(?:0000FFFF|FFFF0000)/;

/** The other end of a line of `/proc/net/tcp` or `tcp6`, read into `key`; undefined: it has none. */
export function remoteOf(line: string, key: AddressKey): Family | undefined {
  const [, , remote = "", state] = line.trim().split(/\s+/);
  const hex = remote.slice(0, remote.indexOf(":"));
  if (state === LISTENING || !/^[0-9A-F]+$/.test(hex) || /^0+$/.test(hex)) return undefined;
  const words = MAPPED.test(hex) ? [hex.slice(24)] : (hex.match(/.{8}/g) ?? []);
  if (words.length !== 1 && words.length !== 4) return undefined;
  for (const [index, word] of words.entries()) key.words[index] = hostWord(word);
  const family = words.length === 1 ? 4 : 6;
  key.prefix = family === 4 ? 32 : 128;
  return family;
}

/** Printed as a number of this machine's, whose bytes lie as the network has them. */
function hostWord(hex: string): number {
  const value = Buffer.from(hex, "hex");
  return endianness() === "LE" ? value.readUInt32LE() : value.readUInt32BE();
}

/** Both ends of a line of `/proc/net/nf_conntrack`, as who began it wrote them. */
export function endsOf(line: string): { src: string; dst: string } | undefined {
  const [, src, dst] = / src=(\S+) dst=(\S+)/.exec(line) ?? [];
  return src === undefined || dst === undefined ? undefined : { src, dst };
}

export function readText(text: string, key: AddressKey): Family | undefined {
  return readKey(Buffer.from(text), 0, text.length, key);
}
