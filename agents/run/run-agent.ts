import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { SluiceError } from "@sluice/proto/base/errors";
import { liveNamespace } from "../exec/live-namespace.ts";
import { createAgentLink } from "../link/agent-link.ts";
import { enrol } from "../link/enrol.ts";
import type { Identity } from "../link/identity.ts";
import { lockKernel, lockState, type StateLock } from "../state/lock.ts";
import { openStateFolder, type StateFolder } from "../state/state-folder.ts";
import { type Agent, type AgentOptions, startAgent } from "./agent.ts";
import { agentEnvironment } from "./agent-parts.ts";
import type { Intervals } from "./intervals.ts";
import type { Logger } from "./logger.ts";
import { createLook } from "./look.ts";
import { agentVersion } from "./version.ts";

export interface RunOptions {
  folder: string;
  join?: string | undefined;
  control?: string | undefined;
  intervals?: Partial<Intervals> | undefined;
  auditLog?: string | undefined;
  logger: Logger;
}

const ENROL_RETRY_MS = 1_000;

/** Starts the agent of this server: enrols it first where it isn't. Whoever calls it closes it. */
export async function runAgent(options: RunOptions): Promise<Agent> {
  const { folder, logger } = options;
  const state = await openStateFolder(folder);
  const lock = lockBoth(folder);
  const identity = await identityOf(state, options);
  logger.info("agent starts", { server: identity.server, state: folder, version: agentVersion() });
  const connect: AgentOptions["connect"] = (handlers) =>
    createAgentLink(
      {
        ...{ identity, spoolFolder: state.spool, witnessFile: state.witness },
        newId: randomUUID,
        now: () => new Date(),
      },
      handlers,
    );
  const agent = await start(state, identity, connect, options);
  return { ...agent, close: () => agent.close().finally(lock.release) };
}

function lockBoth(folder: string): StateLock {
  const state = lockState(folder);
  try {
    const kernel = lockKernel();
    return {
      release() {
        kernel.release();
        state.release();
      },
    };
  } catch (error) {
    state.release();
    throw error;
  }
}

/** For a command on the server, while no agent runs: everything but the link. */
export async function startWithoutControl(folder: string): Promise<Agent> {
  const state = await openStateFolder(folder);
  const lock = lockBoth(folder);
  const stored = await state.identity.read();
  const identity = stored.kind === "value" ? stored.value : undefined;
  const quiet = () => undefined;
  const logger = { debug: quiet, info: quiet, warn: quiet, error: quiet };
  const never = () => new Promise<never>(() => undefined);
  const agent = await start(state, identity, never, { folder, logger });
  return { ...agent, close: () => agent.close().finally(lock.release) };
}

async function start(
  state: StateFolder,
  identity: Identity | undefined,
  connect: AgentOptions["connect"],
  { logger, intervals, auditLog }: RunOptions,
): Promise<Agent> {
  const env = agentEnvironment();
  const live = liveNamespace({ env });
  const look = createLook({ live, version: agentVersion(), control: identity?.control ?? [] });
  const known = await look();
  return await startAgent({
    state,
    live,
    env,
    backend: known.facts.capabilities.iptables.backend,
    log: logger.info,
    server: identity?.server ?? "",
    connect,
    known,
    look,
    intervals,
    auditLog,
  });
}

async function identityOf(state: StateFolder, { join, control, logger }: RunOptions): Promise<Identity> {
  const stored = await state.identity.read();
  const uninstalled = await state.uninstalled.read();
  if (stored.kind === "value" && uninstalled.kind === "none") return stored.value;
  if (stored.kind === "torn") logger.error("the identity can't be trusted", { reason: stored.reason });
  if (join === undefined || control === undefined) {
    const why = uninstalled.kind !== "none" ? "was uninstalled" : "isn't enrolled";
    throw new SluiceError("REFUSED", `this server ${why}`, {
      cure: "get a token with `sluice server add NAME`, then: sluice-agent run --control URL --join TOKEN",
    });
  }
  const before = uninstalled.kind === "value" ? uninstalled.value : undefined;
  const identity = await enrolPatiently(() => enrol(control, join, before), logger);
  await state.identity.write(identity);
  await state.uninstalled.remove();
  return identity;
}

/** Control may not be up yet; a no of its own is final. */
async function enrolPatiently(ask: () => Promise<Identity>, logger: Logger): Promise<Identity> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof SluiceError) || error.code !== "UNAVAILABLE") throw error;
      logger.warn("control can't be reached to enrol; trying again", { reason: error.message });
      await delay(ENROL_RETRY_MS);
    }
  }
}
