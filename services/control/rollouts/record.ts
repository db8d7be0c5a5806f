import { streamOf } from "@sluice/proto/events/event";
import type { Report, ReportBody } from "@sluice/proto/wire/report";
import { decideOutcome } from "../assignments/decide.ts";
import { reconsider } from "../assignments/reconsider.ts";
import { revertAssignment } from "../assignments/revert.ts";
import { execute, load } from "../context/execute.ts";
import { asSluice, type Context } from "../context/services.ts";
import { serverEntity } from "../servers/state.ts";
import { advanceRollout } from "./advance.ts";
import { rolloutEntity } from "./decide.ts";

type OutcomeBody = Extract<ReportBody, { kind: "outcome" }>;

/**
 * A server says what came of a generation. Recorded once, however often it says so; what follows from it (the old
 * content back after a failure, the rollout's next step, facts and labels that changed meanwhile) is made again each
 * time, in case it was cut short before.
 */
export async function recordOutcome(
  asked: Context,
  { server, id }: Report,
  body: OutcomeBody,
): Promise<void> {
  const { generation, result } = body;
  const stream = streamOf.server(server);
  const { state: before } = await load(asked, stream, serverEntity);
  const told = before.open.find((open) => open.generation === generation);
  const rollout = told === undefined ? body.rollout : told.rollout;
  const started =
    rollout === undefined ? undefined : (await load(asked, streamOf.rollout(rollout), rolloutEntity)).state;
  const ctx = asSluice(asked, started?.correlation || asked.correlation);
  await execute(
    { ...ctx, actor: `agent:${server}` },
    {
      stream,
      entity: serverEntity,
      reason: "",
      keys: { policy: started?.policy || undefined },
      seed: `${server}/${id}`,
      decide: (state) => decideOutcome(state, body),
    },
  );
  if (result !== "confirmed") {
    const reason = `generation ${generation} was ${result}: ${body.refusal?.reason ?? ""}`;
    await revertAssignment(ctx, { server, failed: generation, rollout, reason });
  }
  if (rollout !== undefined) await advanceRollout(ctx, rollout);
  const reason = `its facts or labels changed while generation ${generation} was under way`;
  await reconsider(asked, server, { after: "outcome", reason });
}
