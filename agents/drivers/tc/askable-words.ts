import { readableWords } from "./comparable-words.ts";

/**
 * What tc prints of an object, as tc would be asked for it. Not for every kind there is: whoever needs it to be right builds
 * it in a throw-away namespace and compares.
 */
export function askableWords(kind: string, words: readonly string[]): string[] {
  const written = readableWords(words).map((word) => word.replace(/^(\d+)p$/, "$1")); // `limit 50p`
  return kind === "u32" ? u32Words(written) : written;
}

/** `key bkt 0 … match 00000016/0000ffff at 20` → `… match u32 0x00000016 0x0000ffff at 20` */
function u32Words(words: readonly string[]): string[] {
  return words.flatMap((word, index) => {
    if (word === "key" || word === "bkt" || words[index - 1] === "bkt") return [];
    const match = words[index - 1] === "match" ? /^([0-9a-f]{8})\/([0-9a-f]{8})$/.exec(word) : null;
    return match === null ? [word] : ["u32", `0x${match[1]}`, `0x${match[2]}`];
  });
}
