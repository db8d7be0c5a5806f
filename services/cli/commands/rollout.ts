import type { RolloutServerView, RolloutView, WavesInput } from "@sluice/proto/api/rollouts";
import { SluiceError } from "@sluice/proto/base/errors";
import { type Command, Option } from "commander";
import {
  action,
  collect,
  countArgument,
  type Invocation,
  print,
  revisionArgument,
  withReason,
} from "../command.ts";
import { EXIT, type ExitCode } from "../exit-codes.ts";
import { refusalText } from "../render/differences.ts";
import { table, timeText } from "../render/table.ts";
import type { Terminal } from "../terminal.ts";
import { watch } from "../watch.ts";

interface StartOptions {
  revision?: number;
  remove: boolean;
  wave: string[];
  waves?: string;
  server: string[];
  plan?: string;
  detach: boolean;
  reason: string;
}

export function addRolloutCommands(program: Command): void {
  const rollout = program.command("rollout").description("move servers to a policy's revision, in waves");

  action(
    withReason(rollout.command("start <policy>"))
      .description("begin, and watch to the end")
      .option("--revision <n>", "the newest unless said", revisionArgument)
      .option("--remove", "take the policy off the servers instead", false)
      .option("--wave <names>", "servers of a wave, by comma; repeat for the next wave", collect, [])
      .option("--waves <sizes>", "sizes instead of names: 1,25%,100%")
      .option("--server <name>", "only this one of the targeted, repeatable", collect, [])
      .option("--plan <id>", "refused unless this plan was ok for the same content and servers")
      .option("--detach", "don't watch", false),
    async (invocation, policy: string, options: StartOptions) => {
      const { client, terminal } = invocation;
      const started = await client.rollouts.start.mutate({
        policy,
        revision: options.revision,
        remove: options.remove,
        waves: wavesOf(options),
        ...(options.server.length > 0 ? { servers: options.server } : {}),
        plan: options.plan,
        reason: options.reason,
      });
      if (options.detach) {
        print(terminal, started, () => [`rollout ${started.rollout} started`]);
        return EXIT.done;
      }
      return await follow(invocation, started.rollout);
    },
  );

  action(
    rollout
      .command("ls")
      .description("newest first")
      .option("--policy <name>", "only of this policy")
      .addOption(
        new Option("--state <state>", "only in this state").choices(["running", "completed", "halted"]),
      )
      .option("--limit <n>", "how many", countArgument, 20),
    async (
      { client, terminal },
      options: { policy?: string; state?: "running" | "completed" | "halted"; limit: number },
    ) => {
      const rows = await client.rollouts.ls.query(options);
      print(terminal, rows, () =>
        table(
          ["ROLLOUT", "KIND", "POLICY", "REVISION", "STATE", "WAVE", "SERVERS", "STARTED", "BY", "REASON"],
          rows.map((row) => [
            row.rollout,
            row.kind,
            row.policy,
            row.revision === 0 ? "off" : String(row.revision),
            terminal.paint(colorOf(row.state), row.state),
            `${row.wave}/${row.waves}`,
            `${row.confirmed}/${row.servers}`,
            timeText(row.started.at),
            row.started.actor,
            row.started.reason || "-",
          ]),
        ),
      );
    },
  );

  action(
    rollout.command("show <rollout>").description("one rollout, server by server"),
    async ({ client, terminal }, id: string) => {
      const view = await client.rollouts.show.query({ rollout: id });
      print(terminal, view, () => [
        `${view.kind} ${view.rollout} of ${view.policy} ${revisionText(view)}, by ${view.started.actor}: ${view.started.reason || "no reason given"}`,
        ...view.servers.map((server) => `  wave ${server.wave}  ${serverText(terminal, server)}`),
        ...(view.inNoWave.length > 0 ? [`in no wave: ${view.inNoWave.join(", ")}`] : []),
        summary(terminal, view),
      ]);
      return exitCodeOf(view);
    },
  );

  action(rollout.command("watch <rollout>").description("follow one to its end"), (invocation, id: string) =>
    follow(invocation, id),
  );

  action(
    withReason(program.command("rollback <policy>"))
      .description("roll one policy back to an earlier revision, wide and at once; others stay")
      .option("--to <revision>", "a revision, or 'previous'", "previous")
      .option("--detach", "don't watch", false),
    async (invocation, policy: string, options: { to: string; detach: boolean; reason: string }) => {
      const { client, terminal } = invocation;
      const to = options.to === "previous" ? "previous" : revisionArgument(options.to);
      const started = await client.rollouts.rollback.mutate({ policy, to, reason: options.reason });
      if (options.detach) {
        print(terminal, started, () => [`rollback ${started.rollout} started`]);
        return EXIT.done;
      }
      return await follow(invocation, started.rollout);
    },
  );
}

