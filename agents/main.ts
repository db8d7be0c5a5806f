#!/usr/bin/env node
import { setTimeout as delay } from "node:timers/promises";
import { messageOf, SluiceError } from "@sluice/proto/base/errors";
import { parseDurationMs } from "@sluice/proto/base/units";
import { Command, Option } from "commander";
import { type Answer, answerWith } from "./run/answer.ts";
import {
  diffCommand,
  exportCommand,
  pauseCommand,
  resumeCommand,
  revertCommand,
  statusCommand,
  uninstallCommand,
} from "./run/local-commands.ts";
import { createLogger, LEVELS, type Level } from "./run/logger.ts";
import { factsCommand, rehearseCommand } from "./run/rehearse-command.ts";
import { runAgent } from "./run/run-agent.ts";
import { agentVersion } from "./run/version.ts";

const DEFAULT_FOLDER = "/var/lib/sluice";
const STOP_WITHIN_MS = 5_000;

interface Common {
  state: string;
  json?: boolean;
}

interface RunFlags extends Common {
  join?: string;
  control?: string;
  poll?: number;
  fullCheck?: number;
  auditLog?: string;
  logLevel: Level;
  logFormat: "plain" | "json";
}

const program = new Command("sluice-agent")
  .description(
    "Keeps this server's iptables, ipset and tc as its manifest says, and undoes what cuts it off.",
  )
  .version(agentVersion())
  .showHelpAfterError("  → sluice-agent --help")
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
  .addHelpText("after", "\nExit codes: 0 done, 1 fault, 2 refused, 3 drifted.");

function command(name: string, description: string): Command {
  return program
    .command(name)
    .description(description)
    .option("--state <dir>", "where the agent keeps its state", DEFAULT_FOLDER)
    .option("--json", "answer as JSON");
}

function duration(text: string): number {
  const ms = parseDurationMs(text);
  if (ms === undefined || ms <= 0)
    throw new SluiceError("INVALID", `${text} is no duration: such as 5s or 2m`);
  return ms;
}

command("run", "run the agent; the first time it enrols with a token")
  .option("--join <token>", "one-time token, from `sluice server add NAME`")
  .option("--control <url>", "where to enrol, such as https://control.example:7070")
  .option(
    "--poll <duration>",
    "how often to look for what the kernel doesn't tell of (default: 5s)",
    duration,
  )
  .option("--full-check <duration>", "how often to look at everything, about (default: 1m)", duration)
  .option(
    "--audit-log <file>",
    "where an audit daemon keeps the kernel's records (default: /var/log/audit/audit.log)",
  )
  .addOption(new Option("--log-level <level>", "what to log on stderr").choices(LEVELS).default("info"))
  .addOption(
    new Option("--log-format <format>", "one line a happening").choices(["plain", "json"]).default("plain"),
  )
  .action(run);

command("status", "what is held, and whether the kernel still holds it").action((flags: Common) =>
  answer(flags, () => statusCommand(flags.state)),
);
command("diff", "what differs between the manifest and the kernel, now").action((flags: Common) =>
  answer(flags, () => diffCommand(flags.state)),
);
command("export", "what is held, as a script of the bare tools").action((flags: Common) =>
  answer(flags, () => exportCommand(flags.state)),
);
command("pause", "for a while: apply, repair and revert nothing")
  .requiredOption("--for <duration>", "how long, such as 30m; it ends by itself")
  .requiredOption("--reason <text>", "shown everywhere while it lasts, and recorded")
  .action((flags: Common & { for: string; reason: string }) =>
    answer(flags, () => pauseCommand(flags.state, flags)),
  );
command("resume", "end a pause before its time").action((flags: Common) =>
  answer(flags, () => resumeCommand(flags.state)),
);
command("revert", "back to the manifest before the last confirmed one").action((flags: Common) =>
  answer(flags, () => revertCommand(flags.state)),
);
command("facts", "what this machine is, and what its kernel takes; needs no agent").action((flags: Common) =>
  answer(flags, factsCommand),
);
command("rehearse", "try a manifest on this kernel, with its tests; needs no agent, touches nothing live")
  .argument("<file>", "a manifest as JSON; - for stdin")
  .action((file: string, flags: Common) => answer(flags, () => rehearseCommand(file)));
command("uninstall", "take everything of Sluice out of this server's kernel, and nothing else").action(
  (flags: Common) => answer(flags, () => uninstallCommand(flags.state)),
);

async function answer(flags: Common, work: () => Promise<Answer>): Promise<void> {
  process.exit(await answerWith(flags, { out: console.log, err: console.error }, work));
}

async function run(flags: RunFlags): Promise<void> {
  const logger = createLogger({
    level: flags.logLevel,
    json: flags.json === true || flags.logFormat === "json",
    write: (line) => process.stderr.write(`${line}\n`),
    now: () => new Date(),
  });
  process.on("unhandledRejection", (reason) =>
    logger.error("a failure nobody waited for", { reason: messageOf(reason) }),
  );
  const signalled = new Promise<void>((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve());
  });
  const code = await answerWith(flags, { out: () => undefined, err: console.error }, async () => {
    const { folder, join, control } = { folder: flags.state, join: flags.join, control: flags.control };
    const intervals = {
      ...(flags.poll === undefined ? {} : { pollMs: flags.poll }),
      ...(flags.fullCheck === undefined ? {} : { fullCheckMs: flags.fullCheck }),
    };
    const starting = runAgent({ folder, join, control, intervals, auditLog: flags.auditLog, logger });
    const agent = await Promise.race([starting, signalled]);
    if (agent === undefined) return { code: 0, text: "", value: {} };
    await Promise.race([signalled, agent.stopAsked]);
    logger.info("agent stops; what it holds stays");
    // a change under way isn't waited for: its runner undoes it, or the next start does
    await Promise.race([agent.close(), delay(STOP_WITHIN_MS)]);
    return { code: 0, text: "", value: {} };
  });
  process.exit(code);
}

await program.parseAsync().catch((error: unknown) => {
  console.error(`sluice-agent: ${messageOf(error)}`);
  process.exit(error instanceof SluiceError ? 2 : 1);
});
