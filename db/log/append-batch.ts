import type { Sql } from "../connect.ts";
import type { PreparedEvent } from "./event-body.ts";

/** One command as the SQL function `append_batch` takes it (migrations/0130-append-path.sql). */
export interface PreparedCommand {
  stream: string;
  /** At least one, of this stream, their versions one after the other. */
  events: readonly PreparedEvent[];
}

export interface BatchVerdict {
  verdict: "stored" | "repeated" | "conflict" | "reused";
  version: number;
  /** Of its events; empty where it has none. */
  seqs: number[];
}

interface BatchRow {
  verdicts: BatchVerdict["verdict"][];
  versions: number[];
  seqs: (number | null)[];
}

/** One round trip: appends the batch and returns a verdict per command, in their order. */
export async function appendBatch(sql: Sql, commands: readonly PreparedCommand[]): Promise<BatchVerdict[]> {
  const events = commands.flatMap((command) => command.events);
  const values = events.map((event) => event.values);
  const [row] = await sql<BatchRow[]>`
    select verdicts, versions, seqs
      from append_batch(
             ${commands.map((command) => command.events.length)},
             ${events.map(({ body }) => body).join("\n")},
             ${values.map(({ id }) => id)},
             ${values.map(({ stream }) => stream)},
             ${values.map(({ streamVersion }) => streamVersion)},
             ${values.map(({ type }) => type)},
             ${values.map(({ schemaVersion }) => schemaVersion)},
             ${values.map(({ meta }) => meta.at)},
             ${values.map(({ meta }) => meta.correlation)},
             ${values.map(({ keys }) => keys.policy ?? null)},
             ${values.map(({ keys }) => keys.server ?? null)},
             ${values.map(({ keys }) => keys.list ?? null)},
             ${values.map(({ keys }) => keys.rollout ?? null)},
             ${events.map(({ actor }) => actor.value)},
             ${events.map(({ actor }) => actor.salt)},
             ${events.map(({ reason }) => reason.value)},
             ${events.map(({ reason }) => reason.salt)})`;
  if (row === undefined) throw new Error("a batch got no verdicts");
  return verdictsOf(commands, row);
}

function verdictsOf(
  commands: readonly PreparedCommand[],
  { verdicts, versions, seqs }: BatchRow,
): BatchVerdict[] {
  let first = 0;
  return commands.map(({ stream, events }, n) => {
    const own = seqs.slice(first, first + events.length).filter((seq) => seq !== null);
    first += events.length;
    const verdict = verdicts[n];
    const version = versions[n];
    if (verdict === undefined || version === undefined)
      throw new Error(`the command on ${stream} got no verdict`);
    return { verdict, version, seqs: own };
  });
}
