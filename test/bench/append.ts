import { randomUUID } from "node:crypto";
import { connect, type Database } from "@sluice/db/connect";
import { Appender } from "@sluice/db/log/append";
import type { NewEvent } from "@sluice/db/log/event-body";
import { migrate } from "@sluice/db/migrate";
import { startPostgres } from "@sluice/infra/fixtures/postgres";
import type { Bench, BenchContext, BenchFindings, Ratio, Row } from "./bench.ts";
import { quantile, ratio, row } from "./figures.ts";
import { inTurn } from "./in-turn.ts";

const CALLERS = [1, 8, 32, 128];
const SAMPLE_MS = 1_000;
const AIMS: Readonly<Record<number, number>> = { 32: 1, 128: 1 };

/** The event log's price (order, hash chain, versions, erasable names) against rows that promise nothing. */
export const append: Bench = {
  name: "append",
  what: "events appended to the log by concurrent callers, against bare one-row inserts by as many connections",
  runs: 5,
  async run(context) {
    context.progress("starting Postgres");
    const postgres = await startPostgres({ own: true, signal: context.signal });
    try {
      return await measure(context, postgres.url);
    } finally {
      await postgres.stop();
    }
  },
};

async function measure(context: BenchContext, url: string): Promise<BenchFindings> {
  await using database = await connect(url, { schema: "bench" });
  await migrate(database);
  await database.sql`create table bare (id bigint generated always as identity primary key, body text not null)`;
  await using appender = new Appender(database);
  const rows: Row[] = [];
  const ratios: Ratio[] = [];
  for (const callers of CALLERS) {
    context.progress(`${callers} callers, ${context.runs + 1} × 2 × ${SAMPLE_MS / 1000} s`);
    const ours: Load[] = [];
    const bare: Load[] = [];
    const bareClient = database.client({ max: callers, name: "bench-bare", statementTimeoutMs: 30_000 });
    const insert = async () => void (await bareClient`insert into bare (body) values (${bareBody()})`);
    try {
      const rates = await inTurn(context, {
        ours: async () => keep(ours, await load(callers, () => appendCaller(appender))),
        bare: async () => keep(bare, await load(callers, () => insert)),
      });
      const who = callers === 1 ? "1 caller" : `${callers} callers`;
      rows.push(
        row(`${who}: log`, "events/s", rates.ours),
        row(`${who}: bare inserts`, "rows/s", rates.bare),
        row(`${who}: log p50`, "ms", quantiles(ours, 0.5)),
        row(`${who}: log p99`, "ms", quantiles(ours, 0.99)),
        row(`${who}: bare p50`, "ms", quantiles(bare, 0.5)),
        row(`${who}: bare p99`, "ms", quantiles(bare, 0.99)),
      );
      const aim = AIMS[callers];
      ratios.push(
        ratio(`${who}: log / bare`, rates.ours, rates.bare, aim === undefined ? undefined : { atLeast: aim }),
      );
    } finally {
      await bareClient.end({ timeout: 5 });
    }
  }
  return { rows, ratios, notes: await notes(database) };
}

/** What one second of calling came to. */
interface Load {
  perSecond: number;
  latenciesMs: number[];
}

/** Each caller calls again as soon as it is answered. */
async function load(callers: number, caller: () => () => Promise<void>): Promise<Load> {
  const latenciesMs: number[] = [];
  const begun = performance.now();
  const end = begun + SAMPLE_MS;
  await Promise.all(
    Array.from({ length: callers }, async () => {
      const call = caller();
      for (let at = performance.now(); at < end; ) {
        await call();
        const now = performance.now();
        latenciesMs.push(now - at);
        at = now;
      }
    }),
  );
  return { perSecond: (latenciesMs.length * 1000) / (performance.now() - begun), latenciesMs };
}

function keep(loads: Load[], sample: Load): number {
  loads.push(sample);
  return sample.perSecond;
}

/** Of every sample but the first, which warmed up. */
function quantiles(loads: readonly Load[], share: number): number[] {
  return loads.slice(1).map(({ latenciesMs }) => quantile(latenciesMs, share));
}

/** A caller with a stream of its own, as an entity has: one command of one event at a time. */
function appendCaller(appender: Appender): () => Promise<void> {
  const stream = `bench-${randomUUID()}`;
  let expected = 0;
  return async () => {
    const verdict = await appender.append({ stream, expected, events: [outcomeEvent(stream)] });
    if (verdict.outcome !== "stored")
      throw new Error(`${stream} is at ${verdict.actual}, not at ${expected}`);
    expected = verdict.version;
  };
}

/** As an outcome of a rollout is: some 600 bytes as stored. */
function outcomeEvent(server: string): NewEvent {
  return {
    id: randomUUID(),
    type: "OutcomeRecorded",
    schemaVersion: 1,
    data: {
      server,
      generation: 7,
      epoch: 1,
      result: "confirmed",
      stats: { phasesMs: { rehearse: 61, apply: 4, verify: 12, confirm: 9 }, writes: 6 },
    },
    meta: {
      at: new Date().toISOString(),
      actor: "ada",
      reason: "shut the page",
      correlation: "0193d0f2-6d3c-7b1e",
    },
    keys: { server, policy: "web-edge", rollout: "0193d0f2-6d3c-7b1e" },
  };
}

function bareBody(): string {
  return `${randomUUID()}${"x".repeat(560)}`;
}

async function notes(database: Database): Promise<string[]> {
  const { sql } = database;
  const [settings] = await sql<{ version: string; fsync: string; commit: string }[]>`
    select current_setting('server_version') as version, current_setting('fsync') as fsync,
           current_setting('synchronous_commit') as commit`;
  const [size] = await sql<{ bytes: number; events: number }[]>`
    select avg(length(body))::integer as bytes, count(*)::integer as events from events`;
  return [
    `Postgres ${settings?.version}, fsync ${settings?.fsync}, synchronous_commit ${settings?.commit}; Postgres and the callers share the cores`,
    `${size?.events} events of ${size?.bytes} bytes on average; an event is three rows and twelve index entries, a bare row is one and one`,
    "the log has one connection and one batch in flight; bare inserts have a connection per caller",
  ];
}
