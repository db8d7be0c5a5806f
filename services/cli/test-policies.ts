import type { CompileInput } from "@sluice/control/compile/input";
import type { PolicyFile } from "@sluice/proto/api/policies";
import { rehearsedView, type TestPoliciesView } from "@sluice/proto/api/tests";
import { type Facts, facts } from "@sluice/proto/manifest/facts";
import type { PolicyDocument } from "@sluice/proto/policy/document";
import { askAgent } from "./agent-program.ts";

export interface TestedAs {
  /** whose variables count, unless a policy's targets say it */
  server: string | undefined;
  labels: Readonly<Record<string, string>>;
  agent: string | undefined;
}

type Tested = TestPoliciesView["files"][number];

/**
 * Policies on this machine's own kernel, each by itself as on a server that has nothing else, with no control at hand:
 * read and compiled here as control does it, rehearsed and tested by the agent's program.
 */
export async function testPolicies(files: readonly PolicyFile[], as: TestedAs): Promise<TestPoliciesView> {
  const { parsePolicy } = await import("@sluice/proto/policy/parse");
  const parsed = files.map(({ name, text }) => ({ file: name, read: parsePolicy(text, name) }));
  const needsKernel = parsed.some(({ read }) => read.ok);
  const found = needsKernel ? await askAgent(as.agent, ["facts"], facts) : undefined;
  const tested: Tested[] = [];
  for (const { file, read } of parsed)
    if (!read.ok || found === undefined)
      tested.push({ file, problems: read.ok ? [] : read.problems, tests: [] });
    else tested.push({ file, ...(await testPolicy(read.document, file, found, as)) });
  return { ok: tested.every(isFine), files: tested };
}

/** Right, taken by the kernel, and every test held. */
export function isFine({ problems, refusal, tests }: Tested): boolean {
  const isHeld = tests.every(({ verdict, expect }) => verdict === expect);
  return problems.length === 0 && refusal === undefined && isHeld;
}

async function testPolicy(
  document: PolicyDocument,
  file: string,
  found: Facts,
  as: TestedAs,
): Promise<Omit<Tested, "file">> {
  const { compile } = await import("@sluice/control/compile/compile");
  const server = serverFor(document, as);
  const { mode: _, ...enforced } = document;
  const { policy } = document;
  const result = compile({
    assigned: [{ revision: 0, document: enforced }],
    server,
    facts: { ...found, devices: await devicesOf(document, server) },
    lists: listsOf(document),
  });
  if (!result.ok) {
    const problems = result.problems.map((problem) => ({
      ...problem,
      ...(problem.place && { place: { ...problem.place, file } }),
    }));
    return { policy, problems, tests: [] };
  }
  const { refusal, tests } = await askAgent(
    as.agent,
    ["rehearse", "-"],
    rehearsedView,
    JSON.stringify(result.manifest),
  );
  return { policy, problems: [], ...(refusal && { refusal }), tests };
}

/** One of those that the policy is for: its first by name, or one with its labels. */
function serverFor({ targets }: PolicyDocument, { server, labels }: TestedAs): CompileInput["server"] {
  const [first] = targets.servers.filter((name) => name !== "*");
  return { name: server ?? first ?? "test", labels: { ...targets.labels, ...labels } };
}

/** Those that it shapes; a rehearsal makes them. */
async function devicesOf(
  { shaping, vars }: PolicyDocument,
  server: CompileInput["server"],
): Promise<Facts["devices"]> {
  const { fillVariables, resolveVariables } = await import("@sluice/control/compile/variables");
  const values = resolveVariables(vars, server);
  const names = shaping.map(({ device }) => fillVariables(device, values));
  return names.map((name) => ({ name, mtu: 1500, txQueueLength: 1000, addresses: [] }));
}

/** Those that it speaks of, empty. */
function listsOf({ blocks, sets, firewall }: PolicyDocument): CompileInput["lists"] {
  const texts = [
    ...firewall.chains.flatMap(({ rules }) => rules.flatMap(({ words }) => words)),
    ...sets.flatMap(({ entries }) => entries.map(({ text }) => text)),
  ];
  const named = texts.flatMap((text) => /^list:(\S+)$/.exec(text)?.[1] ?? []);
  const all = [...blocks.map(({ list }) => list), ...named];
  return Object.fromEntries(all.map((list) => [list, { families: [4, 6] as const }]));
}
