import type { RolloutServerView, RolloutView } from "@sluice/proto/api/rollouts";
import type { Terminal } from "../terminal.ts";
import { refusalLines } from "./refusal.ts";
import { counted, exactTime } from "./text.ts";

/** Who is reached, wave by wave, and who isn't. */
export function startedLines(view: RolloutView): string[] {
  const waves = Array.from({ length: view.waves }, (_, index) =>
    view.servers.filter(({ wave }) => wave === index + 1).map(({ server }) => server),
  );
  return [
    `${view.kind} ${view.rollout} of ${subjectText(view)}: ${counted(view.servers.length, "server")} in ${counted(view.waves, "wave")}`,
    ...waves.map((servers, index) => `  wave ${index + 1}: ${servers.join(", ")}`),
    ...(view.inNoWave.length > 0 ? [`  targeted, and in no wave: ${view.inNoWave.join(", ")}`] : []),
  ];
}

/** Prints a server's line whenever its state is another. */
export function tellServers(terminal: Terminal): (view: RolloutView) => void {
  const told = new Map<string, string>();
  return (view) => {
    for (const server of view.servers) {
      if (server.state === "waiting" || told.get(server.server) === server.state) continue;
      told.set(server.server, server.state);
      const write = hasFailed(server) ? terminal.err : terminal.out;
      if (terminal.json && !hasFailed(server)) continue;
      for (const line of serverLines(terminal, view, server)) write(line);
    }
    terminal.status(
      view.state === "running"
        ? `${view.kind} of ${view.policy}: wave ${view.wave} of ${view.waves}, ${view.confirmed} of ${view.servers.length} confirmed`
        : "",
    );
  };
}

/** All of one rollout. */
export function rolloutLines(terminal: Terminal, view: RolloutView): string[] {
  const { at, actor, reason } = view.started;
  return [
    `${view.kind} ${terminal.paint("bold", view.rollout)} of ${subjectText(view)}`,
    `started ${exactTime(at)} UTC by ${actor}: ${reason || "no reason given"}`,
    ...(view.endedAt === undefined ? [] : [`ended   ${exactTime(view.endedAt)} UTC`]),
    ...view.servers.flatMap((server) => serverLines(terminal, view, server)).map((line) => `  ${line}`),
    ...(view.inNoWave.length > 0 ? [`  targeted, and in no wave: ${view.inNoWave.join(", ")}`] : []),
    rolloutSummary(terminal, view),
  ];
}

export function rolloutSummary(terminal: Terminal, view: RolloutView): string {
  const state = terminal.paint(colorOfRollout(view.state), view.state);
  const confirmed = `${view.confirmed} of ${counted(view.servers.length, "server")} confirmed`;
  return `${view.kind} ${view.rollout} ${state}, ${confirmed}${haltText(view)}`;
}

/** The reason of the server that halted it stands in that server's own lines. */
function haltText({ state, haltedBy, haltedBecause, servers }: RolloutView): string {
  if (state !== "halted") return "";
  const culprit = servers.find(({ server }) => server === haltedBy);
  const because = culprit?.refusal === undefined ? haltedBecause : `${culprit.server} ${culprit.state}`;
  const open = servers.filter((server) => server.state === "converging").map(({ server }) => server);
  return `: ${because}${open.length > 0 ? `; still converging: ${open.join(", ")}` : ""}`;
}

export function colorOfRollout(state: string): "green" | "red" | "yellow" | "dim" {
  if (state === "completed" || state === "confirmed") return "green";
  if (state === "running" || state === "converging" || state === "proven") return "yellow";
  return state === "waiting" || state === "unreached" ? "dim" : "red";
}

function serverLines(terminal: Terminal, view: RolloutView, server: RolloutServerView): string[] {
  const state = terminal.paint(colorOfRollout(server.state), server.state);
  const line = `wave ${server.wave}/${view.waves}  ${server.server} ${state}`;
  if (server.refusal !== undefined && hasFailed(server))
    return [`${line} at ${server.refusal.step}`, ...refusalLines(server.refusal).map((one) => `  ${one}`)];
  if (server.state === "proven")
    return [
      `${line}, undoes at ${exactTime(server.until ?? "")} UTC unless: sluice rollout confirm ${view.rollout}`,
    ];
  const took = tookMs(server);
  return [took === undefined ? line : `${line} in ${took} ms`];
}

function hasFailed({ state }: RolloutServerView): boolean {
  return state === "refused" || state === "reverted" || state === "silent";
}

function subjectText({ policy, revision }: RolloutView): string {
  return revision === 0 ? `${policy}, taken off` : `${policy} revision ${revision}`;
}

function tookMs({ stats }: RolloutServerView): number | undefined {
  if (stats === undefined) return undefined;
  return Math.round(Object.values(stats.phasesMs).reduce((sum, ms) => sum + ms, 0));
}
