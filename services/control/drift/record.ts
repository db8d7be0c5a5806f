import type { EventKeys } from "@sluice/db/log/event-body";
import { readById } from "@sluice/db/log/read";
import { driftRepeatTable } from "@sluice/db/schema/drift";
import { streamOf } from "@sluice/proto/events/event";
import type { Report, ReportBody } from "@sluice/proto/wire/report";
import { sql } from "drizzle-orm";
import { execute } from "../context/execute.ts";
import { uuidOf } from "../context/ids.ts";
import type { Context } from "../context/services.ts";
import { serverEntity } from "../servers/state.ts";
import { decideDrift } from "./decide.ts";

type DriftBody = Extract<ReportBody, { kind: "drift" }>;

/** A server's kernel differed. */
export async function recordDrift(ctx: Context, { server, id }: Report, body: DriftBody): Promise<void> {
  const { kind: _, ...detected } = body;
  const seed = `${server}/${id}`;
  if (await readById(ctx.database.db, uuidOf(`${seed}/0`))) return;
  const { state, events } = await execute(
    { ...ctx, actor: `agent:${server}` },
    {
      stream: streamOf.server(server),
      entity: serverEntity,
      reason: "",
      seed,
      keys: policyOf(detected.differences),
      decide: (now) => decideDrift(now, detected, ctx.clock.now().getTime()),
    },
  );
  if (events.length === 0 && state.drift) await countRepeat(ctx, state.drift.seq);
}

/** Where all that differs comes from one policy, the drift is found by its name. */
function policyOf(differences: DriftBody["differences"]): EventKeys {
  const [policy, ...others] = new Set(differences.map(({ origin }) => origin?.policy));
  return policy === undefined || others.length > 0 ? {} : { policy };
}

/** How often it came is no event. */
async function countRepeat({ database }: Context, seq: number): Promise<void> {
  await database.db
    .insert(driftRepeatTable)
    .values({ seq, count: 2 })
    .onConflictDoUpdate({
      target: driftRepeatTable.seq,
      set: { count: sql`${driftRepeatTable.count} + 1` },
    });
}
