import type { ArchiveFileView } from "@sluice/proto/api/archive";
import type { Terminal } from "../terminal.ts";

/** Where more may be found than was shown. */
export function tellArchived(terminal: Terminal, archived: readonly ArchiveFileView[] = []): void {
  if (terminal.json) return;
  for (const { from, to, file } of archived)
    terminal.err(
      `events ${from} to ${to} are archived, and only what control keeps of them is shown: ${file}`,
    );
}
