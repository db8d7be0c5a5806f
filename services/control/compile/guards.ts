import { FAMILIES, type Family, policyChain, reachSet } from "@sluice/proto/base/names";
import type { Origin } from "@sluice/proto/manifest/manifest";
import type { PolicyGuard } from "@sluice/proto/policy/document";
import { effectOf } from "@sluice/proto/policy/effect";
import type { Reporter } from "./findings.ts";
import type { CompiledChain } from "./firewall.ts";
import { type CompiledRule, recentTooSmall } from "./rule.ts";

/**
 * A guard against password guessing: the ladder of the `recent` match, as its authors give it.
 *
 * 1. Who is banned is dropped; with `renew` (`--update`) each try starts the ban anew, without it (`--rcheck`) not.
 * 2. Every new connection is counted on each step; one more than `hits` within the time goes to the ban chain.
 * 3. Control, which dials `reach` after every change, isn't counted: a busy afternoon would ban it.
 * 4. What passes the ladder goes on: the policy's own rules decide, the guard accepts nothing.
 *
 * A recent list is found by its name alone, and both families share it, so the name carries policy and guard.
 */
export interface CompiledGuard {
  /** what leads to it, in the hook */
  jumps: CompiledRule[];
  chains: CompiledChain[];
}

/** multiport takes 15 ports in a rule, a range counts as two. */
const PORTS_IN_A_RULE = 15;

export function compileGuard(guard: PolicyGuard, recentMaxHits: number, report: Reporter): CompiledGuard {
  const path = `guards.${guard.name}`;
  const at = { line: guard.line, column: guard.column, path };
  const origin = report.origin(at);
  checkPorts(guard, report);
  guard.limits.forEach(({ hits, line, column }, index) => {
    if (hits + 1 > recentMaxHits) {
      const spot = { line, column, path: `${path}.limits[${index}]` };
      report.problem(spot, recentTooSmall(recentMaxHits, hits + 1, spot.path));
    }
  });

  const chain = `g-${guard.name}`;
  const banChain = `${chain}-ban`;
  const rule = (words: readonly string[]): CompiledRule => ruleOf(words, { chain, banChain }, report, origin);
  const rules = ladder(guard, (step) => `sl:${report.policy}:${guard.name}:${step}`, banChain);
  const control: CompiledRule = {
    ...rule(["-j", "RETURN"]),
    words: (family) => [...fromControl(family), "-j", "RETURN"],
    matches: fromControl,
  };
  return {
    jumps: portMatches(guard.ports).map((match) =>
      rule(["-p", guard.protocol, ...match, "-m", "conntrack", "--ctstate", "NEW", "-j", chain]),
    ),
    chains: [
      chainOf(chain, [control, ...rules.ladder.map(rule)], report, origin),
      chainOf(banChain, rules.ban.map(rule), report, origin),
    ],
  };
}

function fromControl(family: Family): string[] {
  return ["-m", "set", "--match-set", reachSet(family), "src"];
}

function chainOf(name: string, rules: CompiledRule[], report: Reporter, origin: Origin): CompiledChain {
  const kernelName = policyChain(report.policy, name);
  return { table: "filter", name, kernelName, hook: undefined, rules, origin };
}

/** The guard's hits are the packets that it drops; all its other rules are steps on the way. */
function ruleOf(
  words: readonly string[],
  own: Readonly<Record<string, string>>,
  report: Reporter,
  origin: Origin,
): CompiledRule {
  const target = words.at(-2) === "-j" ? words.at(-1) : undefined;
  const next = Object.values(own).find((name) => name === target);
  const matches = target === undefined ? words : words.slice(0, -2);
  const inKernel = next === undefined ? words : [...words.slice(0, -1), policyChain(report.policy, next)];
  const { effect } = effectOf(words, { isOwnChain: (name) => name === next, isForeignSet: () => false });
  return {
    ...{ effect, origin, observed: false, drops: effect === "drop", families: [...FAMILIES] },
    next: next === undefined ? undefined : { chain: next, goto: false },
    words: () => [...inKernel],
    matches: () => [...matches],
    ...(effect !== "drop" && { counts: "nothing" as const }),
  };
}

function ladder(guard: PolicyGuard, listName: (step: number | "ban") => string, banChain: string) {
  const recent = (...words: string[]) => ["-m", "recent", ...words];
  const ban = listName("ban");
  const check = guard.ban.renew ? "--update" : "--rcheck";
  return {
    ladder: [
      recent(check, "--name", ban, "--seconds", seconds(guard.ban.forMs), "--hitcount", "1", "-j", "DROP"),
      ...guard.limits.map((_, index) => recent("--set", "--name", listName(index + 1))),
      ...guard.limits.map(({ hits, withinMs }, index) => {
        const within = ["--seconds", seconds(withinMs), "--hitcount", String(hits + 1)];
        return recent("--update", "--name", listName(index + 1), ...within, "-j", banChain);
      }),
    ],
    ban: [recent("--name", ban, "--set"), ["-j", "DROP"]],
  };
}

/** recent counts whole seconds: a part of one is rounded to the stricter side. */
function seconds(ms: number): string {
  return String(Math.ceil(ms / 1000));
}

function portMatches(ports: readonly string[]): string[][] {
  const [only] = ports;
  if (ports.length === 1 && only !== undefined) return [["--dport", asRange(only)]];
  const rules: string[][] = [];
  let weight = PORTS_IN_A_RULE + 1;
  for (const port of ports.map(asRange)) {
    const cost = port.includes(":") ? 2 : 1;
    if (weight + cost > PORTS_IN_A_RULE) {
      rules.push([]);
      weight = 0;
    }
    rules.at(-1)?.push(port);
    weight += cost;
  }
  return rules.map((some) => ["-m", "multiport", "--dports", some.join(",")]);
}

/** `1000-1010` as iptables writes it. */
function asRange(port: string): string {
  return port.replace("-", ":");
}

function checkPorts({ name, ports, line, column }: PolicyGuard, report: Reporter): void {
  for (const port of ports) {
    const numbers = asRange(port)
      .split(":")
      .map((text) => (/^\d{1,5}$/.test(text) ? Number(text) : Number.NaN));
    if (numbers.length <= 2 && numbers.every((number) => number >= 1 && number <= 65535)) continue;
    const at = { line, column, path: `guards.${name}.port` };
    report.problem(at, "this is no port", {
      found: port,
      expected: "a number from 1 to 65535, or a range 1-1024",
    });
  }
}
