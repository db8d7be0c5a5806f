#!/usr/bin/env node
import { createRequire } from "node:module";
import { Command } from "commander";
import { addAuditCommands } from "./commands/audit.ts";
import { addDriftCommands } from "./commands/drift.ts";
import { addFleetCommands } from "./commands/fleet.ts";
import { addListCommands } from "./commands/list.ts";
import { addPlanCommand } from "./commands/plan.ts";
import { addPolicyCommands } from "./commands/policy.ts";
import { addRolloutCommands } from "./commands/rollout.ts";
import { addServerCommands } from "./commands/server.ts";
import { EXIT } from "./exit-codes.ts";

const { version } = createRequire(import.meta.url)("./package.json") as { version: string };

const program = new Command("sluice")
  .description("Keeps the packet path of a fleet (iptables, ipset, tc) as its policies say.")
  .version(version)
  .option("--control <url>", "where control is (else SLUICE_URL, else .sluice/context.json)")
  .option("--token <token>", "who asks (else SLUICE_TOKEN, else .sluice/context.json)")
  .option("--json", "one line of JSON on stdout; progress and errors stay on stderr")
  .showHelpAfterError("(sluice --help shows the commands)")
  .exitOverride((error) => {
    process.exit(error.exitCode === 0 ? EXIT.done : EXIT.refused);
  })
  .addHelpText(
    "after",
    `
A change, start to end:
  sluice policy apply -f policies/ --reason "open 443"    store it as a revision
  sluice plan web-edge                                    every server rehearses it
  sluice rollout start web-edge --waves 1,100%            canary, then all
  sluice rollback web-edge --reason "pages are slow"      the way back
  sluice audit log --policy web-edge                      who, what, when, why

Exit codes: 0 done, 1 fault, 2 refused (the reason is on stderr and in the JSON), 3 halted or drifted.
`,
  );

addServerCommands(program);
addPolicyCommands(program);
addPlanCommand(program);
addRolloutCommands(program);
addDriftCommands(program);
addListCommands(program);
addAuditCommands(program);
addFleetCommands(program);

await program.parseAsync();
