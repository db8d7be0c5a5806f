import type { AuditBundleInput } from "@sluice/proto/api/proof";
import type { Command } from "commander";
import { countArgument, nameArgument, TIME_HELP, timeArgument } from "../arguments.ts";
import { action, print, withExamples } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { counted } from "../render/text.ts";
import { writeBundle } from "../write-bundle.ts";
import { typeArgument } from "./audit-log.ts";

interface ExportOptions extends Omit<AuditBundleInput, "types" | "at"> {
  out: string;
  type: string[];
}

export function addAuditExport(audit: Command): void {
  action(
    withExamples(
      audit
        .command("export")
        .description(
          "write a bundle: the log or a part of it, with all that proves it, for who has no Sluice",
        )
        .requiredOption("--out <file>", "where to; it must not be there")
        .option("--from <seq>", "from this event", countArgument)
        .option("--to <seq>", "up to this event", countArgument)
        .option("--policy <name>", "of this policy", nameArgument)
        .option("--server <name>", "on this server", nameArgument)
        .option("--list <name>", "of this live list", nameArgument)
        .option("--rollout <id>", "of this rollout")
        .option("--actor <name>", "by this actor")
        .option("--type <type>", "of this type; repeatable", typeArgument, [])
        .option("--correlation <id>", "one command and all that followed from it")
        .option("--since <time>", TIME_HELP, timeArgument)
        .option("--until <time>", "the same", timeArgument),
      [
        "sluice audit export --out log.ndjson",
        "sluice audit export --server web-3 --since 30d --out web-3.ndjson",
      ],
    ),
    async (invocation, { out, type, ...asked }: ExportOptions) => {
      const { terminal } = invocation;
      const input: AuditBundleInput = { ...asked, ...(type.length > 0 && { types: type }) };
      const { events, bytes, interrupted } = await writeBundle(invocation, { out, input });
      if (interrupted) return EXIT.interrupted;
      print(terminal, { file: out, events, bytes }, () => [
        `${counted(events, "event")} in ${out}, ${bytes} bytes; check it with: sluice audit check ${out}`,
      ]);
      return EXIT.done;
    },
  );
}
