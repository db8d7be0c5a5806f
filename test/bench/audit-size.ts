import { auditAt } from "@sluice/control/audit/at";
import { streamLog } from "@sluice/control/audit/log";
import { Documents } from "@sluice/control/policies/documents";
import type { Database } from "@sluice/db/connect";
import { parsePolicy } from "@sluice/proto/policy/parse";
import type { Bench, BenchContext, BenchFindings, Ratio, Row } from "./bench.ts";
import { quantile, ratio, row } from "./figures.ts";
import type { FleetYear } from "./fleet-year/fill.ts";
import { questionsOf } from "./fleet-year/questions.ts";
import { withFleetYear } from "./fleet-year/with-year.ts";
import { measureProof } from "./proof.ts";
import { measureRebuild } from "./rebuild.ts";

/** How large the log is; `AUDIT_EVENTS=100000,1000000,10000000` instead, the last takes some 25 GB and its time (with-year.ts). */
const SIZES = [100_000, 1_000_000];
const AIM_MS = 50;
const ASKED_EACH = 40;
const STREAMED = 20_000;

/** Questions to the history of a made-up fleet-year: does a page's price grow with the log? */
export const auditSize: Bench = {
  name: "audit-size",
  what: "first pages of the history's questions on a fleet-year of 100k and 1M events, against an aim of 50 ms; its proof and its rebuild",
  runs: 1,
  async run(context) {
    const sizes = process.env.AUDIT_EVENTS?.split(",").map(Number) ?? SIZES;
    const measured: BenchFindings[] = [];
    for (const events of sizes) measured.push(await measureSize(context, events));
    const findings: BenchFindings = {
      rows: measured.flatMap(({ rows }) => rows),
      ratios: [...measured.flatMap(({ ratios }) => ratios), ...growth(measured)],
      notes: measured.flatMap(({ notes }) => notes),
    };
    findings.notes.push(
      "caches are warm: every question was asked before; Postgres, with fsync on, shares the cores",
    );
    return findings;
  },
};

async function measureSize(context: BenchContext, events: number): Promise<BenchFindings> {
  return await withFleetYear(context, events, async (database, year) => {
    const size = sizeOf(year);
    const parts = [
      await measureYear(context, database, year),
      await measureProof(context, database, size),
      await measureRebuild(context, database, size),
    ];
    return {
      rows: parts.flatMap(({ rows }) => rows),
      ratios: parts.flatMap(({ ratios }) => ratios),
      notes: parts.flatMap(({ notes }) => notes),
    };
  });
}

function sizeOf({ events }: FleetYear): string {
  return `${Math.round(events / 1000)}k`;
}

/** How much longer a page takes on the larger log: a question's middle, over that on the log before. */
function growth(sizes: readonly BenchFindings[]): Ratio[] {
  return sizes.slice(1).flatMap(({ rows }, index) => {
    const smaller = new Map(sizes[index]?.rows.map((one) => [nameOf(one), one]));
    return rows.flatMap((one) => {
      const before = smaller.get(nameOf(one));
      if (one.unit !== "ms" || before === undefined) return [];
      return [
        ratio(`${one.label}, growth from ${before.label.split(":")[0]}`, [one.median], [before.median]),
      ];
    });
  });
}

function nameOf({ label }: Row): string {
  return label.slice(label.indexOf(":"));
}

export async function measureYear(
  context: BenchContext,
  database: Database,
  year: FleetYear,
): Promise<BenchFindings> {
  const rows: Row[] = [];
  const ratios: Ratio[] = [];
  const size = sizeOf(year);
  for (const { name, prepare } of questionsOf(database, year)) {
    const samples: number[] = [];
    for (let count = -ASKED_EACH / 4; count < ASKED_EACH * context.runs; count += 1) {
      if (context.signal.aborted) break;
      const took = await timed(await prepare());
      if (count >= 0) samples.push(took);
    }
    const p99 = quantile(samples, 0.99);
    context.progress(
      `${size} events: ${name}: ${quantile(samples, 0.5).toFixed(1)} ms, p99 ${p99.toFixed(1)}`,
    );
    rows.push(row(`${size}: ${name}`, "ms", samples));
    ratios.push(ratio(`${size}: ${name}, p99 / ${AIM_MS} ms`, [p99], [AIM_MS], { atMost: 1 }));
  }
  rows.push(await fleetRow(database, year, size), ...(await streamRows(database, size)));
  return { rows, ratios, notes: [await sizeNote(database, year)] };
}

async function timed(ask: () => Promise<number>): Promise<number> {
  const begun = performance.now();
  await ask();
  return performance.now() - begun;
}

async function fleetRow(database: Database, year: FleetYear, size: string): Promise<Row> {
  const past = { waitFor: async () => {}, catchUp: async () => {} };
  const ctx = { database, documents: new Documents(parsePolicy), past };
  const samples: number[] = [];
  for (let count = 0; count < 4; count += 1) {
    const begun = performance.now();
    const { servers } = await auditAt(ctx, { time: year.to });
    samples.push((servers.length * 1000) / (performance.now() - begun));
  }
  return row(`${size}: as of, the whole fleet`, "servers/s", samples.slice(1));
}

async function streamRows(database: Database, size: string): Promise<Row[]> {
  const rates: number[] = [];
  const grown: number[] = [];
  for (let count = 0; count < 3; count += 1) {
    let seen = 0;
    const before = process.memoryUsage().rss;
    const begun = performance.now();
    for await (const _ of streamLog({ database }, { types: ["ServerConfirmed", "ListChanged"] })) {
      seen += 1;
      if (seen === STREAMED) break;
    }
    rates.push((seen * 1000) / (performance.now() - begun));
    grown.push((process.memoryUsage().rss - before) / 1_048_576);
  }
  return [
    row(`${size}: streamed`, "events/s", rates.slice(1)),
    row(`${size}: memory grown by ${STREAMED} streamed`, "MB", grown.slice(1)),
  ];
}

async function sizeNote(database: Database, { events, servers, seconds }: FleetYear): Promise<string> {
  const rows = await database.sql<{ name: string; mb: number }[]>`
    select relname as name, (pg_total_relation_size(oid) / 1048576)::integer as mb from pg_class
     where relkind = 'r' and relnamespace = current_schema()::regnamespace and relname in ('events', 'personal', 'history_terms')
     order by relname`;
  const sizes = rows.map(({ name, mb }) => `${name} ${mb} MB`).join(", ");
  return `${events} events of ${servers} servers, made in ${Math.round(seconds)} s (${Math.round(events / seconds)}/s, fsync off): ${sizes}`;
}
