import { z } from "zod";

/**
 * Who this agent is and whom it obeys: written once at enrolment, mode 0600. The keys are pinned: a message signed by
 * any other is refused, whatever the broker says.
 */
export const identity = z.strictObject({
  server: z.string(),
  epoch: z.int().min(1),
  keys: z.record(z.string(), z.string()),
  nats: z.strictObject({ urls: z.array(z.string()).min(1), jwt: z.string().optional() }),
  /** `ip:port` and `[v6]:port` of control and NATS, kept reachable by the control set */
  control: z.array(z.string()),
  reportKey: z.strictObject({ kid: z.string(), publicKey: z.string(), privateKey: z.string() }),
  natsSeed: z.string(),
});
export type Identity = z.infer<typeof identity>;
