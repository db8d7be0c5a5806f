import { connect, jwtAuthenticator, type NatsConnection } from "@nats-io/transport-node";
import type { Authority } from "./authority.ts";

export interface NatsLogin {
  urls: readonly string[];
  /** absent where the broker is somebody else's and takes plain connections */
  authority?: Authority | undefined;
}

/** Connects for ever: the first time as after every loss. */
export async function connectNats(login: NatsLogin): Promise<NatsConnection> {
  const { urls, authority } = login;
  return await connect({
    servers: [...urls],
    name: "sluice-control",
    waitOnFirstConnect: true,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 250,
    reconnectJitter: 100,
    ...(authority === undefined
      ? {}
      : {
          authenticator: jwtAuthenticator(
            authority.controlJwt,
            new TextEncoder().encode(authority.controlSeed),
          ),
        }),
  });
}
