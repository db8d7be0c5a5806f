import { randomUUID } from "node:crypto";
import { connect, type Database } from "@sluice/db/connect";
import { Appender } from "@sluice/db/log/append";
import { migrate } from "@sluice/db/migrate";
import { startPostgres } from "@sluice/infra/fixtures/postgres";
import { appendCaller, type Load, load } from "./append-load.ts";
import type { Bench, BenchContext, BenchFindings, Ratio, Row } from "./bench.ts";
import { quantile, ratio, row } from "./figures.ts";
import { inTurn } from "./in-turn.ts";
import { startLoadProcess } from "./load-process.ts";

const CALLERS = [1, 8, 32, 128];
const SAMPLE_MS = 1_000;
const PROCESSES = 4;
const CALLERS_EACH = 8;
/** by callers: of bare inserts, of Emmett; and the p99 of bare inserts */
const OF_BARE: Readonly<Record<number, number>> = { 32: 0.9 };
const OF_EMMETT: Readonly<Record<number, number>> = { 1: 1, 8: 1, 32: 4 };
const P99_OF_BARE: Readonly<Record<number, number>> = { 32: 1 };

/** The event log's price (order, hash chain, versions, erasable names) against rows that promise nothing. */
export const append: Bench = {
  name: "append",
  what: "events appended to the log by concurrent callers, against bare one-row inserts by as many connections, and against Emmett",
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
  const findings: BenchFindings = { rows: [], ratios: [], notes: [] };
  for (const callers of CALLERS) {
    context.progress(`${callers} callers, ${context.runs + 1} × 3 × ${SAMPLE_MS / 1000} s`);
    await measureCallers(context, database, url, callers, findings);
  }
  context.progress(`${PROCESSES} processes, ${context.runs + 1} × 2 × ${SAMPLE_MS / 1000} s`);
  await measureProcesses(context, database, url, findings);
  findings.notes.push(...(await notes(database)));
  return findings;
}

async function measureCallers(
  context: BenchContext,
  database: Database,
  url: string,
  callers: number,
  { rows, ratios }: BenchFindings,
): Promise<void> {
  await using appender = new Appender(database);
  await using emmett = startLoadProcess(new URL("emmett-main.mjs", import.meta.url), url);
  await using bare = bareInserts(database, callers);
  const loads: Record<"ours" | "bare" | "emmett", Load[]> = { ours: [], bare: [], emmett: [] };
  const rates = await inTurn(context, {
    ours: async () => keep(loads.ours, await load(callers, SAMPLE_MS, () => appendCaller(appender))),
    bare: async () => keep(loads.bare, await bare.load()),
    emmett: async () => keep(loads.emmett, await emmett.load(callers, SAMPLE_MS)),
  });
  const who = callers === 1 ? "1 caller" : `${callers} callers`;
  rows.push(
    ...rowsOf(`${who}: log`, "events/s", rates.ours, loads.ours),
    ...rowsOf(`${who}: bare inserts`, "rows/s", rates.bare, loads.bare),
    ...rowsOf(`${who}: Emmett`, "events/s", rates.emmett, loads.emmett),
  );
  ratios.push(
    ratio(`${who}: log / bare`, rates.ours, rates.bare, atLeast(OF_BARE[callers])),
    ratio(`${who}: log / Emmett`, rates.ours, rates.emmett, atLeast(OF_EMMETT[callers])),
    ratio(
      `${who}: log / bare, p99`,
      quantiles(loads.ours, 0.99),
      quantiles(loads.bare, 0.99),
      atMost(P99_OF_BARE[callers]),
    ),
  );
}

/** As many control processes have it: each with a batch of its own in flight, one after the other through the log's head. */
async function measureProcesses(
  context: BenchContext,
  database: Database,
  url: string,
  { rows, ratios }: BenchFindings,
): Promise<void> {
  await using owner = new AsyncDisposableStack();
  const processes = Array.from({ length: PROCESSES }, () =>
    owner.use(startLoadProcess(new URL("append-process-main.ts", import.meta.url), url, database.schema)),
  );
  const bare = owner.use(bareInserts(database, PROCESSES * CALLERS_EACH));
  const loads: Record<"ours" | "bare", Load[]> = { ours: [], bare: [] };
  const slowest: number[] = [];
  const rates = await inTurn(context, {
    ours: async () => {
      const all = await Promise.all(processes.map((process) => process.load(CALLERS_EACH, SAMPLE_MS)));
      const sum = together(all);
      slowest.push((Math.min(...all.map(({ perSecond }) => perSecond)) * PROCESSES) / sum.perSecond);
      return keep(loads.ours, sum);
    },
    bare: async () => keep(loads.bare, await bare.load()),
  });
  const who = `${PROCESSES} processes of ${CALLERS_EACH}`;
  rows.push(
    ...rowsOf(`${who}: log`, "events/s", rates.ours, loads.ours),
    row(`${who}: the slowest's part of a fair share`, "", slowest.slice(1)),
  );
  ratios.push(ratio(`${who}: log / bare of one process`, rates.ours, rates.bare));
}

interface BareInserts extends AsyncDisposable {
  load(): Promise<Load>;
}

function bareInserts(database: Database, callers: number): BareInserts {
  const client = database.client({ max: callers, name: "bench-bare", statementTimeoutMs: 30_000 });
  const insert = async () => void (await client`insert into bare (body) values (${bareBody()})`);
  return {
    load: () => load(callers, SAMPLE_MS, () => insert),
    [Symbol.asyncDispose]: () => client.end({ timeout: 5 }),
  };
}

function together(loads: readonly Load[]): Load {
  return {
    perSecond: loads.reduce((sum, { perSecond }) => sum + perSecond, 0),
    latenciesMs: loads.flatMap(({ latenciesMs }) => latenciesMs),
  };
}

function keep(loads: Load[], sample: Load): number {
  loads.push(sample);
  return sample.perSecond;
}

function rowsOf(label: string, unit: string, rates: readonly number[], loads: readonly Load[]): Row[] {
  return [
    row(label, unit, rates),
    row(`${label} p50`, "ms", quantiles(loads, 0.5)),
    row(`${label} p99`, "ms", quantiles(loads, 0.99)),
  ];
}

/** Of every sample but the first, which warmed up. */
function quantiles(loads: readonly Load[], share: number): number[] {
  return loads.slice(1).map(({ latenciesMs }) => quantile(latenciesMs, share));
}

function atLeast(value: number | undefined): Ratio["aim"] {
  return value === undefined ? undefined : { atLeast: value };
}

function atMost(value: number | undefined): Ratio["aim"] {
  return value === undefined ? undefined : { atMost: value };
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
    `${size?.events} events of ${size?.bytes} bytes on average; an event is two rows and four index entries, a bare row is one and one`,
    "a process has one connection to the log and one batch in flight; bare inserts have a connection per caller",
    "Emmett 0.42 with the pool it makes itself, in a process of its own; its events are in a global order, without a chain",
  ];
}
