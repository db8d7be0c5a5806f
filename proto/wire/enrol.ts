import { z } from "zod";
import { readPublicKey } from "../base/sign.ts";
import { uninstalled } from "./report.ts";

/** POST /enrol: a new agent trades its one-time token for a name, a NATS login and the keys to obey. */
export const enrolRequest = z.strictObject({
  token: z.string().min(1),
  /** the agent's report key: Ed25519 SPKI, base64 */
  publicKey: z.string().refine((text) => readPublicKey(text) !== undefined, "an Ed25519 public key"),
  /** the agent's NATS user nkey (`U…`) */
  natsKey: z.string().regex(/^U[A-Z2-7]{55}$/, "the public key of a NATS user"),
  /** the agent that was here before was uninstalled; control may not have heard of it */
  uninstalled: uninstalled.optional(),
});
export type EnrolRequest = z.infer<typeof enrolRequest>;

export const enrolReply = z.strictObject({
  server: z.string(),
  epoch: z.int().min(1),
  /** kid → public key of control: what the agent obeys */
  keys: z.record(z.string(), z.string()),
  nats: z.strictObject({ urls: z.array(z.string()), jwt: z.string().optional() }),
  /** addresses (`ip:port`, `[v6]:port`) of control and NATS that must stay reachable */
  control: z.array(z.string()),
});
export type EnrolReply = z.infer<typeof enrolReply>;
