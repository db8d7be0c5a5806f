import { type Authenticator, connect, jwtAuthenticator, type NatsConnection } from "@nats-io/transport-node";
import type { Authority } from "./authority.ts";

export interface NatsLogin {
  urls: readonly string[];
  /** absent where the broker is somebody else's and takes plain connections */
  authority?: Authority | undefined;
}

/** Where control is logged in: one and the same connection where the broker takes plain ones. */
export interface Connections {
  /** where the streams are */
  streams: NatsConnection;
  /** where agents are */
  agents: NatsConnection;
}

export async function connectNats({ urls, authority }: NatsLogin): Promise<Connections> {
  if (authority === undefined) {
    const plain = await connectForGood(urls);
    return { streams: plain, agents: plain };
  }
  const { seed, streamsJwt, agentsJwt } = authority.control;
  const login = (jwt: string) => connectForGood(urls, jwtAuthenticator(jwt, new TextEncoder().encode(seed)));
  const [streams, agents] = await Promise.all([login(streamsJwt), login(agentsJwt)]);
  return { streams, agents };
}

/** Connects for ever: the first time as after every loss. */
async function connectForGood(
  urls: readonly string[],
  authenticator?: Authenticator,
): Promise<NatsConnection> {
  return await connect({
    servers: [...urls],
    name: "sluice-control",
    waitOnFirstConnect: true,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 250,
    reconnectJitter: 100,
    ...(authenticator && { authenticator }),
  });
}
