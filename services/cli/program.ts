import { Command, type Option } from "commander";
import { addAdoptCommand } from "./commands/adopt.ts";
import { addAuditCommands } from "./commands/audit.ts";
import { addDriftCommands } from "./commands/drift.ts";
import { addExplainCommand } from "./commands/explain.ts";
import { addFeedCommands } from "./commands/feed.ts";
import { addFleetCommands } from "./commands/fleet.ts";
import { addHelpCommand } from "./commands/help.ts";
import { addImportCommand } from "./commands/import.ts";
import { addListCommands } from "./commands/list.ts";
import { addPlanCommands } from "./commands/plan.ts";
import { addPolicyCommands } from "./commands/policy.ts";
import { addRolloutCommands } from "./commands/rollout.ts";
import { addServerCommands } from "./commands/server.ts";
import { addTestCommand } from "./commands/test.ts";
import { addTokenCommands } from "./commands/token.ts";
import { usageMessage } from "./usage-error.ts";

const AFTER_HELP = `
A change, start to end:
  sluice policy apply -f policies/ --reason "open 443"    store it as a revision
  sluice plan web-edge                                    every server rehearses it
  sluice rollout start web-edge --waves 1,100%            one server first, then all
  sluice rollback web-edge --reason "pages are slow"      the way back
  sluice audit log --policy web-edge                      who, what, when, why

Exit codes: 0 done, 1 fault (control away, something broke), 2 refused (the reason is on
stderr and in the JSON), 3 a rollout halted, a kernel differs or a test doesn't hold,
130 Ctrl-C while watching.`;

/** The whole command tree. Nothing runs and nobody is asked before it is given words to parse. */
export function createProgram(version: string): Command {
  const program = new Command("sluice")
    .description("Keeps the packet path of a fleet (iptables, ipset, tc) as its policies say.")
    .version(version)
    .option("--control <url>", "where control is (else SLUICE_URL, else .sluice/context.json)")
    .option("--token <token>", "who asks (else SLUICE_TOKEN, else .sluice/context.json)")
    .option("--json", "one line of JSON on stdout; progress and errors stay on stderr")
    .configureHelp({ showGlobalOptions: true, optionDescription: describeOption })
    .configureOutput({ outputError: (text, write) => write(`sluice: ${usageMessage(text)}\n`) })
    .helpCommand(false)
    .exitOverride()
    .addHelpText("after", AFTER_HELP);
  addServerCommands(program);
  addPolicyCommands(program);
  addImportCommand(program);
  addAdoptCommand(program);
  addTestCommand(program);
  addPlanCommands(program);
  addRolloutCommands(program);
  addDriftCommands(program);
  addExplainCommand(program);
  addListCommands(program);
  addAuditCommands(program);
  addFeedCommands(program);
  addFleetCommands(program);
  addTokenCommands(program);
  addHelpCommand(program);
  for (const command of allCommands(program))
    command.showHelpAfterError(`  → ${pathOf(command).join(" ")} --help`);
  return program;
}

/** Defaults are told where they say something: not that a list is empty or a switch is off. */
function describeOption(option: Option): string {
  const { defaultValue, defaultValueDescription, argChoices } = option;
  const told = defaultValueDescription ?? (isTelling(defaultValue) ? String(defaultValue) : undefined);
  const extra = [
    ...(argChoices === undefined ? [] : [`one of ${argChoices.join(", ")}`]),
    ...(told === undefined ? [] : [`default: ${told}`]),
  ];
  return extra.length === 0 ? option.description : `${option.description} (${extra.join("; ")})`;
}

function isTelling(value: unknown): value is string | number {
  return typeof value === "number" || (typeof value === "string" && value !== "");
}

/** A command and all below it. */
export function allCommands(command: Command): Command[] {
  return [command, ...command.commands.flatMap(allCommands)];
}

/** Its words, such as `sluice policy apply`. */
export function pathOf(command: Command): string[] {
  return [...(command.parent === null ? [] : pathOf(command.parent)), command.name()];
}
