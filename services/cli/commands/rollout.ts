import type { RolloutState, RolloutView, WavesInput } from "@sluice/proto/api/rollouts";
import { SluiceError } from "@sluice/proto/base/errors";
import { parseDurationMs } from "@sluice/proto/base/units";
import { type Command, InvalidArgumentError, Option } from "commander";
import { nameArgument, nameList, pageArgument, revisionArgument, rollbackToArgument } from "../arguments.ts";
import { action, type Invocation, print, withExamples, withReason } from "../command.ts";
import { EXIT, type ExitCode } from "../exit-codes.ts";
import {
  colorOfRollout,
  rolloutLines,
  rolloutSummary,
  startedLines,
  tellServers,
} from "../render/rollout.ts";
import { table } from "../render/table.ts";
import { timeText } from "../render/text.ts";
import { watch } from "../watch.ts";

interface StartOptions {
  revision?: number;
  remove: boolean;
  wave: string[][];
  waves?: (number | string)[];
  server: string[];
  plan?: string;
  byHand?: number;
  detach: boolean;
  reason: string;
}

export function addRolloutCommands(program: Command): void {
  const rollout = withExamples(
    program.command("rollout").description("move servers to a policy's revision, in waves"),
    [
      'sluice rollout start web-edge --waves 1,25%,100% --reason "open 443"',
      "sluice rollout start web-edge --wave web-1 --wave web-2,web-3",
      "sluice rollout start web-edge --plan p-x7d2k9qs    only what that plan was ok for",
      "sluice rollout start web-edge --remove             take it off its servers",
      "sluice rollout start web-edge --by-hand 5m         each server waits for: sluice rollout confirm",
      "sluice rollout ls --state running",
      "sluice rollout watch r-k3v9p2mm",
    ],
  );

  action(
    withReason(rollout.command("start"))
      .description("begin, and watch to the end; exits 3 if it halts")
      .argument("<policy>", "its name", nameArgument)
      .option("--revision <n>", "the newest unless said", revisionArgument)
      .option("--remove", "take the policy off the servers instead", false)
      .option("--wave <names>", "servers of a wave, by comma; repeat for the next wave", waveArgument, [])
      .option("--waves <sizes>", "shares reached by each wave instead of names: 1,25%,100%", sizesArgument)
      .option("--server <name>", "only this one of the targeted, repeatable", nameList, [])
      .option("--plan <id>", "refused unless this plan was ok for the same content and servers")
      .option(
        "--by-hand <duration>",
        "wait so long on each server for 'rollout confirm', else undo",
        byHandArgument,
      )
      .option("--detach", "don't watch", false),
    async (invocation, policy: string, options: StartOptions) => {
      const started = await invocation.client.rollouts.start.mutate({
        policy,
        revision: options.revision,
        remove: options.remove,
        waves: wavesOf(options),
        ...(options.server.length > 0 ? { servers: options.server } : {}),
        plan: options.plan,
        byHandMs: options.byHand,
        reason: options.reason,
      });
      return await begun(invocation, started, options.detach);
    },
  );

  action(
    withReason(rollout.command("confirm"))
      .description("after a look: servers that wait may keep what they applied")
      .argument("<rollout>", "its id")
      .option("--server <name>", "only this one of those that wait, repeatable", nameList, []),
    async ({ client, terminal }, id: string, options: { server: string[]; reason: string }) => {
      const view = await client.rollouts.confirm.mutate({
        rollout: id,
        ...(options.server.length > 0 ? { servers: options.server } : {}),
        reason: options.reason,
      });
      print(terminal, view, () => [`confirmed; to follow it: sluice rollout watch ${id}`]);
    },
  );

  action(
    rollout
      .command("ls")
      .description("rollouts and rollbacks, newest first")
      .option("--policy <name>", "only of this policy", nameArgument)
      .addOption(
        new Option("--state <state>", "only in this state").choices(["running", "completed", "halted"]),
      )
      .option("--limit <n>", "how many", pageArgument, 20),
    async ({ client, terminal }, options: { policy?: string; state?: RolloutState; limit: number }) => {
      const rows = await client.rollouts.ls.query(options);
      print(terminal, rows, () =>
        table(terminal, {
          none: "no rollouts",
          rows,
          columns: [
            { heading: "ROLLOUT", cell: (row) => row.rollout },
            {
              heading: "POLICY",
              cell: (row) => `${row.policy}${row.revision === 0 ? " off" : `@${row.revision}`}`,
            },
            { heading: "STATE", cell: (row) => row.state, paint: (row) => colorOfRollout(row.state) },
            { heading: "CONFIRMED", cell: (row) => `${row.confirmed}/${row.servers}` },
            { heading: "WAVE", cell: (row) => `${row.wave}/${row.waves}`, optional: true },
            { heading: "STARTED", cell: (row) => timeText(terminal, row.started.at) },
            { heading: "BY", cell: (row) => row.started.actor },
            { heading: "KIND", cell: (row) => row.kind, optional: true },
            { heading: "REASON", cell: (row) => row.started.reason || "-", wraps: true },
          ],
        }),
      );
    },
  );

  action(
    rollout
      .command("show")
      .description("one rollout, server by server; exits 3 if it halted")
      .argument("<rollout>", "its id"),
    async ({ client, terminal }, id: string) => {
      const view = await client.rollouts.show.query({ rollout: id });
      print(terminal, view, () => rolloutLines(terminal, view));
      return exitCodeOf(view);
    },
  );

  action(
    rollout
      .command("watch")
      .description("follow one to its end; exits 3 if it halts")
      .argument("<rollout>", "its id"),
    async (invocation, id: string) =>
      follow(invocation, await invocation.client.rollouts.show.query({ rollout: id })),
  );

  action(
    withExamples(
      withReason(program.command("rollback"))
        .description("roll one policy back to an earlier revision, wide and at once; others stay")
        .argument("<policy>", "its name", nameArgument)
        .option("--to <revision>", "a revision, or 'previous'", rollbackToArgument, "previous")
        .option("--detach", "don't watch", false),
      ['sluice rollback web-edge --reason "pages are slow"', "sluice rollback web-edge --to 3"],
    ),
    async (
      invocation,
      policy: string,
      options: { to: number | "previous"; detach: boolean; reason: string },
    ) => {
      const { to, reason } = options;
      const started = await invocation.client.rollouts.rollback.mutate({ policy, to, reason });
      return await begun(invocation, started, options.detach);
    },
  );
}

