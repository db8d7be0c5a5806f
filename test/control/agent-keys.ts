import { createUser } from "@nats-io/nkeys";
import { createSigningKey } from "@sluice/proto/base/sign";

/** The public keys of an agent that asks to be enrolled. */
export function agentKeys(): { publicKey: string; natsKey: string } {
  return { publicKey: createSigningKey().publicKey, natsKey: createUser().getPublicKey() };
}
