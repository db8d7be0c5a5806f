import { FAMILIES, type Family, policyChain, reachSet } from "@sluice/proto/base/names";
import type { ManifestChain, ManifestRule } from "@sluice/proto/manifest/manifest";
import type { PolicyGuard } from "@sluice/proto/policy/document";
import { quoteWords } from "@sluice/proto/policy/rule-words";
import type { Entry } from "./dispatch.ts";
import type { Reporter } from "./findings.ts";
import { recentTooSmall } from "./rule.ts";

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
  entries: Entry[];
  chains: ManifestChain[];
}

/** multiport takes 15 ports in a rule, a range counts as two. */
const PORTS_IN_A_RULE = 15;

export function compileGuard(
  guard: PolicyGuard,
  recentMaxHits: number,
  families: readonly Family[],
  report: Reporter,
): CompiledGuard {
  const path = `guards.${guard.name}`;
  const at = { line: guard.line, path };
  const origin = report.origin(at);
  checkPorts(guard, report);
  guard.limits.forEach(({ hits, line }, index) => {
    if (hits + 1 > recentMaxHits) {
      const spot = { line, path: `${path}.limits[${index}]` };
      report.problem(spot, recentTooSmall(recentMaxHits, hits + 1, spot.path));
    }
  });

  const chain = policyChain(report.policy, `g-${guard.name}`);
  const banChain = policyChain(report.policy, `g-${guard.name}-ban`);
  const rule = (words: readonly string[]): ManifestRule => ({ args: quoteWords(words), origin });
  const rules = ladder(guard, (step) => `sl:${report.policy}:${guard.name}:${step}`, banChain);
  return {
    entries: portMatches(guard.ports).map((match) => ({
      families: FAMILIES,
      words: ["-p", guard.protocol, ...match, "-m", "conntrack", "--ctstate", "NEW", "-j", chain],
      origin,
    })),
    chains: families.flatMap((family) => [
      {
        family,
        table: "filter" as const,
        name: chain,
        rules: [
          rule(["-m", "set", "--match-set", reachSet(family), "src", "-j", "RETURN"]),
          ...rules.ladder.map(rule),
        ],
      },
      { family, table: "filter" as const, name: banChain, rules: rules.ban.map(rule) },
    ]),
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

function checkPorts({ name, ports, line }: PolicyGuard, report: Reporter): void {
  for (const port of ports) {
    const numbers = asRange(port)
      .split(":")
      .map((text) => (/^\d{1,5}$/.test(text) ? Number(text) : Number.NaN));
    if (numbers.length <= 2 && numbers.every((number) => number >= 1 && number <= 65535)) continue;
    const at = { line, path: `guards.${name}.port` };
    report.problem(at, "this is no port", {
      found: port,
      expected: "a number from 1 to 65535, or a range 1-1024",
    });
  }
}
