import { quoteWords } from "@sluice/proto/policy/rule-words";
import { type Match, type RuleParts, rulePartsOf } from "./rule-parts.ts";

/**
 * What a room can't say of a packet: it depends on the server itself, on the clock, on chance, or on what another tool
 * keeps. Where a packet meets such a thing, the verdict is unknown: never a guess.
 *
 * How it is found out whether a packet meets it: before the rule stands a twin, the same without what can't be said and
 * without a target. If the kernel counts the twin, the packet would have been asked.
 */
const MATCHES: Readonly<Record<string, string>> = {
  owner: "which process sent it",
  cgroup: "which process sent it",
  socket: "the server's own sockets",
  time: "the time of day",
  physdev: "a bridge's port",
  mac: "a neighbour's hardware address",
  cpu: "the processor that takes it",
  devgroup: "the groups of the server's devices",
  statistic: "chance",
  realm: "the server's routes",
  rpfilter: "the server's routes",
  policy: "IPsec",
  bpf: "a program of the server's",
  osf: "fingerprints of the server's",
  ipvs: "virtual servers",
  rateest: "the server's traffic",
  nfacct: "the server's traffic",
};

const TARGETS: Readonly<Record<string, string>> = {
  NFQUEUE: "a program decides",
  QUEUE: "a program decides",
  TPROXY: "a program takes it",
  SYNPROXY: "the kernel answers for the server",
  TARPIT: "the kernel holds it",
};

/** After these the packet goes on as before, whatever they matched. */
const HARMLESS = new Set(["LOG", "NFLOG", "ULOG", "TRACE", "AUDIT"]);

const MARK = "sluice asks ";

/** What else can't be said, beside what never can. */
export interface Unsaid {
  /** chains that stand empty in the room */
  chains: ReadonlySet<string>;
  /** why what a match asks can't be said; undefined where it can */
  whyNot(match: Match): string | undefined;
}

/** The rule that stands before one that asks what can't be said; undefined for most. */
export function twinOf(rule: string, unsaid: Unsaid): string | undefined {
  const parts = rulePartsOf(rule);
  if (parts.target === undefined || HARMLESS.has(parts.target)) return undefined;
  const asks = parts.matches.filter((match) => whyNot(match, unsaid) !== undefined);
  if (asks.length === 0) return undefined;
  const kept = parts.matches.filter((match) => !asks.includes(match) && match.name !== "comment");
  const why = [...new Set(asks.map((match) => whyNot(match, unsaid)))].join(", ");
  return quoteWords([
    ...parts.general,
    ...kept.flatMap(({ name, words }) => ["-m", name, ...words]),
    ...["-m", "comment", "--comment", MARK + why],
  ]);
}

/** What a rule that was counted asks for, if it is a twin. */
export function askedBy(rule: string): string | undefined {
  if (!rule.includes(MARK)) return undefined;
  const comment = rulePartsOf(rule).matches.find(({ name }) => name === "comment")?.words[1];
  return comment?.startsWith(MARK) ? comment.slice(MARK.length) : undefined;
}

/** Why what a rule leads to can't be said; undefined where it can. */
export function targetAsks({ target }: RuleParts, chains: Unsaid["chains"]): string | undefined {
  if (target === undefined) return undefined;
  if (chains.has(target)) return `the chain ${target} (another tool keeps it)`;
  return Object.hasOwn(TARGETS, target) ? `-j ${target} (${TARGETS[target]})` : undefined;
}

/** The set that a match looks into. */
export function setOf({ name, words }: Match): string | undefined {
  const at = words.indexOf("--match-set");
  return name === "set" && at >= 0 ? words[at + 1] : undefined;
}

function whyNot(match: Match, unsaid: Unsaid): string | undefined {
  const { name } = match;
  return Object.hasOwn(MATCHES, name) ? `-m ${name} (${MATCHES[name]})` : unsaid.whyNot(match);
}
