import type { Command } from "commander";
import { nameArgument, nameList } from "../arguments.ts";
import { action, withExamples, withReason } from "../command.ts";
import { begun, byHandArgument } from "./rollout.ts";

interface AdoptOptions {
  server: string[];
  byHand?: number;
  detach: boolean;
  reason: string;
}

export function addAdoptCommand(program: Command): void {
  const command = withExamples(
    withReason(program.command("adopt"))
      .description("what an imported policy says becomes Sluice's on its servers; exits 3 if it halts")
      .argument("<policy>", "its name", nameArgument)
      .option("--server <name>", "only this one of the targeted, repeatable", nameList, [])
      .option(
        "--by-hand <duration>",
        "wait so long on each server for 'rollout confirm', else undo",
        byHandArgument,
      )
      .option("--detach", "don't watch", false),
    ['sluice adopt web-3 --reason "no more by hand"', "sluice adopt web-edge --server web-3 --by-hand 10m"],
  );
  action(command, async (invocation, policy: string, { server, byHand, detach, reason }: AdoptOptions) => {
    const started = await invocation.client.rollouts.adopt.mutate({
      policy,
      ...(server.length > 0 && { servers: server }),
      byHandMs: byHand,
      reason,
    });
    invocation.terminal.err(`in the file of ${policy}, write \`mode: enforce\` too`);
    return await begun(invocation, started, detach);
  });
}
