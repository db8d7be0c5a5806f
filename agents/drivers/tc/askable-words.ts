import { parseRateBitPerSec } from "@sluice/proto/base/units";
import { readableWords } from "./comparable-words.ts";
import { sizeOfTicks } from "./ticks.ts";

/**
 * What tc prints of an object, as tc would be asked for it. Not for every kind there is: whoever needs it to be right builds
 * it in a throw-away namespace and compares.
 */
export function askableWords(kind: string, words: readonly string[]): string[] {
  const exact = kind === "htb" ? htbWords(words) : kind === "tbf" ? tbfWords(words) : words;
  const written = readableWords(exact).map((word, index, all) => plainNumber(word, all[index - 1] ?? ""));
  return (OWN_WORDS[kind] ?? ((all) => [...all]))(written);
}

const OWN_WORDS: Readonly<Record<string, (words: readonly string[]) => string[]>> = {
  u32: u32Words,
  flower: (words) => withoutPair(words, "eth_type"), // comes of the protocol
  sfq: (words) => (isOfKernel(words) ? withoutPair(words, "flows") : [...words]),
};

/** An sfq has 128 flows and 127 packets while nobody has given it either. */
function isOfKernel(words: readonly string[]): boolean {
  return Number(wordAfter(words, "flows")) > Number(wordAfter(words, "limit"));
}

function withoutPair(words: readonly string[], name: string): string[] {
  return words.filter((word, index) => word !== name && words[index - 1] !== name);
}

/** `limit 50p`, `quantum 3028b`, `mpu 64b` and `perturb 10sec` are asked for without the unit. */
function plainNumber(word: string, name: string): string {
  const units =
    name.endsWith("quantum") || name === "mpu" ? /^(\d+)b$/ : name === "perturb" ? /^(\d+)sec$/ : /^(\d+)p$/;
  return word.replace(units, "$1");
}

/** `key bkt 0 … match 00000016/0000ffff at 20` → `… match u32 0x00000016 0x0000ffff at 20` */
function u32Words(words: readonly string[]): string[] {
  return words.flatMap((word, index) => {
    if (word === "key" || word === "bkt" || words[index - 1] === "bkt") return [];
    const match = words[index - 1] === "match" ? /^([0-9a-f]{8})\/([0-9a-f]{8})$/.exec(word) : null;
    return match === null ? [word] : ["u32", `0x${match[1]}`, `0x${match[2]}`];
  });
}

/** `burst 1599b/1 … buffer [00027e3e]` → the burst that makes this buffer. An mpu is printed of both rates, and is one. */
function htbWords(words: readonly string[]): string[] {
  const burst = exactSize(wordAfter(words, "rate"), wordAfter(words, "buffer"));
  const cburst = exactSize(wordAfter(words, "ceil"), wordAfter(words, "cbuffer"));
  const second = words.indexOf("mpu", words.indexOf("mpu") + 1);
  const once = words.filter((_, index) => second < 0 || (index !== second && index !== second + 1));
  return withValue(withValue(once, "burst", burst), "cburst", cburst);
}

/** `burst 10Kb/1 mpu 0b [00138800] lat 50ms limit 16490b`: the latency is what comes of the limit */
function tbfWords(words: readonly string[]): string[] {
  const burst = exactSize(
    wordAfter(words, "rate"),
    words.find((word) => word.startsWith("[")),
  );
  return withValue(words, "burst", burst).filter(
    (word, index) => word !== "lat" && words[index - 1] !== "lat" && !word.startsWith("["),
  );
}

function exactSize(rate: string | undefined, raw: string | undefined): string | undefined {
  const bitPerSec = rate === undefined ? undefined : parseRateBitPerSec(rate);
  const ticks = Number.parseInt(/^\[([0-9a-f]+)\]$/.exec(raw ?? "")?.[1] ?? "", 16);
  return bitPerSec === undefined || !(ticks > 0) ? undefined : `${sizeOfTicks(bitPerSec, ticks)}b`;
}

function wordAfter(words: readonly string[], name: string): string | undefined {
  const at = words.indexOf(name);
  return at < 0 ? undefined : words[at + 1];
}

function withValue(words: readonly string[], name: string, value: string | undefined): string[] {
  const at = words.indexOf(name);
  return at < 0 || value === undefined ? [...words] : words.with(at + 1, value);
}