export function byHandArgument(text: string): number {
  const ms = parseDurationMs(text);
  if (ms === undefined || ms < 10_000 || ms > 86_400_000)
    throw new InvalidArgumentError("from 10s to 24h, such as 5m");
  return ms;
}

function waveArgument(names: string, before: readonly string[][]): string[][] {
  return [...before, nameList(names)];
}

function sizesArgument(text: string): (number | string)[] {
  return text.split(",").map((size) => {
    if (/^(100|[1-9]?\d)%$/.test(size)) return size;
    if (/^[1-9]\d*$/.test(size)) return Number(size);
    throw new InvalidArgumentError("numbers of servers and shares such as 1,25%,100%");
  });
}

function wavesOf({ wave, waves }: StartOptions): WavesInput | undefined {
  if (wave.length > 0 && waves !== undefined)
    throw new SluiceError("INVALID", "--wave names servers, --waves gives sizes: use one of them");
  return wave.length > 0 ? wave : waves;
}

export async function begun(
  invocation: Invocation,
  started: RolloutView,
  detach: boolean,
): Promise<ExitCode> {
  if (!detach) return await follow(invocation, started, startedLines(started));
  const howTo = `to follow it: sluice rollout watch ${started.rollout}`;
  print(invocation.terminal, started, () => [...startedLines(started), howTo]);
  return EXIT.done;
}

async function follow(
  { client, terminal, signal }: Invocation,
  first: RolloutView,
  opening: readonly string[] = [],
): Promise<ExitCode> {
  if (!terminal.json) for (const line of opening) terminal.out(line);
  const { view, interrupted } = await watch<RolloutView>({
    first,
    subscribe: (observer) => client.rollouts.watch.subscribe({ rollout: first.rollout }, observer),
    signal,
    terminal,
    onView: tellServers(terminal),
    isOver: ({ state }) => state !== "running",
  });
  terminal.status("");
  print(terminal, view, () => [rolloutSummary(terminal, view)]);
  if (!interrupted) return exitCodeOf(view);
  terminal.err(`the ${view.kind} goes on: sluice rollout watch ${view.rollout}`);
  return EXIT.interrupted;
}

function exitCodeOf(view: RolloutView): ExitCode {
  return view.state === "halted" ? EXIT.halted : EXIT.done;
}
