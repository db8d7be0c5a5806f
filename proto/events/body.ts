import { z } from "zod";

/** An event's body as far as proof looks into it; what somebody put in an event's place may hold anything. */
export const checkedBody = z.object({
  id: z.string(),
  stream: z.string(),
  streamVersion: z.number(),
  type: z.string(),
  schemaVersion: z.number(),
  keys: z.record(z.string(), z.string()),
  meta: z.object({ at: z.string(), correlation: z.string(), actor: z.string(), reason: z.string() }),
});
export type CheckedBody = z.infer<typeof checkedBody>;
