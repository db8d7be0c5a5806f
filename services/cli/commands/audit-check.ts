import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import type { AuditCheckView } from "@sluice/proto/api/proof";
import { SluiceError } from "@sluice/proto/base/errors";
import type { Command } from "commander";
import { collect } from "../arguments.ts";
import { pinnedKeys } from "../audit-keys.ts";
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
      const { checkBundle } = await import("@sluice/control/audit/check-bundle");
      const view = await checkBundle(linesOf(file, terminal), pinnedKeys(key));
      terminal.status("");
      print(terminal, view, () => checkLines(terminal, view));
      return view.ok ? EXIT.done : EXIT.fault;
    },
  );
}

async function* linesOf(file: string, terminal: Terminal): AsyncGenerator<string> {
  const input = createReadStream(file);
  const failed = new Promise<never>((_, reject) => {
    input.on("error", (cause) => {
      reject(new SluiceError("INVALID", `${file} can't be read: ${cause.message}`, { cause }));
    });
  });
  failed.catch(() => {});
  const opened = new Promise<void>((resolve) => input.once("open", () => resolve()));
  await Promise.race([opened, failed]);
  let count = 0;
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    yield line;
    count += 1;
    if (count % 10_000 === 0) terminal.status(`line ${count}`);
  }
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
