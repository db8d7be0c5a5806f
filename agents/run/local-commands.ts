import { randomUUID } from "node:crypto";
import { userInfo } from "node:os";
import { SluiceError } from "@sluice/proto/base/errors";
import { parseDurationMs } from "@sluice/proto/base/units";
import type { Difference } from "@sluice/proto/manifest/difference";
import { liveNamespace } from "../exec/live-namespace.ts";
import { sayLast } from "../link/say-last.ts";
import { lockHolder, lockKernel } from "../state/lock.ts";
import { readOr } from "../state/record-file.ts";
import { openStateFolder, type StateFolder, stateFolder } from "../state/state-folder.ts";
import { agentEnvironment } from "./agent-parts.ts";
import { type Answer, done } from "./answer.ts";
import { exportHeld, exportText } from "./export.ts";
import type { LocalReply, LocalRequest, Status } from "./local-protocol.ts";
import { askLocally } from "./local-socket.ts";
import { offlineDiff, offlineStatus } from "./offline.ts";
import { pauseRecord } from "./pause.ts";
import { startWithoutControl } from "./run-agent.ts";
import { uninstall } from "./uninstall.ts";

const LAST_WORD_MS = 5_000;

/** The commands of whoever stands at the server: they need neither control nor NATS, and most no running agent. */
export async function statusCommand(folder: string): Promise<Answer> {
  const state = stateFolder(folder);
  const reply = await askLocally(state.socket, { what: "status" });
  const status = reply?.what === "status" ? reply.status : await offlineStatus(state);
  const isOff = status.differences.length > 0 || status.state === "contended";
  return { code: isOff ? 3 : 0, text: statusText(status), value: status };
}

export async function diffCommand(folder: string): Promise<Answer> {
  const state = stateFolder(folder);
  const reply = await askLocally(state.socket, { what: "diff" });
  const differences = reply?.what === "diff" ? reply.differences : await offlineDiff(state);
  const text = differences.length === 0 ? "no differences" : differences.map(differenceText).join("\n");
  return { code: differences.length === 0 ? 0 : 3, text, value: { differences } };
}

export async function exportCommand(folder: string): Promise<Answer> {
  const value = await exportHeld(stateFolder(folder));
  return { code: 0, text: exportText(value), value };
}

export async function pauseCommand(
  folder: string,
  options: { for: string; reason: string },
): Promise<Answer> {
  const durationMs = parseDurationMs(options.for);
  if (durationMs === undefined || durationMs <= 0)
    throw new SluiceError("INVALID", `--for ${options.for} is no duration`, {
      cure: "such as 30m, 2h or 90s",
    });
  const until = new Date(Date.now() + durationMs).toISOString();
  const paused = { until, reason: options.reason, by: whoAmI() };
  const state = await openStateFolder(folder);
  const reply = await askLocally(state.socket, { what: "pause", ...paused });
  if (reply !== undefined) return answerOf(reply);
  await state.paused.write(pauseRecord(paused));
  return done(`paused until ${until}; no agent runs now`);
}

export async function resumeCommand(folder: string): Promise<Answer> {
  const state = await openStateFolder(folder);
  const reply = await askLocally(state.socket, { what: "resume" });
  if (reply !== undefined) return answerOf(reply);
  await state.paused.remove();
  return done("resumed; no agent runs now");
}

export async function revertCommand(folder: string): Promise<Answer> {
  const state = await openStateFolder(folder);
  const request: LocalRequest = { what: "revert", by: whoAmI() };
  const reply = await askLocally(state.socket, request);
  if (reply !== undefined) return answerOf(reply);
  const agent = await startWithoutControl(folder);
  try {
    return answerOf(await askLocally(state.socket, request));
  } finally {
    await agent.close();
  }
}

export async function uninstallCommand(folder: string): Promise<Answer> {
  const state = await openStateFolder(folder);
  const asked = await askLocally(state.socket, { what: "stop" });
  for (let tries = 0; asked !== undefined && lockHolder(folder) !== undefined && tries < 100; tries += 1)
    await new Promise((resolve) => setTimeout(resolve, 100));
  const { SLUICE_AGENT_RUN: _, ...runnerEnv } = agentEnvironment();
  const lock = lockKernel();
  const live = liveNamespace({ env: runnerEnv });
  const removed = await uninstall(state, live, { env: runnerEnv, by: whoAmI() }).finally(lock.release);
  const told = await tellUninstalled(state);
  const lines =
    removed.length === 0
      ? ["nothing of ours was there"]
      : ["removed:", ...removed.map((what) => `  ${what}`)];
  lines.push(told ? "control was told" : "control can't be told now; it is when this server enrols again");
  return { code: 0, text: lines.join("\n"), value: { ok: true, removed, told } };
}

/** Once nothing of ours is left that could be in the way. */
async function tellUninstalled(state: StateFolder): Promise<boolean> {
  const identity = await readOr(state.identity, () => undefined);
  const uninstalled = await readOr(state.uninstalled, () => undefined);
  if (identity === undefined || uninstalled === undefined) return false;
  const options = { identity, spoolFolder: state.spool, newId: randomUUID, now: () => new Date() };
  return await sayLast(options, { kind: "uninstalled", ...uninstalled }, LAST_WORD_MS);
}

function answerOf(reply: LocalReply | undefined): Answer {
  if (reply?.what === "done") return done(reply.message);
  if (reply?.what === "refused") throw new SluiceError("REFUSED", reply.reason);
  throw new SluiceError("UNAVAILABLE", "the agent didn't answer");
}

function whoAmI(): string {
  return process.env.SUDO_USER ?? userInfo().username;
}

function statusText(status: Status): string {
  const { holds, paused, differences, policies } = status;
  const lines = [
    `server       ${status.server}`,
    `agent        ${status.running ? status.state : "not running"}${status.running && !status.connected ? ", without NATS" : ""}`,
    `holds        ${holds === undefined ? "nothing yet" : `generation ${holds.generation} of epoch ${holds.epoch}, ${holds.digest.slice(0, 12)}`}`,
    `policies     ${policies.map(({ policy, revision }) => `${policy}@${revision}`).join(", ") || "none"}`,
    `lists        ${
      Object.entries(status.lists)
        .map(([list, rev]) => `${list}@${rev}`)
        .join(", ") || "none"
    }`,
    `differences  ${differences.length}`,
  ];
  if (paused !== undefined)
    lines.push(`paused       until ${paused.until} by ${paused.by}: ${paused.reason}`);
  return [...lines, ...differences.map((one) => `  ${differenceText(one)}`)].join("\n");
}

function differenceText({ kind, object, want = [], have = [], more }: Difference): string {
  const lines = [...want.map((line) => `    + ${line}`), ...have.map((line) => `    - ${line}`)];
  if (more !== undefined) lines.push(`    … and ${more} more lines`);
  return [`${object}: ${kind}`, ...lines].join("\n");
}
