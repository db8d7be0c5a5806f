import { ACCEPT_CHAIN, CHAIN_PREFIX } from "@sluice/proto/base/names";
import type { CountedChain, CountedRule, CountedTables } from "./counters.ts";
import { askedBy, targetAsks, type Unsaid } from "./host-bound.ts";
import type { Packet } from "./packet.ts";
import { type RuleParts, rulePartsOf } from "./rule-parts.ts";

/** A rule that counted the packet; `index` is its place in the chain, undefined for the chain's own policy. */
export interface Step {
  table: string;
  chain: string;
  index: number | undefined;
  text: string;
  foreign: boolean;
}

export interface Walked {
  /** in the order in which the packet met them */
  met: Step[];
  /** what ended it, if a rule did */
  end: { verdict: "drop" | "reject"; at: Step } | undefined;
  /** the last rule that accepted it, of those of the table filter if there is one */
  accepted: Step | undefined;
  /** what the packet met that can't be said, and where */
  asks: { what: string; at: Step } | undefined;
}

/** Tables and their built-in chains, in the order in which a packet passes them. */
const WAYS: Readonly<Record<Packet["hook"], readonly (readonly [table: string, chain: string])[]>> = {
  input: [
    ["raw", "PREROUTING"],
    ["mangle", "PREROUTING"],
    ["nat", "PREROUTING"],
    ["mangle", "INPUT"],
    ["filter", "INPUT"],
    ["security", "INPUT"],
    ["nat", "INPUT"],
  ],
  output: [
    ["raw", "OUTPUT"],
    ["mangle", "OUTPUT"],
    ["nat", "OUTPUT"],
    ["filter", "OUTPUT"],
    ["security", "OUTPUT"],
    ["mangle", "POSTROUTING"],
    ["nat", "POSTROUTING"],
  ],
  forward: [
    ["raw", "PREROUTING"],
    ["mangle", "PREROUTING"],
    ["nat", "PREROUTING"],
    ["mangle", "FORWARD"],
    ["filter", "FORWARD"],
    ["security", "FORWARD"],
    ["mangle", "POSTROUTING"],
    ["nat", "POSTROUTING"],
  ],
};

/** These end a packet's way through a table, and let it go on to the next. */
const ENDS_TABLE = new Set(["ACCEPT", "DNAT", "SNAT", "MASQUERADE", "REDIRECT", "NETMAP"]);

type Left = "returned" | "accepted" | "ended";

/**
 * The way of the one packet that was counted, from what the rules counted: in each chain from the top, into the chains
 * that counted rules jump to.
 *
 * A packet of the server's own that is rejected is answered through OUTPUT as well, by `lo`. So one that went out and
 * didn't arrive is looked for to the end of every chain, and a rejection counts before a drop: nothing else answers.
 */
export function walk(hook: Packet["hook"], tables: CountedTables, unsaid: Unsaid, arrived: boolean): Walked {
  const walked: Walked = { met: [], end: undefined, accepted: undefined, asks: undefined };
  /** a rule of ours accepted it and leaves it to other tools: what accepts it later only agrees */
  let isRemembered = false;
  const isAnswered = hook === "output" && !arrived;

  function through(table: string, name: string, chain: CountedChain): Left {
    const rules = withoutTwins(chain.rules);
    for (const [index, { packets, text, asked }] of rules.entries()) {
      const at: Step = { table, chain: name, index, text, foreign: isForeign(name, text) };
      if (asked !== undefined) walked.asks ??= { what: asked, at };
      if (packets === 0) continue;
      const parts = rulePartsOf(text);
      if (isAnswered && isOnLoopback(parts)) continue;
      walked.met.push(at);
      const left = follow(table, at, parts);
      if (left !== undefined && !isAnswered) return left;
    }
    return "returned";
  }

  /** Undefined where the packet goes on with the next rule. */
  function follow(table: string, at: Step, parts: RuleParts): Left | undefined {
    const { target } = parts;
    if (target === "DROP" || target === "REJECT") {
      if (walked.end === undefined || target === "REJECT")
        walked.end = { verdict: target === "DROP" ? "drop" : "reject", at };
      return "ended";
    }
    if (target !== undefined && ENDS_TABLE.has(target)) {
      const isLater = table !== "filter" && walked.accepted?.table === "filter";
      if (target === "ACCEPT" && !isLater && !isRemembered) walked.accepted = at;
      return "accepted";
    }
    if (target === ACCEPT_CHAIN && !isRemembered) {
      isRemembered = true;
      walked.accepted = at;
    }
    if (target === "RETURN") return "returned";
    const next = target === undefined ? undefined : tables.get(table)?.get(target);
    const left = target === undefined || next === undefined ? undefined : through(table, target, next);
    // what of ours stands first in another tool's chain has decided before the tool is asked
    const asks = left === "accepted" || left === "ended" ? undefined : targetAsks(parts, unsaid.chains);
    if (asks !== undefined) walked.asks ??= { what: asks, at };
    if (left === undefined) return undefined;
    return left === "returned" && !parts.isGoto ? undefined : left;
  }

  for (const [table, name] of WAYS[hook]) {
    const chain = tables.get(table)?.get(name);
    if (chain === undefined) continue;
    const left = through(table, name, chain);
    if (left === "ended" || walked.end !== undefined) return walked;
    if (left === "returned" && chain.policy === "DROP" && chain.packets > 0) {
      const at: Step = { table, chain: name, index: undefined, text: "policy DROP", foreign: true };
      walked.met.push(at);
      walked.end = { verdict: "drop", at };
      return walked;
    }
  }
  return walked;
}

/** The rules that were there, each with what its twin counted to be asked. */
export function withoutTwins(rules: readonly CountedRule[]): (CountedRule & { asked: string | undefined })[] {
  let asked: string | undefined;
  return rules.flatMap((rule) => {
    const asks = askedBy(rule.text);
    if (asks !== undefined) {
      if (rule.packets > 0) asked ??= asks;
      return [];
    }
    const own = { ...rule, asked };
    asked = undefined;
    return [own];
  });
}

function isOnLoopback({ general }: RuleParts): boolean {
  const at = general.indexOf("-o");
  return general[at + 1] === "lo" && general[at - 1] !== "!";
}

function isForeign(chain: string, text: string): boolean {
  return !chain.startsWith(CHAIN_PREFIX) && !text.startsWith(`-j ${CHAIN_PREFIX}`);
}
