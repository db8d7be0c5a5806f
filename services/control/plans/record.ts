import { messageOf } from "@sluice/proto/base/errors";
import { streamOf } from "@sluice/proto/events/event";
import type { Report, ReportBody } from "@sluice/proto/wire/report";
import { execute, load } from "../context/execute.ts";
import { asSluice, type Context } from "../context/services.ts";
import { decideAnswer, planEntity } from "./decide.ts";

type PlanBody = Extract<ReportBody, { kind: "plan" }>;

/** A server answers a plan. */
export async function recordPlanAnswer(
  asked: Context,
  { server, id }: Report,
  body: PlanBody,
): Promise<void> {
  const { plan, digest: manifest, result, refusal, differences, warnings } = body;
  const stream = streamOf.plan(plan);
  const { state } = await load(asked, stream, planEntity);
  const ctx = asSluice(asked, state.correlation || asked.correlation);
  await execute(
    { ...ctx, actor: `agent:${server}` },
    {
      stream,
      entity: planEntity,
      reason: "",
      keys: { policy: state.policy || undefined },
      seed: `${server}/${id}`,
      decide: (now) => decideAnswer(now, { server, manifest, result, refusal, differences, warnings }),
    },
  );
  ctx.link
    .dropPlan(server, plan)
    .catch((error) => ctx.log.warn({ plan, server, error: messageOf(error) }, "a plan wasn't dropped"));
}
