import { digestOf } from "@sluice/proto/base/digest";
import { listSet } from "@sluice/proto/base/names";
import {
  EMPTY_MANIFEST,
  HOOKS,
  type Manifest,
  type ManifestChain,
  type ManifestHook,
  type ManifestList,
  TABLES,
} from "@sluice/proto/manifest/manifest";
import { acceptChain } from "./accept.ts";
import { type Assembly, createAssembly } from "./assembly.ts";
import { renderDispatch } from "./dispatch.ts";
import { distinct, uniteExternal } from "./external.ts";
import { createReporter, TOP } from "./findings.ts";
import { type CompileInput, type CompileResult, compareText, inOrder } from "./input.ts";
import { addPolicy } from "./policy.ts";
import { distinctTakeover } from "./takeover.ts";
import { addWarnings } from "./warnings.ts";

/**
 * Assignment and facts in, manifest out: what one server's kernel must hold.
 *
 * 1. Pure: the same input gives the same bytes, in whatever order the policies are given. It names no server, so equal
 *    servers share one manifest.
 * 2. All or nothing: one problem and there is no manifest. Every problem names its policy, line and path.
 * 3. Both families, unless a rule's own words, its sets or the server say one.
 * 4. What must never be cut off passes first wherever something can drop (dispatch.ts).
 *
 * How: policies in order, each with its variables replaced (variables.ts), add their parts to one assembly (policy.ts);
 * the built-in hooks' chains are made last, from all of them.
 *
 * Never: a look at the clock, a name that isn't derived from the input, a rule that is silently left out.
 */
export function compile(input: CompileInput): CompileResult {
  const assembly = createAssembly(input);
  const policies = inOrder(input.assigned);
  const seen = new Set<string>();
  const documents = policies.flatMap(({ document, revision }) => {
    const report = createReporter(assembly.findings, document.policy, revision);
    if (seen.has(document.policy))
      report.problem({ ...TOP, path: "policy" }, `the policy ${document.policy} is assigned twice`);
    seen.add(document.policy);
    if (document.mode === "imported") {
      report.warn({ line: 1, path: "mode" }, "imported: it does nothing before `sluice adopt`");
      return [];
    }
    return [addPolicy(assembly, document, report)];
  });
  const { problems, warnings } = assembly.findings;
  addWarnings(assembly, documents);
  if (problems.length > 0) return { ok: false, problems };

  const manifest: Manifest = {
    v: 1,
    policies: policies.map(({ document, revision }) => ({ policy: document.policy, revision })),
    ...assemble(assembly),
    drift: documents.some(({ drift }) => drift === "report") ? "report" : "repair",
    deadlineMs:
      documents.length === 0
        ? EMPTY_MANIFEST.deadlineMs
        : Math.max(...documents.map(({ deadlineMs }) => deadlineMs)),
  };
  return { ok: true, manifest, digest: digestOf(manifest), warnings };
}

type Assembled = Omit<Manifest, "v" | "policies" | "drift" | "deadlineMs">;

function assemble(assembly: Assembly): Assembled {
  const dispatched = [...assembly.dispatches.values()].flatMap((dispatch) =>
    assembly.families.map((family) => renderDispatch(dispatch, family)),
  );
  const marked = assembly.families.filter((family) =>
    [...assembly.dispatches.values()].some((dispatch) => dispatch.marked.has(family)),
  );
  const stubs = dispatched
    .flatMap(({ hooks }) => hooks)
    .flatMap(({ family, table, via }) => (via === undefined ? [] : [{ family, table, name: via }]));
  return {
    protect: [...assembly.protect].sort(compareText),
    sets: assembly.sets.toSorted((a, b) => compareText(a.name, b.name)),
    lists: [...assembly.lists].sort(compareText).map((list) => manifestList(assembly, list)),
    chains: [
      ...dispatched.flatMap(({ chains }) => chains),
      ...marked.map(acceptChain),
      ...assembly.chains,
    ].sort(compareChains),
    hooks: dispatched.flatMap(({ hooks }) => hooks).sort(compareHooks),
    devices: [...assembly.shaping.devices.values()].sort((a, b) => compareText(a.device, b.device)),
    external: uniteExternal([...assembly.external, { chains: stubs, sets: [] }]),
    ...(assembly.takeover.length > 0 && { takeover: distinctTakeover(assembly.takeover) }),
    probes: distinct(assembly.probes, ({ tcp }) => tcp),
    reach: distinct(assembly.reach, ({ protocol, port }) => `${protocol}/${String(port).padStart(5, "0")}`),
    ...(assembly.tests.length > 0 && { tests: assembly.tests }),
  };
}

function manifestList({ input, families }: Assembly, list: string): ManifestList {
  const held = families.filter((family) => input.lists[list]?.families.includes(family));
  return { list, sets: held.map((family) => ({ name: listSet(list, family), family })) };
}

function compareChains(a: ManifestChain, b: ManifestChain): number {
  return (
    a.family - b.family || TABLES.indexOf(a.table) - TABLES.indexOf(b.table) || compareText(a.name, b.name)
  );
}

function compareHooks(a: ManifestHook, b: ManifestHook): number {
  return (
    a.family - b.family ||
    TABLES.indexOf(a.table) - TABLES.indexOf(b.table) ||
    HOOKS.indexOf(a.hook) - HOOKS.indexOf(b.hook) ||
    compareText(a.at, b.at)
  );
}
