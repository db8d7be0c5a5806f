import type { AuditVerifyProgress, AuditVerifyView } from "@sluice/proto/api/proof";
import type { Command } from "commander";
import { collect } from "../arguments.ts";
import { withArchives } from "../check-archives.ts";
import { action, type Invocation, print } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { findingLines } from "../render/findings.ts";
import { counted } from "../render/text.ts";
import type { Terminal } from "../terminal.ts";
import { watch } from "../watch.ts";

export function addAuditVerify(audit: Command): void {
  action(
    audit
      .command("verify")
      .description(
        "check the whole log: its hash chain and Merkle tree, signed checkpoints, and what NATS and servers have seen of it",
      )
      .option("--archive <file>", "with an archive of it, as one chain; repeatable", collect, []),
    async (invocation, { archive }: { archive: string[] }) => {
      const { terminal } = invocation;
      const { result: ofLog, interrupted } = await verify(invocation);
      terminal.status("");
      if (ofLog === undefined) return interrupted ? EXIT.interrupted : EXIT.fault;
      const result = await withArchives(ofLog, archive, terminal);
      print(terminal, result, () => verifyLines(terminal, result));
      return result.ok ? EXIT.done : EXIT.fault;
    },
  );
}

async function verify({ client, terminal, signal }: Invocation) {
  const { view, interrupted } = await watch<AuditVerifyProgress>({
    first: { seq: 0, of: 0 },
    subscribe: (observer) => client.audit.verifyAloud.subscribe(undefined, observer),
    signal,
    terminal,
    onView(now) {
      if ("seq" in now && now.of > 0) terminal.status(`event ${now.seq} of ${now.of}`);
    },
    isOver: (now) => "result" in now,
  });
  return { result: "result" in view ? view.result : undefined, interrupted };
}

function verifyLines(terminal: Terminal, view: AuditVerifyView): string[] {
  const { events, head, tree, proven, archived, findings, notes } = view;
  const signed =
    proven.upTo === 0
      ? "nothing of it is signed yet"
      : `${counted(proven.signatures, "signature")} hold, the newest of event ${proven.upTo}; ${counted(proven.witnesses, "server")} bear witness`;
  return [
    `${counted(events, "event")}; head ${head.seq} ${head.hash}`,
    `Merkle tree of ${counted(tree.size, "event")}, root ${tree.root ?? "unreadable"}`,
    signed,
    ...(archived?.files ?? []).map(
      ({ from, to, file }) => `events ${from} to ${to} are in the archive with the sha256 ${file}`,
    ),
    ...(archived === undefined ? [] : [`${counted(archived.kept, "event")} of those are kept here, too`]),
    ...notes.map((note) => `note: ${note}`),
    ...findingLines(terminal, findings),
    view.ok
      ? terminal.paint("green", "the log is as it was written")
      : terminal.paint("red", `the log isn't as it was written: ${counted(findings.length, "finding")}`),
  ];
}
