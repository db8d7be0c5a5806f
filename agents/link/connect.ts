import { type ConnectionOptions, connect, type NatsConnection } from "@nats-io/transport-node";
import { inboxPrefix } from "@sluice/proto/wire/permissions";
import { reconnectWaitMs } from "./backoff.ts";
import type { Identity } from "./identity.ts";
import { natsLogin } from "./nats-login.ts";

/**
 * The agent's lasting connection: made and made again for ever. Each wait is about as long as it has been away, so a short
 * outage is over soon, a long one is asked about seldom, and a fleet that lost it together doesn't come back as a storm.
 */
export async function connectForGood(identity: Identity): Promise<NatsConnection> {
  let lostAtMs = performance.now();
  const connection = await connect({
    ...common(identity),
    waitOnFirstConnect: true,
    maxReconnectAttempts: -1,
    reconnectDelayHandler: () => reconnectWaitMs(performance.now() - lostAtMs),
    pingInterval: 20_000,
  });
  void (async () => {
    for await (const { type } of connection.status()) if (type === "disconnect") lostAtMs = performance.now();
  })();
  return connection;
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
    ...(jwt === undefined ? {} : { authenticator: natsLogin(jwt, identity.natsSeed) }),
  };
}
