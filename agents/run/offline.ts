import { SluiceError } from "@sluice/proto/base/errors";
import type { Difference } from "@sluice/proto/manifest/difference";
import { stand } from "../converge/stand.ts";
import { parseManifest } from "../converge/take.ts";
import { check } from "../drift/check.ts";
import { liveNamespace } from "../exec/live-namespace.ts";
import { setEntries } from "../lists/entries.ts";
import { createListFiles } from "../lists/list-files.ts";
import { readOr } from "../state/record-file.ts";
import { issueOf } from "../state/schemas.ts";
import type { StateFolder } from "../state/state-folder.ts";
import { agentEnvironment, createAgentParts } from "./agent-parts.ts";
import { freshLists } from "./fresh-lists.ts";
import type { Status } from "./local-protocol.ts";
import { createLook } from "./look.ts";
import { agentVersion } from "./version.ts";

/** What the commands on the server can tell while no agent runs. Nothing is written. */
export async function offlineStatus(state: StateFolder): Promise<Status> {
  const ignore = () => undefined;
  const identity = await readOr(state.identity, ignore);
  const applied = await readOr(state.applied, ignore);
  const paused = await readOr(state.paused, ignore);
  const parsed = applied && parseManifest(applied.manifest, applied.digest);
  return {
    server: identity?.server ?? "(not enrolled)",
    running: false,
    connected: false,
    state: paused === undefined ? "idle" : "paused",
    ...(applied === undefined ? {} : { holds: issueOf(applied) }),
    policies: parsed?.ok ? parsed.manifest.policies : [],
    lists: {},
    ...(paused === undefined ? {} : { paused }),
    differences: [],
  };
}

/** What stands otherwise than what was confirmed. */
export async function offlineDiff(state: StateFolder): Promise<Difference[]> {
  const applied = await readOr(state.applied, () => undefined);
  if (applied === undefined) return [];
  const identity = await readOr(state.identity, () => undefined);
  const env = agentEnvironment();
  const live = liveNamespace({ env });
  const known = await createLook({ live, version: agentVersion(), control: identity?.control ?? [] })();
  const { backend } = known.facts.capabilities.iptables;
  const parts = createAgentParts({ state, live, env, backend, log: () => undefined }, () => known);
  const entries = await storedEntries(state, applied.manifest, applied.digest);
  try {
    const stood = await stand({ ...parts, listEntries: (name) => entries.get(name) }, applied);
    if (!stood.ok)
      throw new SluiceError("REFUSED", `what is held can't be rehearsed: ${stood.refusal.reason}`);
    const { target, want } = stood.standing;
    const fresh = freshLists(target, (name) => entries.get(name));
    return (await check(parts, { target: fresh, want }, {})).differences;
  } finally {
    await Promise.all(parts.drivers.map((driver) => driver.close(parts.live)));
  }
}

async function storedEntries(state: StateFolder, manifest: string, digest: string) {
  const parsed = parseManifest(manifest, digest);
  const files = createListFiles(state.lists, () => undefined);
  const entries = new Map<string, string[]>();
  for (const { list, sets } of parsed.ok ? parsed.manifest.lists : []) {
    const held = await files.load(list);
    for (const { name, family } of sets)
      entries.set(name, held === undefined ? [] : setEntries(held, family, Date.now()));
  }
  return entries;
}
