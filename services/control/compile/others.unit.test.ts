import type { PolicyDocument } from "@sluice/proto/policy/document";
import { parsePolicy } from "@sluice/proto/policy/parse";
import fc from "fast-check";
import { expect, test } from "vitest";
import { compile } from "./compile.ts";
import { factsWith, inputWith } from "./test-input.ts";
import { walkHook } from "./walk-chains.ts";

function documentOf(text: string): PolicyDocument {
  const parsed = parsePolicy(`policy: web\ntargets: { servers: ["*"] }\n${text}`);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.document;
}

function manifestOf(text: string, facts = factsWith()) {
  const result = compile(inputWith([documentOf(text)], { facts }));
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.manifest;
}

const BESIDE = { ...factsWith(), foreign: { jumps: ["ip4/filter/INPUT"], dockerUser: [] } };

test("what stands before others is in the head, what stands behind them in the tail, before the default", () => {
  const { chains, hooks } = manifestOf(
    "firewall: { accept: final, default: { INPUT: drop }, filter: { INPUT: [-i lo -j ACCEPT, others, -p tcp -j ACCEPT] } }",
  );
  const rulesOf = (name: string) =>
    chains.find((chain) => chain.name === name && chain.family === 4)?.rules.map(({ args }) => args);
  expect(rulesOf("SL-INPUT")?.at(-1)).toBe("-j SL-web-INPUT");
  expect(rulesOf("SL-web-INPUT")).toEqual(["-i lo -j ACCEPT"]);
  expect(rulesOf("SL-INPUT-end")).toEqual(["-j SL-web-INPUT-end", "-j DROP"]);
  expect(rulesOf("SL-web-INPUT-end")).toEqual(["-p tcp -j ACCEPT"]);
  expect(hooks.filter(({ family }) => family === 4).map(({ at }) => at)).toEqual(["head", "tail"]);
});

test("where nothing stands before others and nothing can drop there is no head", () => {
  const { hooks } = manifestOf(
    "firewall: { nat: { PREROUTING: [others, -p tcp -j REDIRECT --to-ports 80] } }",
  );
  expect(hooks.map(({ at, hook }) => [at, hook])).toEqual([4, 6].map(() => ["tail", "PREROUTING"]));
});

test("what nothing may cut off passes first also where all rules stand behind others", () => {
  const { chains } = manifestOf("firewall: { filter: { INPUT: [others, -p tcp -j DROP] } }");
  const head = chains.find(({ name }) => name === "SL-INPUT");
  expect(head?.rules.map(({ args }) => args)).toContain("-m set --match-set sl-protect-4 src -j ACCEPT");
});

test("a chain of the policy's own can't take the name of what stands behind others", () => {
  const document = documentOf("firewall: { filter: { INPUT: [others, -j INPUT-end], INPUT-end: [] } }");
  expect(compile(inputWith([document]))).toMatchObject({
    ok: false,
    problems: [{ message: expect.stringContaining("the same name in the kernel") }],
  });
});

test("observed, rules behind others judge only what these leave undecided", () => {
  const manifest = manifestOf("mode: observe\nfirewall: { filter: { INPUT: [others, -p tcp -j DROP] } }");
  const packet = { fits: new Set(["-p tcp"]), mark: 0 };
  expect(walkHook(manifest, 4, "INPUT", packet).observed).toHaveLength(1);
  expect(walkHook(manifest, 4, "INPUT", packet, ["-p tcp -j ACCEPT"]).observed).toEqual([]);
});

/** Rules as a hand writes them, some through chains. */
const MATCHES = ["-s 192.0.2.1", "-s 192.0.2.2", "-s 192.0.2.3", "-s 192.0.2.4"];
const TARGETS = ["ACCEPT", "DROP", "LOG", "one", "two"];
const some = (targets: readonly string[]) =>
  fc.array(
    fc.tuple(fc.constantFrom(...MATCHES), fc.constantFrom(...targets)).map((words) => words.join(" -j ")),
    { maxLength: 4 },
  );

function walkPlainly(
  chains: Readonly<Record<string, readonly string[]>>,
  name: string,
  fits: ReadonlySet<string>,
): string | undefined {
  for (const rule of chains[name] ?? []) {
    const [match = "", target = ""] = rule.split(" -j ");
    if (!fits.has(match)) continue;
    if (target === "ACCEPT" || target === "DROP") return target.toLowerCase();
    const verdict = walkPlainly(chains, target, fits);
    if (verdict !== undefined) return verdict;
  }
  return undefined;
}

test.each([
  ["final", TARGETS],
  ["return", ["DROP", "LOG"]],
] as const)(
  "around the rules of others a packet fares as if all stood in one chain (accept: %s)",
  (way, targets) => {
    const parts = fc.record({
      before: some(targets),
      others: some(["ACCEPT", "DROP"]),
      after: some(TARGETS),
      one: some(["ACCEPT", "DROP", "LOG"]),
      two: some(["one", "ACCEPT", "DROP"]),
      fits: fc.uniqueArray(fc.constantFrom(...MATCHES)),
    });
    fc.assert(
      fc.property(parts, ({ before, others, after, one, two, fits }) => {
        const filter = { INPUT: [...before, "others", ...after], one, two };
        const manifest = manifestOf(`firewall: ${JSON.stringify({ accept: way, filter })}`, BESIDE);
        const packet = { fits: new Set(fits), mark: 0 };
        const walk = walkHook(manifest, 4, "INPUT", packet, others);
        const plain = { ...filter, INPUT: [...before, ...others, ...after] };
        expect(walk.verdict).toBe(walkPlainly(plain, "INPUT", packet.fits));
      }),
      { numRuns: 100 },
    );
  },
  60_000,
);
