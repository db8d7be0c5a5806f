import { SluiceError } from "@sluice/proto/base/errors";
import type { Difference } from "@sluice/proto/manifest/difference";
import { emptyList } from "@sluice/proto/wire/list-state";
import { stand } from "../converge/stand.ts";
import { parseManifest } from "../converge/take.ts";
import { check } from "../drift/check.ts";
import type { LiveMembers } from "../drivers/driver.ts";
import { liveNamespace } from "../exec/live-namespace.ts";
import { holdList } from "../lists/held-list.ts";
import { createListFiles } from "../lists/list-files.ts";
import { liveMembers } from "../lists/live-members.ts";
import { readOr } from "../state/record-file.ts";
import { issueOf } from "../state/schemas.ts";
import type { StateFolder } from "../state/state-folder.ts";
import { agentEnvironment, createAgentParts } from "./agent-parts.ts";
import { withLists } from "./list-looks.ts";
import type { Status } from "./local-protocol.ts";
import { createLook } from "./look.ts";
import { leftOf, pausedOf } from "./pause.ts";
import { agentVersion } from "./version.ts";

/** What the commands on the server can tell while no agent runs. Nothing is written. */
export async function offlineStatus(state: StateFolder): Promise<Status> {
  const ignore = () => undefined;
  const identity = await readOr(state.identity, ignore);
  const applied = await readOr(state.applied, ignore);
  const record = await readOr(state.paused, ignore);
  const paused = record === undefined || leftOf(record) === 0 ? undefined : pausedOf(record);
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
  const members = await storedMembers(state, applied.manifest, applied.digest);
  try {
    const stood = await stand({ ...parts, listMembers: (name) => members.get(name) }, applied);
    if (!stood.ok)
      throw new SluiceError("REFUSED", `what is held can't be rehearsed: ${stood.refusal.reason}`);
    const { target, want } = stood.standing;
    const fresh = withLists(target, (name) => members.get(name));
    return (await check(parts, { target: fresh, want }, {})).differences;
  } finally {
    await Promise.all(parts.drivers.map((driver) => driver.close(parts.live)));
  }
}

async function storedMembers(state: StateFolder, manifest: string, digest: string) {
  const parsed = parseManifest(manifest, digest);
  const files = createListFiles(state.lists, () => undefined);
  const members = new Map<string, LiveMembers>();
  for (const { list, sets } of parsed.ok ? parsed.manifest.lists : []) {
    const held = holdList([], (await files.load(list)) ?? emptyList());
    for (const { name, family } of sets)
      members.set(name, liveMembers(held, family, { nowMs: Date.now, written: nothingIsWritten }));
  }
  return members;
}

async function nothingIsWritten(): Promise<void> {}
