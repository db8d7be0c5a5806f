import { expect } from "vitest";
import { parsePolicy } from "./parse.ts";

/**
 * For tests: a policy with `‸` where its one problem stands.
 * Everything about the problem is checked but its wording, which the caller gives.
 */
export function expectRefusal(marked: string, message: string, expected?: string): void {
  const at = marked.indexOf("‸");
  const before = marked.slice(0, at).split("\n");
  const result = parsePolicy(marked.replace("‸", ""), "edge.yaml");
  expect(result).toMatchObject({ ok: false });
  const problems = result.ok ? [] : result.problems;
  expect(problems.map((problem) => problem.message)).toEqual([message]);
  const place = { file: "edge.yaml", line: before.length, column: (before.at(-1) ?? "").length + 1 };
  expect(problems[0]?.place).toEqual(place);
  if (expected !== undefined) expect(problems[0]?.expected).toBe(expected);
  else expect(problems[0]?.expected).toMatch(/./);
}

/** A policy with these fields beside the ones that every policy has. */
export function policyWith(fields: string): string {
  return `policy: edge\ntargets: { servers: ["*"] }\n${fields}`;
}

/** A policy with this one rule, among chains and sets that it may name. */
export function policyWithRule(rule: string): string {
  return policyWith(`vars: { uplink: eth0, admin: 192.0.2.9 }
sets: { office: { type: hash:net }, v6: { type: hash:net, family: ipv6 } }
external: { chains: { filter: [DOCKER-USER] }, sets: { f2b-sshd: hash:ip } }
firewall:
  nat: { snat: [] }
  filter:
    ssh: []
    INPUT:
      - ${rule}
`);
}
