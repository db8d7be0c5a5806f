import { optionsOf } from "./rule-options.ts";

/**
 * What a rule does with a packet that it matches.
 *
 * - `accept`, `drop`: decides it
 * - `return`: leaves the chain
 * - `goes`: to another chain of the policy's own
 * - `passes`: looks, counts or logs; the packet goes on as it came
 * - `changes`: anything else: it alters the packet, or hands it to whom nobody here knows
 */
export type Effect = "accept" | "drop" | "return" | "goes" | "passes" | "changes";

const DROPS = new Set(["DROP", "REJECT", "TARPIT", "STEAL", "CHAOS", "DELUDE"]);
const PASSES = new Set(["LOG", "NFLOG", "ULOG", "TRACE", "AUDIT", "LED", "IDLETIMER"]);

interface Names {
  isOwnChain(name: string): boolean;
  /** rules of other tools read it too */
  isForeignSet(name: string): boolean;
}

/** What the words of one rule do, and the target that does it. */
export function effectOf(words: readonly string[], names: Names): { effect: Effect; target: string } {
  const options = [...optionsOf(words.map((text) => ({ text, at: 0 })))];
  const jump = options.find(({ name }) => ["-j", "--jump", "-g", "--goto"].includes(name));
  const target = jump?.value?.text ?? "";
  return { effect: ofTarget(target, names), target };

  function ofTarget(name: string, { isOwnChain, isForeignSet }: Names): Effect {
    if (jump === undefined) return "passes";
    if (isOwnChain(name)) return "goes";
    if (name === "ACCEPT") return "accept";
    if (name === "RETURN") return "return";
    if (DROPS.has(name)) return "drop";
    if (PASSES.has(name)) return "passes";
    if (name !== "SET") return "changes";
    const written = options.filter((option) => /^--(add|del|map)-set$/.test(option.name));
    const isOwn = ({ name, value }: (typeof written)[number]) =>
      name !== "--map-set" && !isForeignSet(value?.text ?? "");
    return written.every(isOwn) ? "passes" : "changes";
  }
}
