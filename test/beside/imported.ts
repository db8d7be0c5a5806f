import { createOpenRoom } from "@sluice/agents/converge/rehearsal-room";
import { createTcDriver } from "@sluice/agents/drivers/tc/driver";
import type { Namespace } from "@sluice/agents/exec/namespace";
import { readPresent } from "@sluice/agents/present/present";
import { createLook } from "@sluice/agents/run/look";
import { createTrial, type DistrustParts } from "@sluice/agents/takeover/distrust";
import { compile } from "@sluice/control/compile/compile";
import { importPresent } from "@sluice/control/import/import-present";
import type { Facts } from "@sluice/proto/manifest/facts";
import type { Manifest } from "@sluice/proto/manifest/manifest";
import { parsePolicy } from "@sluice/proto/policy/parse";

export interface ImportedPolicy {
  text: string;
  left: readonly { what: string; why: string }[];
  /** the text as `sluice adopt` makes it */
  adopted: string;
  compiledIn(mode: "imported" | "enforce"): Manifest;
}

export interface ImportParts {
  live: Namespace;
  backend: "nft" | "legacy";
  facts: Facts;
  openRoom: DistrustParts["openRoom"];
}

/** What stands in a namespace as a policy, and what that compiles to there: the agent's and control's own parts. */
export async function importedFrom(live: Namespace, backend: "nft" | "legacy"): Promise<ImportedPolicy> {
  const { facts } = await createLook({ live, version: "0", control: [], backend })();
  return await importedWith({ live, backend, facts, openRoom: createOpenRoom(backend, () => facts.devices) });
}

export async function importedWith({ live, backend, facts, openRoom }: ImportParts): Promise<ImportedPolicy> {
  const trial = createTrial({ live, openRoom }, createTcDriver());
  const devices = facts.devices.map(({ name }) => name);
  const present = await readPresent({ live, backend, devices, trial }, undefined);
  const { text, left } = importPresent({ server: "web-1", policy: "web", present }, parsePolicy);
  const inMode = (mode: string) => text.replace("mode: imported", `mode: ${mode}`);
  return {
    text,
    left,
    adopted: inMode("enforce"),
    compiledIn(mode) {
      const parsed = parsePolicy(inMode(mode));
      if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
      const assigned = [{ revision: 1, document: parsed.document }];
      const result = compile({ assigned, server: { name: "web-1", labels: {} }, facts, lists: {} });
      if (!result.ok) throw new Error(JSON.stringify(result.problems));
      return result.manifest;
    },
  };
}
