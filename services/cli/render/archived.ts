import type { ArchiveFileView } from "@sluice/proto/api/archive";
import type { Terminal } from "../terminal.ts";

/** Where more may be found than was shown: beside what is shown, so that nobody takes that for the whole. */
export function tellArchived(terminal: Terminal, archived: readonly ArchiveFileView[] = []): void {
  for (const { from, to, file } of archived)
    terminal.err(
      `events ${from} to ${to} are archived, and only what control keeps of them is shown: ${file}`,
    );
}
