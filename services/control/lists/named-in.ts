import type { PolicyDocument } from "@sluice/proto/policy/document";

/**
 * The lists that a policy names: to block, in rules, as members of sets. Rather one too many than one too few:
 * `list:NAME` in a comment counts, and so does a variable's value that nothing uses.
 */
export function listsNamedIn({ blocks, sets, firewall, shaping, vars }: PolicyDocument): Set<string> {
  const text = JSON.stringify([sets, firewall.chains, shaping, vars]);
  const inText = [...text.matchAll(/\blist:([A-Za-z0-9_.-]+)/g)].flatMap(([, name]) => name ?? []);
  return new Set([...blocks.map(({ list }) => list), ...inText]);
}
