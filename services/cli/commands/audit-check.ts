import type { AuditCheckView } from "@sluice/proto/api/proof";
import type { Command } from "commander";
import { collect } from "../arguments.ts";
import { pinnedKeys } from "../audit-keys.ts";
import { checkFile } from "../bundle-file.ts";
import { action, print } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { findingLines } from "../render/findings.ts";
import { counted } from "../render/text.ts";
import type { Terminal } from "../terminal.ts";

export function addAuditCheck(audit: Command): void {
  action(
    audit
      .command("check")
      .description(
        "check a bundle, with no control at hand: each event, and that it stands in what was signed",
      )
      .argument("<file>", "as sluice audit export wrote it")
      .option(
        "--key <key>",
        "the public key that your servers pin: a PEM file, or base64; repeatable",
        collect,
        [],
      ),
    async ({ terminal }, file: string, { key }: { key: string[] }) => {
      const { view } = await checkFile(file, pinnedKeys(key), terminal);
      print(terminal, view, () => checkLines(terminal, view));
      return view.ok ? EXIT.done : EXIT.fault;
    },
  );
}

function checkLines(terminal: Terminal, view: AuditCheckView): string[] {
  const { events, from, to, signedUpTo, checkpoints, witnesses, findings, notes } = view;
  return [
    `${counted(events, "event")}, ${from} to ${to}; signed up to event ${signedUpTo}`,
    `${counted(checkpoints, "checkpoint")} and the words of ${counted(witnesses, "server")} hold`,
    ...notes.map((note) => `note: ${note}`),
    ...findingLines(terminal, findings),
    view.ok
      ? terminal.paint("green", "the bundle is as it was written")
      : terminal.paint("red", `the bundle isn't as it was written: ${counted(findings.length, "finding")}`),
  ];
}
