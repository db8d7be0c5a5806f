import type { Command } from "commander";
import { nameArgument, revisionArgument } from "../arguments.ts";
import { action, print } from "../command.ts";
import { hitsLines } from "../render/hits.ts";

interface HitsOptions {
  server?: string;
  revision?: number;
  now: boolean;
}

export function addPolicyHits(policy: Command): void {
  action(
    policy
      .command("hits")
      .description("what each rule matched since its servers hold it; rules that matched nothing are named")
      .argument("<policy>", "its name", nameArgument)
      .option("--server <name>", "only on this one", nameArgument)
      .option("--revision <n>", "the one that servers hold unless said", revisionArgument)
      .option("--now", "have the servers count first; else the last minute may be missing", false),
    async ({ client, terminal }, name: string, options: HitsOptions) => {
      const view = await client.policies.hits.query({ policy: name, ...options });
      if (view.silent.length > 0)
        terminal.err(`sluice: ${view.silent.join(", ")} didn't answer; what they said before is counted`);
      print(terminal, view, () => hitsLines(terminal, view));
    },
  );
}
