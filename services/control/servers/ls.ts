import { driftTable } from "@sluice/db/schema/drift";
import { serverTable } from "@sluice/db/schema/servers";
import type { listServersInput, ServerRowView, ServerState } from "@sluice/proto/api/servers";
import { and, asc, eq } from "drizzle-orm";
import type { z } from "zod";
import { type Standing, standings } from "../assignments/ls.ts";
import type { Context } from "../context/services.ts";

type ServerRow = typeof serverTable.$inferSelect;
type DriftRow = typeof driftTable.$inferSelect;

export async function listServers(
  ctx: Context,
  { labels }: z.output<typeof listServersInput>,
): Promise<ServerRowView[]> {
  const [rows, standing, drift] = await Promise.all([
    ctx.database.db.select().from(serverTable).orderBy(asc(serverTable.server)),
    standings(ctx),
    currentDrift(ctx),
  ]);
  return rows
    .filter((row) => Object.entries(labels).every(([key, value]) => row.labels[key] === value))
    .map((row) => viewServerRow(ctx, row, standing.get(row.server), drift.get(row.server)));
}

/** A pulse came lately. */
export function isConnected({ pulses, clock, timings }: Context, server: string): boolean {
  const last = pulses.of(server);
  return last !== undefined && clock.now().getTime() - Date.parse(last.at) <= timings.disconnectedAfterMs;
}

/** What differs now on each server, as far as is known: a later pulse without differences ends it. */
export async function currentDrift(ctx: Context, server?: string): Promise<Map<string, DriftRow>> {
  const own = server === undefined ? undefined : eq(driftTable.server, server);
  const rows = await ctx.database.db
    .select()
    .from(driftTable)
    .where(and(eq(driftTable.current, true), own));
  return new Map(rows.filter((row) => !mendedSince(ctx, row)).map((row) => [row.server, row]));
}

/** Pulses and reports come by different ways: a pulse from before the drift may be heard after its report. */
const PULSE_UNDER_WAY_MS = 1_000;

function mendedSince({ pulses }: Context, { server, at }: DriftRow): boolean {
  const last = pulses.of(server);
  if (last === undefined || last.pulse.differences > 0) return false;
  if (last.pulse.state !== "idle" && last.pulse.state !== "paused") return false;
  return Date.parse(last.at) > Date.parse(at) + PULSE_UNDER_WAY_MS;
}

export function viewServerRow(
  ctx: Context,
  row: ServerRow,
  standing: Standing | undefined,
  drift: DriftRow | undefined,
): ServerRowView {
  const { server, labels, pausedUntil, uninstalledAt } = row;
  const last = ctx.pulses.of(server);
  const paused = pausedUntil !== null && pausedUntil > ctx.clock.now().toISOString();
  const isNews = drift !== undefined && (last === undefined || drift.at > last.at);
  const reported = drift?.differences.length ?? 0;
  const differing = isNews ? reported : last?.pulse.differences || reported;
  const differences = uninstalledAt === null ? differing : 0;
  return {
    ...{ server, labels },
    state: stateOf({ row, standing, paused, differences }),
    connected: isConnected(ctx, server),
    ...(last && { lastSeenAt: last.at, agent: last.pulse.state }),
    assigned: standing?.newest.assigned ?? [],
    epoch: standing?.newest.epoch ?? ctx.epoch,
    generation: standing?.newest.generation ?? 0,
    confirmedGeneration: standing?.confirmed?.generation ?? 0,
    differences,
    ...(paused && { pausedUntil }),
    ...(uninstalledAt !== null && { uninstalledAt }),
  };
}

function stateOf({
  row,
  standing,
  paused,
  differences,
}: {
  row: ServerRow;
  standing: Standing | undefined;
  paused: boolean;
  differences: number;
}): ServerState {
  if (row.enrolledAt === null) return "added";
  if (row.uninstalledAt !== null) return "uninstalled";
  if (paused) return "paused";
  switch (standing?.newest.outcome) {
    case undefined:
      return "empty";
    case null:
      return "converging";
    case "refused":
    case "reverted":
      return "failed";
    case "confirmed":
      if (differences > 0) return "drifted";
      return standing?.newest.assigned.length === 0 ? "empty" : "converged";
  }
}
