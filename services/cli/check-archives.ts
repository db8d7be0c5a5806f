import type { AuditVerifyView } from "@sluice/proto/api/proof";
import { checkFile } from "./bundle-file.ts";
import type { Terminal } from "./terminal.ts";

/**
 * What was found of the log, together with its archives: each is held against what the log tells of it, so that archives and
 * log are one chain. A file may be another one than was written, for something in it was erased: its events are what counts.
 */
export async function withArchives(
  view: AuditVerifyView,
  files: readonly string[],
  terminal: Terminal,
): Promise<AuditVerifyView> {
  const archives = view.archived?.files ?? [];
  const seen = new Set<number>();
  const findings = [...view.findings];
  const notes = [...view.notes];
  for (const file of files) {
    const { view: held, digest } = await checkFile(file, undefined, terminal);
    const meant = archives.find(({ from, to }) => from === held.from && to === held.to);
    findings.push(...held.findings.map((one) => ({ ...one, message: `${file}: ${one.message}` })));
    if (meant?.hash !== held.hash) {
      const message = `${file} has events ${held.from} to ${held.to}, which aren't those that an archive of this log has`;
      findings.push({ tampering: "rewritten", seq: held.from, message });
      continue;
    }
    seen.add(meant.from);
    notes.push(`${file} has events ${meant.from} to ${meant.to} as they were archived`);
    if (digest !== meant.file)
      notes.push(
        `${file} is another file than was archived, of the same events: something may have been erased in it`,
      );
  }
  for (const { from, to, file } of archives)
    if (files.length > 0 && !seen.has(from))
      notes.push(`the archive of events ${from} to ${to} wasn't given: ${file}`);
  findings.sort((a, b) => a.seq - b.seq);
  return { ...view, ok: findings.length === 0, findings, notes };
}
