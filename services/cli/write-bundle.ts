import { type FileHandle, open } from "node:fs/promises";
import type { AuditBundleInput, AuditBundleView } from "@sluice/proto/api/proof";
import type { Invocation } from "./command.ts";

export interface Written {
  events: number;
  bytes: number;
  /** by Ctrl-C: the file isn't whole */
  interrupted: boolean;
}

/** Writes a bundle, part after part. `flags` as those of open(2): `w` overwrites, `wx` doesn't. */
export async function writeBundle(
  { client, terminal, signal }: Pick<Invocation, "client" | "terminal" | "signal">,
  { out, flags, input }: { out: string; flags: "w" | "wx"; input: AuditBundleInput },
): Promise<Written> {
  const file: FileHandle = await open(out, flags);
  const written: Written = { events: 0, bytes: 0, interrupted: false };

  /** Begun while the part before is written, so its failure may come before anybody waits for it. */
  function ask(at?: AuditBundleInput["at"]): Promise<AuditBundleView> {
    const part = client.audit.bundle.query({ ...input, ...(at && { at }) });
    part.catch(() => {});
    return part;
  }

  try {
    for (let part = ask(); ; ) {
      const { lines, next } = await part;
      if (next !== undefined && !signal.aborted) part = ask(next);
      const text = lines.map((line) => `${line}\n`).join("");
      await file.writeFile(text);
      written.bytes += Buffer.byteLength(text);
      written.events =
        next?.events ?? written.events + lines.filter((line) => line.startsWith('{"event"')).length;
      if (next === undefined) break;
      terminal.status(`event ${next.after} of ${input.to ?? next.anchor}`);
      if (signal.aborted) return { ...written, interrupted: true };
    }
    await file.sync();
  } finally {
    await file.close();
    terminal.status("");
  }
  return written;
}
