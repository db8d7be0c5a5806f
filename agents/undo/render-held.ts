import { sha256Hex } from "@sluice/proto/base/digest";
import type { ManifestDevice } from "@sluice/proto/manifest/manifest";
import type { Script, Target, TargetSet } from "../drivers/driver.ts";
import { renderTc } from "../drivers/tc/render.ts";
import { NO_HANDOVER } from "../takeover/takeover.ts";
import { renderUndo, type UndoInput } from "./render-undo.ts";

export const NOTHING: Target = {
  sets: [],
  chains: [],
  hooks: [],
  devices: [],
  external: { chains: [], sets: [] },
};

/**
 * What `undo.sh boot` needs to fill an empty kernel with a target: the undo of a change to nothing that left its sets
 * standing, emptied. Members of live lists aren't in it: they change without a manifest, and the agent has them on the disk.
 */
export function renderHeld(
  target: Target,
  { tool, script }: { tool: UndoInput["tool"]; script: string },
): Record<string, string> {
  const emptied = { ...NOTHING, sets: target.sets.map(emptiedOf) };
  const files = {
    ...renderUndo({ previous: target, next: emptied, tcBuild: buildOnBare, tool, handover: NO_HANDOVER }),
    "undo.sh": script,
  };
  return { ...files, digest: `${sha256Hex(JSON.stringify(Object.entries(files).sort()))}\n` };
}

/** IFB devices are made by the script itself. */
export function buildOnBare(device: ManifestDevice): Script[] {
  const { build } = renderTc({ ...NOTHING, devices: [device] }, undefined, { devices: {} });
  return build.filter(({ tool }) => tool === "tc");
}

function emptiedOf(set: TargetSet): TargetSet {
  return { ...set, entries: [] };
}
