import { randomUUID } from "node:crypto";
import type { Facts, ForeignFacts } from "@sluice/proto/manifest/facts";
import type { Explanation } from "@sluice/proto/manifest/test-result";
import type { Present } from "@sluice/proto/wire/present";
import { dialTcp } from "../converge/dial.ts";
import type { ConvergeParts, Log } from "../converge/parts.ts";
import { createPreflight } from "../converge/preflight.ts";
import { createOpenRoom } from "../converge/rehearsal-room.ts";
import type { Local } from "../converge/target.ts";
import { createWarnings } from "../converge/warnings.ts";
import { rememberChildren, type WatchedNamespace } from "../drift/own-children.ts";
import type { Script, Target } from "../drivers/driver.ts";
import { createIpsetDriver } from "../drivers/ipset/driver.ts";
import { createSetHeaders, type SetHeaders } from "../drivers/ipset/headers.ts";
import { createIptablesDriver } from "../drivers/iptables/driver.ts";
import { type IptablesBackend, iptablesTool } from "../drivers/iptables/tools.ts";
import { createTcDriver } from "../drivers/tc/driver.ts";
import type { Namespace } from "../exec/namespace.ts";
import { explain } from "../explain/explain.ts";
import { foreignFactsOf } from "../facts/foreign-facts.ts";
import { aroundOf } from "../packets/around.ts";
import type { Asked } from "../packets/packet.ts";
import { runTests } from "../packets/run-tests.ts";
import { readPresent } from "../present/present.ts";
import { processIdOf, uptimeMs } from "../state/process-id.ts";
import type { StateFolder } from "../state/state-folder.ts";
import { createTrial } from "../takeover/distrust.ts";
import { createTakeover } from "../takeover/takeover.ts";
import { heldFolder } from "../undo/held-folder.ts";
import { createRunner } from "../undo/runner.ts";
import { undoFolder } from "../undo/undo-folder.ts";
import { undoScript } from "../undo/undo-script.ts";

/** What differs between an agent on a server, one in the lab, and one in a test. */
export interface Surroundings {
  state: StateFolder;
  /** the namespace it serves; made with `agentEnvironment` */
  live: Namespace;
  /** what goes before the undo runner's command, where this process isn't in the namespace it serves */
  prefix?: readonly string[] | undefined;
  env: AgentEnvironment;
  backend: IptablesBackend;
  /** told at every look at the live tables */
  onForeign?: ((foreign: ForeignFacts) => void) | undefined;
  /** after each commit of rules to the live namespace */
  onRulesWritten?: ((script: Script) => void) | undefined;
  log: Log;
  at?: ConvergeParts["at"];
  dial?: ConvergeParts["dial"] | undefined;
}

/** Set for everything the agent starts, so that the undo runner finds its children, stopped or orphaned. */
export type AgentEnvironment = Readonly<Record<string, string>> & { SLUICE_AGENT_RUN: string };

export function agentEnvironment(): AgentEnvironment {
  const lock = process.env.XTABLES_LOCKFILE;
  return { SLUICE_AGENT_RUN: randomUUID(), ...(lock === undefined ? {} : { XTABLES_LOCKFILE: lock }) };
}

/** What is found out about the server while the agent runs. */
export interface Known {
  facts: Facts;
  local: Local;
  ownAddresses: readonly string[];
}

export interface AgentParts extends Omit<ConvergeParts, "confirm" | "listMembers"> {
  live: WatchedNamespace;
  /** of the live namespace */
  setHeaders: SetHeaders;
  /** what becomes of a packet in the live namespace; `held` says which rules are whose */
  explain(packet: Asked, held: Target | undefined): Promise<Explanation>;
  /** what stands in the live namespace and isn't ours; `held` says which devices are */
  present(held: Target | undefined): Promise<Present>;
}

export function createAgentParts(around: Surroundings, known: () => Known): AgentParts {
  const { state, backend, env, log } = around;
  const live = rememberChildren(around.live);
  const driver = createIptablesDriver({ backend });
  const iptables: typeof driver = {
    ...driver,
    async read(at, target) {
      const snapshot = await driver.read(at, target);
      if (at === live) around.onForeign?.(foreignFactsOf(snapshot));
      return snapshot;
    },
    async write(at, script) {
      await driver.write(at, script);
      if (at === live) around.onRulesWritten?.(script);
    },
  };
  const tc = createTcDriver();
  const folder = undoFolder(state.undo);
  const self = processIdOf(process.pid);
  if (self === undefined) throw new Error("/proc doesn't show this process");
  const { SLUICE_AGENT_RUN: mark, ...runnerEnv } = env;
  const drivers = [createIpsetDriver(), iptables, tc];
  const openRoom = createOpenRoom(backend, () => known().facts.devices);
  const trial = createTrial({ live, openRoom }, tc);
  return {
    live,
    drivers,
    setHeaders: createSetHeaders(live),
    explain: (packet, held) =>
      explain({ live, backend, ...aroundOf(live, known().facts.devices) }, packet, held),
    runTests: (tests, target, want) =>
      runTests({ backend, drivers, ...aroundOf(live, known().facts.devices) }, tests, target, want),
    openRoom,
    takeover: createTakeover({
      ...{ ...trial, backend, kept: state.taken },
      iptables: (target) => iptables.read(live, target),
    }),
    present: (held) =>
      readPresent(
        {
          ...{ live, backend, trial },
          devices: known().facts.devices.map(({ name }) => name),
        },
        held,
      ),
    preflight: createPreflight({ iptables, tc }),
    warnings: createWarnings({ at: live, backend, iptables }),
    local: () => known().local,
    ownAddresses: () => known().ownAddresses,
    dial: around.dial ?? dialTcp,
    state,
    undo: {
      script: undoScript(),
      folder,
      held: heldFolder(state.held),
      runner: createRunner({ folder, prefix: around.prefix, env: runnerEnv }),
      agent: { ...self, mark },
      tool: (family, verb) => iptablesTool(backend, family, verb),
    },
    clock: { nowMs: () => performance.now(), uptimeMs, wall: () => new Date() },
    log,
    at: around.at,
  };
}
