import { randomUUID } from "node:crypto";
import type { Database } from "@sluice/db/connect";
import { Appender } from "@sluice/db/log/append";
import { control } from "@sluice/db/projections/control";
import { past } from "@sluice/db/projections/past";
import { Projector } from "@sluice/db/projections/projector";
import { rebuild as rebuildBeside } from "@sluice/db/projections/rebuild";
import { assignmentTable } from "@sluice/db/schema/assignments";
import { listTable } from "@sluice/db/schema/lists";
import { streamOf } from "@sluice/proto/events/event";
import { upcast } from "@sluice/proto/events/upcast";
import { eq } from "drizzle-orm";
import type { Bench, BenchContext, BenchFindings } from "./bench.ts";
import { row } from "./figures.ts";
import { withFleetYear } from "./fleet-year/with-year.ts";

const EVENTS = 100_000;

/** The tables beside the log made again from its events, while events come in and are asked for. */
export const rebuild: Bench = {
  name: "rebuild",
  what: "control's tables and those of the past made again beside the live ones, of 100k events, while others append and read",
  runs: 1,
  run: (context) =>
    withFleetYear(context, EVENTS, async (database) => await measureRebuild(context, database, "100k")),
};

export async function measureRebuild(
  context: BenchContext,
  database: Database,
  size: string,
): Promise<BenchFindings> {
  const findings: BenchFindings = { rows: [], ratios: [], notes: [] };
  for (const projection of [control, past]) {
    context.progress(`${size} events: rebuild of ${projection.name}`);
    const rates: number[] = [];
    const traffic = startTraffic(database);
    const cpu = process.cpuUsage();
    try {
      for (let count = 0; count < context.runs && !context.signal.aborted; count += 1) {
        const { seq, elapsedMs } = await rebuildBeside(database, projection, {
          upcast,
          signal: context.signal,
        });
        rates.push((seq * 1000) / elapsedMs);
      }
    } finally {
      await traffic.stop();
    }
    const { user, system } = process.cpuUsage(cpu);
    const { latenciesMs, wrong } = traffic;
    findings.rows.push(row(`${size}: rebuilt, ${projection.name}`, "events/s", rates));
    findings.rows.push(row(`${size}: appended and seen meanwhile`, "ms", latenciesMs));
    findings.notes.push(
      `${size}, ${projection.name}: ${latenciesMs.length} appended meanwhile, ${wrong.length} wrong answers${wrong.slice(0, 3).join("; ")}; ${Math.round((user + system) / 1000)} ms of CPU in this process, the traffic's included`,
    );
  }
  return findings;
}

/** One that appends, waits until it is projected, and asks for it; and that never finds fewer rows than before. */
function startTraffic(database: Database) {
  const appender = new Appender(database);
  const projector = new Projector(database, { projections: [control, past], upcast });
  const latenciesMs: number[] = [];
  const wrong: string[] = [];
  let over = false;
  const running = (async () => {
    let least = 0;
    while (!over) {
      const list = `b-${randomUUID().slice(0, 8)}`;
      const begun = performance.now();
      const verdict = await appender.append({
        stream: streamOf.list(list),
        expected: 0,
        events: [created(list)],
      });
      if (verdict.outcome !== "stored") throw new Error(`${list} was there already`);
      await projector.waitFor(verdict.seqs[0] ?? 0);
      const [found] = await database.db.select().from(listTable).where(eq(listTable.list, list));
      latenciesMs.push(performance.now() - begun);
      if (found === undefined) wrong.push(`${list} isn't there`);
      if (latenciesMs.length % 50 !== 1) continue;
      const rows = await database.db.$count(assignmentTable);
      if (rows < least) wrong.push(`${rows} assignments, of ${least}`);
      least = Math.max(least, rows);
    }
  })();
  running.catch(() => {});
  return {
    latenciesMs,
    wrong,
    async stop() {
      over = true;
      await running;
      await appender.close();
    },
  };
}

function created(list: string) {
  return {
    id: randomUUID(),
    type: "ListCreated",
    schemaVersion: 1,
    data: { list, families: [4], description: "" },
    meta: { at: new Date().toISOString(), actor: "bench", reason: "live traffic", correlation: list },
    keys: { list },
  };
}
