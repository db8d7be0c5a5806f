import { once } from "node:events";
import type { Writable } from "node:stream";
import type { Database, Sql } from "@sluice/db/connect";

type Field = string | number | boolean | Bytes | null;

export interface Bytes {
  hex: string;
}

/** Rows into one table by COPY, on a connection of its own. */
export interface Copy {
  /** in the order of the columns */
  row(values: readonly Field[]): void;
  /** Lets the server take what is written before more is. */
  drained(): Promise<void>;
  end(): Promise<void>;
}

const CHUNK = 256 * 1024;

export async function copyInto(database: Database, table: string, columns: readonly string[]): Promise<Copy> {
  const client: Sql = database.client({ max: 1, name: "sluice-fleet-year", statementTimeoutMs: 0 });
  const stream: Writable =
    await client`copy ${client(table)} (${client([...columns])}) from stdin`.writable();
  let failed: Error | undefined;
  stream.on("error", (error: Error) => {
    failed = error;
  });
  let chunk = "";
  function flush(): void {
    if (chunk === "") return;
    stream.write(chunk);
    chunk = "";
  }
  return {
    row(values) {
      let between = "";
      for (const value of values) {
        chunk += between + asField(value);
        between = "\t";
      }
      chunk += "\n";
      if (chunk.length > CHUNK) flush();
    },
    async drained() {
      if (failed) throw failed;
      if (stream.writableNeedDrain) await once(stream, "drain");
    },
    async end() {
      flush();
      const finished = once(stream, "finish");
      stream.end();
      await finished;
      if (failed) throw failed;
      await client.end({ timeout: 5 });
    },
  };
}

const ESCAPED = /[\\\n\r\t]/;
const EVERY_ESCAPED = /[\\\n\r\t]/g;

function asField(value: Field): string {
  if (typeof value === "string") return ESCAPED.test(value) ? value.replace(EVERY_ESCAPED, escaped) : value;
  if (value === null) return "\\N";
  if (typeof value === "object") return `\\\\x${value.hex}`;
  return String(value);
}

function escaped(sign: string): string {
  return sign === "\n" ? "\\n" : sign === "\r" ? "\\r" : sign === "\t" ? "\\t" : "\\\\";
}
