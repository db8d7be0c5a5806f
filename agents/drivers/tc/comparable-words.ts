/**
 * Which of the words that tc prints are compared.
 *
 * Some values follow the device or the kernel's mood when nobody gave them. They are compared only where the target
 * gives them; else a longer queue on the live device would look like drift.
 */
const UNLESS_GIVEN: Readonly<Record<string, readonly string[]>> = {
  htb: ["direct_qlen"], // the device's txqueuelen
  pfifo: ["limit"], // the device's txqueuelen
  bfifo: ["limit"], // txqueuelen × MTU
  pfifo_head_drop: ["limit"], // the device's txqueuelen
  sfq: ["quantum", "flows"], // MTU + link header; 128 where no limit was given, else never more than that
  fq: ["quantum", "initial_quantum"], // MTU + link header
  fq_codel: ["quantum"], // MTU + link header
  fq_pie: ["quantum"],
  hhf: ["quantum"], // MTU + link header
  sfb: ["limit"], // the device's txqueuelen
  gred: ["limit"], // txqueuelen × MTU
  drr: ["quantum"], // MTU + link header
  qfq: ["maxpkt"], // MTU + link header
  netem: ["seed"], // random at each start
};

/** HTB keeps these for every class and prints them for leaves only. */
const LEAF_ONLY = ["prio", "quantum"];

export interface Asked {
  kind: string;
  args: readonly string[];
  /** the class is a leaf on one side of the comparison and not on the other */
  isLeafOnOneSide: boolean;
}

export function comparableWords(words: readonly string[], asked: Asked): string[] {
  const dropped = new Set((UNLESS_GIVEN[asked.kind] ?? []).filter((key) => !asked.args.includes(key)));
  if (asked.isLeafOnOneSide) for (const key of LEAF_ONLY) dropped.add(key);
  return withoutKeys(words, dropped);
}

/** What tc adds in its detailed and raw modes and nobody writes. */
const UNWRITTEN =
  /\b(linklayer ethernet|mpu 0b|ver \S+|c?buffer \[[0-9a-f]+\])(?= |$)|(?<=\db|Kb|Mb)\/1(?= |$)/g;

/** For people. */
export function readableWords(words: readonly string[]): string[] {
  return words
    .join(" ")
    .replace(UNWRITTEN, "")
    .split(" ")
    .filter((word) => word !== "");
}

function withoutKeys(words: readonly string[], dropped: ReadonlySet<string>): string[] {
  return words.filter((word, index) => !dropped.has(word) && !dropped.has(words[index - 1] ?? ""));
}
