import { Socket } from "node:net";

/** What postgres.js says of where to connect to: one host after the other, or a UNIX socket. */
export interface Destination {
  host: readonly string[];
  port: readonly number[];
  path?: string | undefined;
}

/**
 * Sockets for a client of postgres.js (3.4.9), which always close as if nothing had been wrong. After an error it rejects
 * what is under way, and when the socket then closes it looks for nothing more: a statement that came to the connection
 * in between would wait for ever. After a close without an error it looks.
 */
export function createSockets(): (to: Destination) => Socket {
  let turn = 0;
  return ({ host, port, path }) => {
    const socket = new Socket();
    const emit = socket.emit.bind(socket);
    const calmly = (event: string, ...given: unknown[]) =>
      event === "close" ? emit("close", false) : emit(event, ...given);
    Object.defineProperty(socket, "emit", { value: calmly });
    const at = turn++ % Math.max(1, host.length);
    if (path) socket.connect(path);
    else socket.connect(port[at] ?? 5432, host[at] ?? "localhost");
    return socket;
  };
}
