import type { assignmentTable } from "@sluice/db/schema/assignments";
import { rolloutTable } from "@sluice/db/schema/rollouts";
import type { RolloutServerView, RolloutView } from "@sluice/proto/api/rollouts";
import { SluiceError } from "@sluice/proto/base/errors";
import { eq } from "drizzle-orm";
import { holdersOf } from "../assignments/ls.ts";
import type { Context } from "../context/services.ts";
import { allServers, isTargeted } from "../servers/targeted.ts";
import { viewRow } from "./ls.ts";
import { toldUnder } from "./progress.ts";

type Told = typeof assignmentTable.$inferSelect;
type Row = typeof rolloutTable.$inferSelect;

export async function showRollout(ctx: Context, { rollout }: { rollout: string }): Promise<RolloutView> {
  const [row] = await ctx.database.db.select().from(rolloutTable).where(eq(rolloutTable.rollout, rollout));
  if (!row) throw new SluiceError("NOT_FOUND", `there is no rollout ${rollout}`);
  const told = await toldUnder(ctx, rollout);
  const servers = row.waves.flatMap((wave, index) =>
    wave.map((server) => viewServer(row, server, index + 1, told.get(server))),
  );
  return {
    ...viewRow(row, told),
    servers,
    ...(row.haltedBy !== null && { haltedBy: row.haltedBy }),
    inNoWave: await inNoWave(ctx, row),
  };
}

function viewServer(row: Row, server: string, wave: number, told: Told | undefined): RolloutServerView {
  const base = { server, wave, before: row.before[server] ?? 0 };
  if (told === undefined) return { ...base, state: row.state === "running" ? "waiting" : "unreached" };
  const { generation, outcome, refusal, stats, outcomeAt, provenUntil, at } = told;
  const isProven = outcome === null && provenUntil !== null && row.state === "running";
  const isSilent = outcome === null && row.state === "halted" && row.haltedBy === server;
  return {
    ...base,
    state: outcome ?? (isSilent ? "silent" : isProven ? "proven" : "converging"),
    ...(isProven && { until: provenUntil }),
    generation,
    ...(refusal && { refusal }),
    ...(stats && { stats }),
    at: outcomeAt ?? at,
  };
}

/** Servers that the policy targets, which this rollout doesn't reach and which don't have the revision. */
async function inNoWave(ctx: Context, { policy, revision, kind, waves }: Row): Promise<string[]> {
  if (revision === 0 || kind === "rollback") return [];
  const { targets } = await ctx.documents.of(ctx, policy, revision);
  const placed = new Set(waves.flat());
  const held = new Set(
    (await holdersOf(ctx, policy)).filter((one) => one.revision === revision).map(({ server }) => server),
  );
  return (await allServers(ctx))
    .filter((server) => isTargeted(targets, server))
    .map(({ server }) => server)
    .filter((server) => !placed.has(server) && !held.has(server));
}
