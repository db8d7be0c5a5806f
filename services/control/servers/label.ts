import type { LabelServerView, labelServerInput } from "@sluice/proto/api/servers";
import { formatProblem } from "@sluice/proto/base/errors";
import { streamOf } from "@sluice/proto/events/event";
import type { z } from "zod";
import { reconsider } from "../assignments/reconsider.ts";
import { execute } from "../context/execute.ts";
import type { Context } from "../context/services.ts";
import { decideLabel, mustExist } from "./decide.ts";
import { serverEntity } from "./state.ts";

/** Changes labels; where that changes what the server must hold, it is told so, once no generation is under way. */
export async function labelServer(
  ctx: Context,
  { server, set, unset, reason }: z.output<typeof labelServerInput>,
): Promise<LabelServerView> {
  const { state } = await execute(ctx, {
    stream: streamOf.server(server),
    entity: serverEntity,
    reason,
    decide(before) {
      mustExist(before, server);
      return decideLabel(before, { set, unset });
    },
  });
  const result = await reconsider(ctx, server, { after: "labels", reason });
  return {
    server,
    labels: { ...state.labels },
    ...(result.kind === "decided" ? { generation: result.generation } : {}),
    ...(result.kind === "waits" ? { waitsFor: result.generation } : {}),
    ...(result.kind === "refused" ? { problem: result.problems.map(formatProblem).join("\n") } : {}),
  };
}