function wavesOf({ wave, waves }: StartOptions): WavesInput | undefined {
  if (wave.length > 0 && waves !== undefined) {
    throw new SluiceError("INVALID", "--wave names servers, --waves gives sizes: use one of them");
  }
  if (wave.length > 0) return wave.map((names) => names.split(","));
  return waves?.split(",").map((size) => (size.endsWith("%") ? size : Number(size)));
}

async function follow({ client, terminal, signal }: Invocation, rollout: string): Promise<ExitCode> {
  const told = new Map<string, string>();
  const view = await watch<RolloutView>(
    (observer) => client.rollouts.watch.subscribe({ rollout }, observer),
    signal,
    (now) => tell(terminal, now, told),
    (now) => now.state !== "running",
  );
  terminal.status("");
  print(terminal, view, () => [summary(terminal, view)]);
  return exitCodeOf(view);
}

/** Prints a server's line whenever its state is another. */
function tell(terminal: Terminal, view: RolloutView, told: Map<string, string>): void {
  if (terminal.json) return;
  for (const server of view.servers) {
    if (server.state === "waiting" || told.get(server.server) === server.state) continue;
    told.set(server.server, server.state);
    terminal.out(`wave ${server.wave}/${view.waves}  ${serverText(terminal, server)}`);
  }
  terminal.status(
    view.state === "running"
      ? `${view.kind} of ${view.policy}: wave ${view.wave} of ${view.waves}, ${view.confirmed} of ${view.servers.length} confirmed`
      : "",
  );
}

function serverText(terminal: Terminal, server: RolloutServerView): string {
  const state = terminal.paint(colorOf(server.state), server.state);
  const failed = server.state === "refused" || server.state === "reverted";
  const took = totalMs(server);
  const details = failed ? `: ${refusalText(server.refusal)}` : took === undefined ? "" : ` in ${took} ms`;
  return `${server.server} ${state}${details}`;
}

function totalMs({ stats }: RolloutServerView): number | undefined {
  if (stats === undefined) return undefined;
  return Math.round(Object.values(stats.phasesMs).reduce((sum, ms) => sum + ms, 0));
}

function summary(terminal: Terminal, view: RolloutView): string {
  const state = terminal.paint(colorOf(view.state), view.state);
  const because = view.state === "halted" ? `: ${view.haltedBecause}` : "";
  return `${view.kind} ${view.rollout} ${state}, ${view.confirmed} of ${view.servers.length} servers confirmed${because}`;
}

function revisionText({ revision }: RolloutView): string {
  return revision === 0 ? "off" : `revision ${revision}`;
}

function exitCodeOf(view: RolloutView): ExitCode {
  return view.state === "halted" ? EXIT.halted : EXIT.done;
}

function colorOf(state: string): "green" | "red" | "yellow" | "dim" {
  if (state === "completed" || state === "confirmed") return "green";
  if (state === "running" || state === "converging") return "yellow";
  return state === "waiting" || state === "unreached" ? "dim" : "red";
}
