import {
  type ConnectionOptions,
  connect,
  jwtAuthenticator,
  type NatsConnection,
} from "@nats-io/transport-node";
import { inboxPrefix } from "@sluice/proto/wire/permissions";
import type { Identity } from "./identity.ts";

/** The agent's lasting connection: made and made again for ever, spread over time so that a fleet doesn't storm. */
export async function connectForGood(identity: Identity): Promise<NatsConnection> {
  return await connect({
    ...common(identity),
    waitOnFirstConnect: true,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 500,
    reconnectJitter: 1_500,
    pingInterval: 20_000,
  });
}

/** One connection for one question: fails at once, and is closed by the caller. */
export async function connectOnce(identity: Identity, timeoutMs: number): Promise<NatsConnection> {
  return await connect({ ...common(identity), reconnect: false, timeout: timeoutMs });
}

function common(identity: Identity): ConnectionOptions {
  const { jwt, urls } = identity.nats;
  return {
    servers: urls,
    name: `sluice-agent ${identity.server}`,
    inboxPrefix: inboxPrefix(identity.server),
    ...(jwt === undefined
      ? {}
      : { authenticator: jwtAuthenticator(jwt, new TextEncoder().encode(identity.natsSeed)) }),
  };
}
