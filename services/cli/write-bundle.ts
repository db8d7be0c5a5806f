import { type FileHandle, open } from "node:fs/promises";
import type { AuditBundleInput, AuditBundleView } from "@sluice/proto/api/proof";
import { SluiceError } from "@sluice/proto/base/errors";
import type { Invocation } from "./command.ts";

export interface Written {
  events: number;
  bytes: number;
  /** by Ctrl-C: the file isn't whole */
  interrupted: boolean;
}

/** Writes a bundle, part after part, into a file that isn't there yet: what it may replace may be all there is of old events. */
export async function writeBundle(
  { client, terminal, signal }: Pick<Invocation, "client" | "terminal" | "signal">,
  { out, input }: { out: string; input: AuditBundleInput },
): Promise<Written> {
  const file: FileHandle = await open(out, "wx").catch(cantWrite(out));
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

function cantWrite(out: string): (error: NodeJS.ErrnoException) => never {
  return (error) => {
    if (error.code === "EEXIST")
      throw new SluiceError("REFUSED", `${out} is there already, and is never overwritten`, {
        cure: "give another name, or take it away if it is of no use",
      });
    throw error;
  };
}
