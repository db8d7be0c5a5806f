import { join } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { type Authority, createAuthority, natsServerConfig } from "@sluice/control/link/authority";
import { STREAM_NAMES } from "@sluice/proto/wire/subjects";
import { type NatsServer, startNats } from "../fixtures/nats.ts";
import type { HostPlan } from "../net/fabric-plan.ts";
import { startRelayIn } from "../net/namespace-relay.ts";
import { relayUnixToTcp } from "../net/relay.ts";

export interface Broker extends AsyncDisposable {
  readonly server: NatsServer;
  /** as everybody in the lab reaches it */
  readonly url: string;
  /** absent where the broker is somebody else's and takes plain connections */
  readonly authority: Authority | undefined;
}

const PORT = 4222;

/** A NATS of the lab's own on the host `control`, or the one of NATS_URL, reached through there. */
export async function startBroker(
  home: HostPlan,
  folder: string,
  signal: AbortSignal | undefined,
): Promise<Broker> {
  return process.env.NATS_URL ? await useGiven(home, folder) : await startOwn(home, signal);
}

async function startOwn(home: HostPlan, signal: AbortSignal | undefined): Promise<Broker> {
  const authority = await createAuthority();
  const server = await startNats({
    own: true,
    namespace: home.namespace,
    host: home.ipv4,
    port: PORT,
    config: natsServerConfig(authority),
    signal,
  });
  return { server, url: server.url, authority, [Symbol.asyncDispose]: () => server.stop() };
}

/**
 * Somebody's broker: it must hold no streams of Sluice, because a lab begins at generation 1, and it holds none
 * afterwards, because what a lab left would stand in the way of the next.
 */
async function useGiven(home: HostPlan, folder: string): Promise<Broker> {
  await using stack = new AsyncDisposableStack();
  const server = await startNats();
  stack.defer(() => server.stop());
  const connection = await connect({ servers: server.url });
  stack.defer(() => connection.close());
  const found = await streamsOf(connection);
  if (found.length > 0) {
    const names = found.join(", ");
    throw new Error(
      `the NATS of NATS_URL holds streams of a Sluice already (${names}); give one that doesn't`,
    );
  }
  stack.defer(() => removeStreams(connection));
  const given = new URL(server.url.includes("://") ? server.url : `nats://${server.url}`);
  const socketPath = join(folder, "nats.sock");
  const host = given.hostname.replace(/^\[|\]$/g, "");
  stack.use(await relayUnixToTcp({ socketPath, host, port: server.port }));
  stack.use(
    await startRelayIn(home.namespace, { direction: "to-socket", socketPath, host: home.ipv4, port: PORT }),
  );
  const owned = stack.move();
  return {
    server,
    url: `nats://${home.ipv4}:${PORT}`,
    authority: undefined,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function streamsOf(connection: NatsConnection): Promise<string[]> {
  const manager = await jetstreamManager(connection);
  const names: string[] = [];
  for await (const name of manager.streams.names()) if (STREAM_NAMES.includes(name)) names.push(name);
  return names;
}

async function removeStreams(connection: NatsConnection): Promise<void> {
  const manager = await jetstreamManager(connection);
  for (const name of await streamsOf(connection)) await manager.streams.delete(name);
}
