import type { ArchiveInput, ArchiveProgress, ArchiveView } from "@sluice/proto/api/archive";
import { SluiceError } from "@sluice/proto/base/errors";
import type { Command } from "commander";
import { countArgument, TIME_HELP, timeArgument } from "../arguments.ts";
import { askToGoOn, mustBeAsked } from "../ask-to-go-on.ts";
import { type CheckedFile, checkFile } from "../bundle-file.ts";
import { action, type Invocation, print, withExamples, withReason } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { findingLines } from "../render/findings.ts";
import { counted } from "../render/text.ts";
import { watch } from "../watch.ts";
import { writeBundle } from "../write-bundle.ts";

interface ArchiveOptions {
  out: string;
  before?: string;
  to?: number;
  yes: boolean;
  reason: string;
}

export function addAuditArchive(audit: Command): void {
  action(
    withExamples(
      withReason(
        audit
          .command("archive")
          .description(
            "write old events into a file, check it, and drop from the database what control needn't have",
          )
          .requiredOption("--out <file>", "where to; it must not be there")
          .option("--before <time>", `what is older: ${TIME_HELP}`, timeArgument)
          .option("--to <seq>", "up to this event", countArgument)
          .option("--yes", "don't ask before anything is dropped", false),
      ),
      [
        "sluice audit archive --before 365d --out 2025.ndjson",
        "sluice audit archive --to 100000 --out first.ndjson --yes",
      ],
    ),
    archive,
  );
}

async function archive(invocation: Invocation, { out, before, to, yes, reason }: ArchiveOptions) {
  const { client, terminal } = invocation;
  if (before === undefined && to === undefined)
    throw new SluiceError("INVALID", "up to when, or to which event?", {
      cure: "say --before TIME or --to SEQ",
    });
  if (!yes) mustBeAsked(terminal);
  const range = await client.audit.archivable.query({ ...(before && { before }), ...(to && { to }) });
  const input = { from: range.from, to: range.to };
  const { interrupted } = await writeBundle(invocation, { out, input });
  if (interrupted) return EXIT.interrupted;
  const checked = await checkFile(out, undefined, terminal);
  mustHold(out, checked, range);
  const { view, digest, bytes } = checked;
  terminal.err(`events ${range.from} to ${range.to} are in ${out}, ${bytes} bytes, sha256 ${digest}`);
  const question = `From then on this file is all there is of what control needn't have. Drop it from the database?`;
  if (!yes && !(await askToGoOn(question))) {
    terminal.err("nothing was dropped; the file is a bundle like any other");
    return EXIT.refused;
  }
  if (!(await tell(invocation, { ...input, hash: view.hash, file: digest, bytes, reason })))
    return EXIT.interrupted;
  const dropped = await dropAll(invocation);
  print(terminal, dropped, () => [
    `events ${dropped.from} to ${dropped.to} are archived in ${out}; ${counted(dropped.kept, "event")} up to there stay in the database`,
  ]);
  return EXIT.done;
}

function mustHold(out: string, { view }: CheckedFile, { from, to }: { from: number; to: number }): void {
  if (view.ok && view.from === from && view.to === to && view.signedUpTo >= to) return;
  throw new SluiceError("CONFLICT", `${out} isn't what the log should be: nothing was dropped`, {
    cure: "sluice audit verify says what is wrong with the log",
    problems: findingLines({ paint: (_, text) => text }, view.findings).map((message) => ({ message })),
  });
}

/** Control chooses among all events up to there what stays, and says it in the log. False where nobody waited for it. */
async function tell({ client, terminal, signal }: Invocation, input: ArchiveInput): Promise<boolean> {
  const { view } = await watch<ArchiveProgress>({
    first: { seq: 0, of: 0 },
    subscribe: (observer) => client.audit.archiveAloud.subscribe(input, observer),
    signal,
    terminal,
    onView(now) {
      if ("seq" in now && now.of > 0) terminal.status(`looked at event ${now.seq} of ${now.of}`);
    },
    isOver: (now) => "result" in now,
  });
  return "result" in view;
}

/** Control goes on with it also where nobody waits. */
async function dropAll({ client, terminal, signal }: Invocation): Promise<ArchiveView> {
  for (;;) {
    const view = await client.audit.drop.mutate();
    if (view.droppedTo >= view.to || signal.aborted) return view;
    terminal.status(`dropped up to event ${view.droppedTo} of ${view.to}`);
  }
}
