import { digestOf } from "@sluice/proto/base/digest";
import type { Facts, ForeignFacts } from "@sluice/proto/manifest/facts";
import { type CompileInput, compareText, inOrder } from "./input.ts";
import { fillVariables, resolveVariables } from "./variables.ts";

/** What compile reads of a server's facts. Everything else may change without a new manifest. */
export interface RelevantFacts {
  ipv6: boolean;
  ifb: boolean;
  recentMaxHits: number;
  recentListSize?: number;
  qdiscs: string[];
  filters: string[];
  setTypes: string[];
  targets: string[];
  devices: string[];
  foreign: ForeignFacts;
}

export function relevantFacts({ capabilities, devices, foreign }: Facts): RelevantFacts {
  const sorted = (names: readonly string[]) => [...new Set(names)].sort(compareText);
  return {
    ipv6: capabilities.ipv6,
    ifb: capabilities.ifb,
    recentMaxHits: capabilities.recentMaxHits,
    ...(capabilities.recentListSize && { recentListSize: capabilities.recentListSize }),
    qdiscs: sorted(capabilities.qdiscs),
    filters: sorted(capabilities.filters),
    setTypes: sorted(capabilities.setTypes),
    targets: sorted(capabilities.targets),
    devices: sorted(devices.map(({ name }) => name)),
    foreign: { jumps: sorted(foreign?.jumps ?? []), dockerUser: [...(foreign?.dockerUser ?? [])].sort() },
  };
}

/**
 * Equal keys compile to the same result, so control compiles once for all servers that share one. Cheap beside a
 * compile: a stored revision never changes, so its number stands for its content; a document that isn't stored
 * (revision 0) is digested. Of the devices only the shaped ones count, or every server with a container of its own
 * would be one of a kind; where one is missing, the refusal names them all.
 */
export function compileKey({ assigned, server, facts, lists }: CompileInput): string {
  const policies = inOrder(assigned).map(({ revision, document }) => ({
    policy: document.policy,
    revision,
    content: revision === 0 ? digestOf(document) : null,
    vars: resolveVariables(document.vars, server),
    shaped: document.shaping.map(({ device }) => device),
  }));
  const relevant = relevantFacts(facts);
  const shaped = policies.flatMap(({ shaped, vars }) => shaped.map((device) => fillVariables(device, vars)));
  const isMissing = shaped.some((device) => !relevant.devices.includes(device));
  return digestOf({
    policies: policies.map(({ vars, ...policy }) => ({ ...policy, vars: Object.fromEntries(vars) })),
    facts: { ...relevant, devices: isMissing ? relevant.devices : null },
    lists: Object.fromEntries(
      Object.entries(lists).map(([name, { families }]) => [name, [...families].sort((a, b) => a - b)]),
    ),
  });
}
