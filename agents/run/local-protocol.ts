import { difference } from "@sluice/proto/manifest/difference";
import { agentState, listFill } from "@sluice/proto/wire/report";
import { z } from "zod";
import { issue, paused } from "../state/schemas.ts";

/** What the commands on the server ask the running agent, over a socket in the state folder: one JSON line each way. */
export const localRequest = z.discriminatedUnion("what", [
  z.strictObject({ what: z.literal("status") }),
  z.strictObject({ what: z.literal("diff") }),
  z.strictObject({ what: z.literal("pause"), until: z.string(), reason: z.string(), by: z.string() }),
  z.strictObject({ what: z.literal("resume") }),
  z.strictObject({ what: z.literal("revert"), by: z.string() }),
  z.strictObject({ what: z.literal("stop") }),
]);
export type LocalRequest = z.infer<typeof localRequest>;

export const status = z.strictObject({
  server: z.string(),
  running: z.boolean(),
  connected: z.boolean(),
  state: agentState,
  /** what is held, confirmed; absent: nothing yet */
  holds: issue.optional(),
  policies: z.array(z.strictObject({ policy: z.string(), revision: z.int() })),
  lists: z.record(z.string(), z.int()),
  fill: z.record(z.string(), listFill).optional(),
  paused: paused.optional(),
  differences: z.array(difference),
});
export type Status = z.infer<typeof status>;

export const localReply = z.discriminatedUnion("what", [
  z.strictObject({ what: z.literal("status"), status }),
  z.strictObject({ what: z.literal("diff"), differences: z.array(difference) }),
  z.strictObject({ what: z.literal("done"), message: z.string() }),
  /** understood, and not done */
  z.strictObject({ what: z.literal("refused"), reason: z.string() }),
]);
export type LocalReply = z.infer<typeof localReply>;
