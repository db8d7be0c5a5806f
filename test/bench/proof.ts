import type { Database } from "@sluice/db/connect";
import { growTree } from "@sluice/db/log/tree";
import { verify } from "@sluice/db/log/verify";
import type { Bench, BenchContext, BenchFindings } from "./bench.ts";
import { row } from "./figures.ts";
import { withFleetYear } from "./fleet-year/with-year.ts";

const EVENTS = 100_000;

/** What proving costs: the Merkle tree's growth, which is beside every append, and the check of the whole log. */
export const proof: Bench = {
  name: "proof",
  what: "the Merkle tree grown over a log of 100k events, and chain, columns and tree of all of it verified, by one process",
  runs: 1,
  run: (context) =>
    withFleetYear(context, EVENTS, async (database) => await measureProof(context, database, "100k")),
};

export async function measureProof(
  context: BenchContext,
  database: Database,
  size: string,
): Promise<BenchFindings> {
  const { sql, db } = database;
  const grown: number[] = [];
  const ofTree: number[] = [];
  const verified: number[] = [];
  const ofCheck: number[] = [];
  for (let count = 0; count < context.runs && !context.signal.aborted; count += 1) {
    context.progress(`${size} events: tree`);
    await sql`truncate merkle_tiles`;
    await sql`delete from checkpoints where name = 'tree'`;
    const tree = await timed(() => growTree(database));
    grown.push((tree.result * 1000) / tree.tookMs);
    ofTree.push(tree.cpuUs / tree.result);
    context.progress(`${size} events: check of all`);
    const check = await timed(() => verify(db, { signal: context.signal }));
    const { events, findings } = check.result;
    if (findings.length > 0) throw new Error(`the log isn't whole: ${findings[0]?.message}`);
    verified.push((events * 1000) / check.tookMs);
    ofCheck.push(check.cpuUs / events);
  }
  return {
    rows: [
      row(`${size}: tree grown`, "events/s", grown),
      row(`${size}: tree grown, CPU of Node for an event`, "µs", ofTree),
      row(`${size}: chain, columns and tree verified`, "events/s", verified),
      row(`${size}: verified, CPU of Node for an event`, "µs", ofCheck),
    ],
    ratios: [],
    notes: [],
  };
}

async function timed<T>(work: () => Promise<T>): Promise<{ result: T; tookMs: number; cpuUs: number }> {
  const cpu = process.cpuUsage();
  const begun = performance.now();
  const result = await work();
  const { user, system } = process.cpuUsage(cpu);
  return { result, tookMs: performance.now() - begun, cpuUs: user + system };
}
