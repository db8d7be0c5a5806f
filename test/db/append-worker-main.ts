import { writeSync } from "node:fs";
import { connect } from "@sluice/db/connect";
import { Appender } from "@sluice/db/log/append";
import { newEvent } from "./log-fixture.ts";

/**
 * Appends to streams that others append to as well, until it is killed: `append-worker-main.ts URL SCHEMA`. What it was
 * answered is a line, written before it goes on.
 */
const [url = "", schema = ""] = process.argv.slice(2);
const STREAMS = 3;
const WRITERS = 8;
const database = await connect(url, { schema });
const appender = new Appender(database);

async function write(writer: number): Promise<never> {
  const versions = new Map<string, number>();
  for (let n = writer; ; n += 1) {
    const stream = `s-${n % STREAMS}`;
    const expected = versions.get(stream) ?? 0;
    const events = [newEvent(), newEvent()];
    const verdict = await appender.append({ stream, expected, events });
    writeSync(1, `${JSON.stringify({ stream, expected, ids: events.map(({ id }) => id), verdict })}\n`);
    versions.set(stream, verdict.outcome === "stored" ? verdict.version : verdict.actual);
  }
}

await Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)));
