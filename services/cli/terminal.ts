import { once } from "node:events";
import { styleText } from "node:util";

/** Where a command writes: results on `out`, progress and errors on `err`. Colour only where a person looks. */
export interface Terminal {
  /** one line of a result */
  out(line: string): void;
  /** returns when what was written has been taken: for results that don't end soon */
  taken(): Promise<void>;
  /** one line of progress or of an error */
  err(line: string): void;
  /** the line that is being redrawn on a terminal; nothing elsewhere */
  status(line: string): void;
  paint(color: Color, text: string): string;
  readonly json: boolean;
  /** columns to keep to; undefined where the result goes into a file or another program, whole */
  readonly width: number | undefined;
  now(): Date;
}

export type Color = "green" | "red" | "yellow" | "cyan" | "dim" | "bold";

const CLEAR_LINE = "\r\x1b[2K";

export function createTerminal(
  streams: { out: NodeJS.WriteStream; err: NodeJS.WriteStream },
  json: boolean,
): Terminal {
  const { out, err } = streams;
  let drawn = false;
  function clear(): void {
    if (drawn) err.write(CLEAR_LINE);
    drawn = false;
  }
  return {
    json,
    width: out.isTTY ? Math.max(40, out.columns || 80) : undefined,
    now: () => new Date(),
    out(line) {
      clear();
      out.write(`${line}\n`);
    },
    async taken() {
      if (out.writableNeedDrain) await once(out, "drain");
    },
    err(line) {
      clear();
      err.write(`${line}\n`);
    },
    status(line) {
      if (json || !err.isTTY) return;
      clear();
      if (line === "") return;
      err.write(line.slice(0, Math.max(10, (err.columns || 80) - 1)));
      drawn = true;
    },
    paint: (color, text) => (json ? text : styleText(color, text, { stream: out })),
  };
}
