import { digestOf } from "@sluice/proto/base/digest";
import { SluiceError } from "@sluice/proto/base/errors";

/** Where a page ended, for its question alone: taken to another one, it would leave out what that one never showed. */
export function writeCursor(seq: number, question: object): string {
  return Buffer.from(`${seq}.${markOf(question)}`).toString("base64url");
}

export function readCursor(cursor: string, question: object): number {
  const [, seq, mark] = /^(\d{1,15})\.([0-9a-f]+)$/.exec(Buffer.from(cursor, "base64url").toString()) ?? [];
  if (seq !== undefined && mark === markOf(question)) return Number(seq);
  throw new SluiceError("INVALID", "the cursor isn't one of this question", {
    cure: "ask the same question as for the page that gave it, or begin anew without a cursor",
  });
}

function markOf(question: object): string {
  return digestOf(question).slice(0, 12);
}
