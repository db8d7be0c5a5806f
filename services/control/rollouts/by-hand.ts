import type { assignmentTable } from "@sluice/db/schema/assignments";
import type { confirmRolloutInput, RolloutView } from "@sluice/proto/api/rollouts";
import { SluiceError } from "@sluice/proto/base/errors";
import { streamOf } from "@sluice/proto/events/event";
import type { ConfirmReply } from "@sluice/proto/wire/envelope";
import type { z } from "zod";
import { execute, load } from "../context/execute.ts";
import { asSluice, type Context } from "../context/services.ts";
import { serverEntity } from "../servers/state.ts";
import { type RolloutState, rolloutEntity } from "./decide.ts";
import { toldUnder } from "./progress.ts";
import { showRollout } from "./show.ts";

type Told = typeof assignmentTable.$inferSelect;

/**
 * A rollout that people confirm: each server applies, proves that it is reached, and goes on asking. It hears a yes once a
 * person has said so, a no when the rollout halts, and undoes by itself when its time is over.
 */
export async function permitByHand(ctx: Context, told: Told): Promise<ConfirmReply> {
  const { server, rollout, provenUntil } = told;
  if (rollout === null) return { ok: true };
  const { state } = await load(ctx, streamOf.rollout(rollout), rolloutEntity);
  if (state.byHandMs === undefined || state.confirmed.includes(server)) return { ok: true };
  if (state.ended === "halted") return { ok: false, reason: `${rollout} halted before anybody confirmed it` };
  const until = provenUntil ?? (await recordProven(asSluice(ctx, state.correlation), told, state.byHandMs));
  return { ok: false, waits: true, reason: `${rollout} is confirmed by hand, until ${until}` };
}

async function recordProven(
  ctx: Context,
  { server, generation, rollout }: Told,
  byHandMs: number,
): Promise<string> {
  const until = new Date(ctx.clock.now().getTime() + byHandMs).toISOString();
  await execute(
    { ...ctx, actor: `agent:${server}` },
    {
      stream: streamOf.server(server),
      entity: serverEntity,
      reason: "",
      keys: { rollout: rollout ?? undefined },
      seed: `proven ${server}/${generation}`,
      decide: ({ open }) =>
        rollout !== null && open.some((one) => one.generation === generation)
          ? [{ type: "ServerProven", data: { server, generation, rollout, until } }]
          : [],
    },
  );
  return until;
}

/** Somebody has looked: the servers that wait, or those that are named, may keep what they have applied. */
export async function confirmRollout(
  ctx: Context,
  { rollout, servers, reason }: z.output<typeof confirmRolloutInput>,
): Promise<RolloutView> {
  const now = ctx.clock.now().toISOString();
  const waiting = [...(await toldUnder(ctx, rollout)).values()]
    .filter(({ outcome, provenUntil }) => outcome === null && provenUntil !== null && provenUntil > now)
    .map(({ server }) => server);
  await execute(ctx, {
    stream: streamOf.rollout(rollout),
    entity: rolloutEntity,
    reason,
    decide: (state) => {
      mustBeByHand(state, rollout);
      const open = waiting.filter((server) => !state.confirmed.includes(server));
      const early = servers?.filter((server) => !waiting.includes(server)) ?? [];
      if (early.length > 0)
        throw new SluiceError("REFUSED", `${early.join(", ")} doesn't wait to be confirmed`);
      const wanted = servers?.filter((server) => open.includes(server)) ?? open;
      if (wanted.length === 0)
        throw new SluiceError("REFUSED", `no server of ${rollout} waits to be confirmed`);
      return [{ type: "RolloutConfirmed", data: { rollout, servers: wanted } }];
    },
  });
  return await showRollout(ctx, { rollout });
}

function mustBeByHand(state: RolloutState, rollout: string): void {
  if (state.rollout === "") throw new SluiceError("NOT_FOUND", `there is no rollout ${rollout}`);
  if (state.ended !== "no") throw new SluiceError("REFUSED", `${rollout} has ${state.ended}`);
  if (state.byHandMs === undefined)
    throw new SluiceError("REFUSED", `${rollout} isn't confirmed by hand: its servers confirm by themselves`);
}
