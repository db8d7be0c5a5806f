import type { Command } from "commander";
import { action, print } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { counted } from "../render/text.ts";

export function addAuditVerify(audit: Command): void {
  action(
    audit.command("verify").description("walk the hash chain from the first event to the last"),
    async ({ client, terminal }) => {
      const view = await client.audit.verify.query();
      print(terminal, view, () => [
        view.ok
          ? `${counted(view.events, "event")}, unbroken; head ${view.head.seq} ${view.head.hash}`
          : `broken at event ${view.broken?.seq}: ${view.broken?.message}`,
      ]);
      return view.ok ? EXIT.done : EXIT.halted;
    },
  );
}
