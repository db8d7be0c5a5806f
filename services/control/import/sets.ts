import { SET_TYPES } from "@sluice/proto/policy/set-types";
import type { Present } from "@sluice/proto/wire/present";
import { toolOf } from "./other-tools.ts";

export type StandingSet = Present["sets"][number];

/** The sets that a rule looks into or writes to. */
export function setsOfRule(rule: string): { name: string; isWritten: boolean }[] {
  return [...rule.matchAll(/--(match|add|del|map)-set (\S+)/g)].map(([, verb, name = ""]) => ({
    name,
    isWritten: verb === "add" || verb === "del",
  }));
}

/** Why a set stays with whoever fills it, and the policy only refers to it. */
export function whyExternal(set: StandingSet, written: ReadonlySet<string>): string | undefined {
  const tool = toolOf(set.name);
  if (tool !== undefined) return `it is ${tool}'s`;
  if (!SET_TYPES.has(set.type)) return `no policy has a ${set.type}`;
  if (set.type === "list:set") return "it holds other sets";
  if (written.has(set.name)) return "rules write to it";
  if (set.expiring || set.options.includes("timeout"))
    return "its entries expire: that is what a live list is for";
  if (set.entries === undefined) return "too many entries for a policy: that is what a live list is for";
  return undefined;
}
