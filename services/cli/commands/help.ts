import { SluiceError } from "@sluice/proto/base/errors";
import type { Command } from "commander";
import { action } from "../command.ts";

/** `sluice help rollout start` and `sluice rollout start --help` are the same. */
export function addHelpCommand(program: Command): void {
  action(
    program.command("help").description("how a command is used").argument("[command...]", "its words"),
    async (_, words: string[]) => {
      let found = program;
      for (const word of words) {
        const next = found.commands.find((one) => one.name() === word);
        if (next === undefined) {
          throw new SluiceError("INVALID", `there is no command '${words.join(" ")}'`, {
            cure: `${found.name() === "sluice" ? "sluice" : `sluice ${found.name()}`} --help shows the commands`,
          });
        }
        found = next;
      }
      found.outputHelp();
    },
  );
}
