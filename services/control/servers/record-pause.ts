import { streamOf } from "@sluice/proto/events/event";
import type { Report, ReportBody } from "@sluice/proto/wire/report";
import { execute } from "../context/execute.ts";
import type { Context } from "../context/services.ts";
import { decidePause } from "./decide.ts";
import { serverEntity } from "./state.ts";

type Of<K extends ReportBody["kind"]> = Extract<ReportBody, { kind: K }>;

/** Somebody paused or resumed the agent on the server itself. */
export async function recordPause(
  ctx: Context,
  { server, id }: Report,
  body: Of<"paused"> | Of<"resumed">,
): Promise<void> {
  const paused = body.kind === "paused";
  await execute(
    { ...ctx, actor: paused ? `${body.by}@${server}` : ctx.actor },
    {
      stream: streamOf.server(server),
      entity: serverEntity,
      reason: paused ? body.reason : "",
      seed: `${server}/${id}`,
      decide: (state) => decidePause(state, paused ? body.until : undefined),
    },
  );
}

/** The agent didn't obey something: a wrong signature, a lower generation, or a list's address that it protects. */
export async function recordRejected(
  ctx: Context,
  { server, id }: Report,
  body: Of<"rejected"> | Of<"skipped">,
): Promise<void> {
  const { what, reason } =
    body.kind === "rejected"
      ? body
      : {
          what: `list ${body.list} rev ${body.rev}`,
          reason: `these are protected on this server: ${body.entries.join(", ")}`,
        };
  await execute(ctx, {
    stream: streamOf.server(server),
    entity: serverEntity,
    reason: "",
    seed: `${server}/${id}`,
    decide: () => [{ type: "MessageRejected", data: { server, what, reason } }],
  });
}
