import { assignmentTable } from "@sluice/db/schema/assignments";
import { rolloutTable } from "@sluice/db/schema/rollouts";
import { asc, eq } from "drizzle-orm";
import { standings } from "../assignments/ls.ts";
import { deadlineMsOf } from "../assignments/manifests.ts";
import type { Context } from "../context/services.ts";
import type { Progress } from "./decide.ts";

type Row = typeof assignmentTable.$inferSelect;

/** The generation that each server was last told under a rollout, by server. */
export async function toldUnder({ database }: Context, rollout: string): Promise<Map<string, Row>> {
  const rows = await database.db
    .select()
    .from(assignmentTable)
    .where(eq(assignmentTable.rollout, rollout))
    .orderBy(asc(assignmentTable.generation));
  return new Map(rows.map((row) => [row.server, row]));
}

export async function progressOf(
  ctx: Context,
  rollout: string,
  wave: readonly string[],
): Promise<Progress[]> {
  const told = await toldUnder(ctx, rollout);
  return await Promise.all(
    wave.map(async (server) => {
      const row = told.get(server);
      if (row === undefined) return { server, told: false, overdue: false };
      return {
        server,
        told: true,
        outcome: row.outcome ?? undefined,
        because: row.refusal?.reason,
        overdue: row.outcome === null && (await isOverdue(ctx, row)),
      };
    }),
  );
}

/** A server had the time its manifest gives it from the first write to confirmed, and a grace, and could be heard. */
export async function isOverdue(ctx: Context, { at, manifest, rollout }: Row): Promise<boolean> {
  const { listening, timings, deadlines } = ctx;
  const heardMs = listening.heardMs(Date.parse(at));
  if (heardMs <= timings.silenceGraceMs) return false;
  const deadlineMs = deadlines.get(manifest) ?? (await deadlineMsOf(ctx, manifest));
  deadlines.set(manifest, deadlineMs);
  const lateMs = heardMs - deadlineMs - timings.silenceGraceMs;
  return lateMs > 0 && lateMs > (await byHandMsOf(ctx, rollout));
}

/** How long people may take to confirm under a rollout; 0: they aren't asked. */
export async function byHandMsOf({ database }: Context, rollout: string | null): Promise<number> {
  if (rollout === null) return 0;
  const [row] = await database.db
    .select({ byHandMs: rolloutTable.byHandMs })
    .from(rolloutTable)
    .where(eq(rolloutTable.rollout, rollout));
  return row?.byHandMs ?? 0;
}

/** What servers were told last under some rollout, without an outcome and past their time. */
export async function overdueServers(ctx: Context): Promise<Row[]> {
  const open = [...(await standings(ctx)).values()]
    .map(({ newest }) => newest)
    .filter(({ outcome, rollout }) => outcome === null && rollout !== null);
  const overdue = await Promise.all(open.map((row) => isOverdue(ctx, row)));
  return open.filter((_, index) => overdue[index]);
}
