import type { Command } from "commander";
import { askToGoOn, mustBeAsked } from "../ask-to-go-on.ts";
import { action, print, withReason } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { counted } from "../render/text.ts";

export function addAuditErase(audit: Command): void {
  action(
    withReason(
      audit
        .command("erase")
        .description("erase a person: their name as actor, and the reasons they gave; the chain stays whole")
        .argument("<actor>", "the name, as sluice audit log shows it")
        .option("--yes", "don't ask before it is erased", false),
    ),
    async ({ client, terminal }, actor: string, { yes, reason }: { yes: boolean; reason: string }) => {
      if (!yes) mustBeAsked(terminal);
      if (!yes && !(await askToGoOn(`Erase ${actor} for ever?`))) return EXIT.refused;
      const view = await client.audit.erase.mutate({ actor, reason });
      print(terminal, view, () => [
        `erased from ${counted(view.events, "event")}; the log says so, and not whose name it was`,
        ...view.archives.map(
          ({ from, to, file }) =>
            `events ${from} to ${to} are in the archive ${file}, which may have the name still`,
        ),
      ]);
      return EXIT.done;
    },
  );
}
