import { FAMILIES, type Family } from "@sluice/proto/base/names";
import type {
  Manifest,
  ManifestChain,
  ManifestExternal,
  ManifestSet,
  ManifestTakeover,
  ManifestTest,
} from "@sluice/proto/manifest/manifest";
import { createDispatches, type Dispatch } from "./dispatch.ts";
import type { Findings } from "./findings.ts";
import type { CompileInput } from "./input.ts";
import { createNamesTaken, type NamesTaken } from "./names-taken.ts";
import { createShaping, type Shaping } from "./shaping.ts";

/** What the policies of one server add up to, while they are compiled one after the other. */
export interface Assembly {
  input: CompileInput;
  findings: Findings;
  /** the families this server has */
  families: readonly Family[];
  taken: NamesTaken;
  dispatches: Map<string, Dispatch>;
  shaping: Shaping;
  sets: ManifestSet[];
  chains: ManifestChain[];
  lists: Set<string>;
  external: ManifestExternal[];
  takeover: ManifestTakeover[];
  protect: Set<string>;
  probes: Manifest["probes"];
  reach: Manifest["reach"];
  tests: ManifestTest[];
  /** names of recent lists, and whose rules use them */
  recent: { name: string; policy: string; isObserved: boolean }[];
}

export function createAssembly(input: CompileInput): Assembly {
  return {
    input,
    findings: { problems: [], warnings: [] },
    families: input.facts.capabilities.ipv6 ? FAMILIES : [4],
    taken: createNamesTaken(Object.keys(input.lists)),
    dispatches: createDispatches(input.facts.foreign?.dockerUser ?? []),
    shaping: createShaping(),
    sets: [],
    chains: [],
    lists: new Set(),
    external: [],
    takeover: [],
    protect: new Set(),
    probes: [],
    reach: [],
    tests: [],
    recent: [],
  };
}
