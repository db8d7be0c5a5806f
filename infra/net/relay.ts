/**
 * Passes connections between a UNIX socket and TCP. A socket by path is reached from every network namespace, so this
 * is the way into a namespace that needs no device and no rule.
 */
import { once } from "node:events";
import { rmSync } from "node:fs";
import { connect, createServer, type NetConnectOpts, type Server, type Socket } from "node:net";

export interface Relay extends AsyncDisposable {
  stop(): Promise<void>;
}

export interface TcpRelay extends Relay {
  readonly port: number;
}

/** Listens on TCP (127.0.0.1 unless said, any free port if 0) and passes each connection to the socket. */
export async function relayTcpToUnix(options: {
  listenPort: number;
  listenHost?: string;
  socketPath: string;
}): Promise<TcpRelay> {
  const { listenPort, listenHost = "127.0.0.1", socketPath } = options;
  const relay = await startRelay({ path: socketPath }, (server) => server.listen(listenPort, listenHost));
  const address = relay.server.address();
  const port = address !== null && typeof address === "object" ? address.port : listenPort;
  return { port, stop: relay.stop, [Symbol.asyncDispose]: relay.stop };
}

/** Listens on the socket, whose stale file is removed, and passes each connection to TCP. */
export async function relayUnixToTcp(options: {
  socketPath: string;
  host: string;
  port: number;
}): Promise<Relay> {
  const { socketPath, host, port } = options;
  rmSync(socketPath, { force: true });
  const relay = await startRelay({ host, port }, (server) => server.listen(socketPath));
  return { stop: relay.stop, [Symbol.asyncDispose]: relay.stop };
}

async function startRelay(target: NetConnectOpts, listen: (server: Server) => void) {
  const open = new Set<Socket>();
  // Half-open on both sides: one that has said all it had to say may still be answered.
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    const far = connect({ ...target, allowHalfOpen: true, noDelay: true });
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(one);
      one.on("close", () => open.delete(one));
      one.on("error", () => other.destroy());
      one.pipe(other);
    }
  });
  listen(server);
  await once(server, "listening");

  async function stop() {
    if (!server.listening) return;
    server.close();
    for (const socket of open) socket.destroy();
    await once(server, "close");
  }
  return { server, stop };
}
