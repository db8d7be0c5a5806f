import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { createServer, isIPv6, type Server, type Socket } from "node:net";
import type { Requests } from "./station-protocol.ts";

export interface Listener {
  port: number;
  /** Source addresses of what was heard, in order. */
  from: string[];
  /** Payload bytes heard. */
  bytes: () => number;
  close(): Promise<void>;
}

/** Sources of a socket of both families are written as IPv4 where they are. */
function plainAddress(address: string | undefined): string {
  return (address ?? "").replace(/^::ffff:/, "");
}

export function listen(input: Requests["listen"]): Promise<Listener> {
  switch (input.service.kind) {
    case "udp-echo":
    case "udp-silent":
      return listenUdp(input, input.service.kind === "udp-echo");
    case "http":
      return listenTcp(input, createHttpServerOf(input.service.bytes));
    case "bytes": {
      const page = Buffer.alloc(input.service.bytes, "s");
      return listenTcp(
        input,
        createServer((socket) => socket.end(page)),
      );
    }
    case "echo":
      return listenTcp(
        input,
        createServer((socket) => socket.pipe(socket)),
      );
    case "accept":
      return listenTcp(
        input,
        createServer((socket) => socket.resume()),
      );
  }
}

function createHttpServerOf(bytes: number): Server {
  const page = Buffer.alloc(bytes, "s");
  return createHttpServer((_request, response) => {
    response.writeHead(200, { "content-type": "application/octet-stream", "content-length": bytes });
    response.end(page);
  });
}

async function listenTcp(input: Requests["listen"], server: Server): Promise<Listener> {
  const open = new Set<Socket>();
  const from: string[] = [];
  let ended = 0;
  server.on("connection", (socket) => {
    from.push(plainAddress(socket.remoteAddress));
    open.add(socket);
    socket.on("error", () => {}); // a reset by the other side is part of the tests
    socket.on("close", () => {
      open.delete(socket);
      ended += socket.bytesRead;
    });
  });
  server.listen({ port: input.port, host: input.address ?? "::", backlog: 4096 });
  await once(server, "listening");
  const address = server.address();
  return {
    port: address !== null && typeof address === "object" ? address.port : input.port,
    from,
    bytes: () => [...open].reduce((sum, socket) => sum + socket.bytesRead, ended),
    async close() {
      server.close();
      for (const socket of open) socket.destroy();
      await once(server, "close");
    },
  };
}

async function listenUdp(input: Requests["listen"], answers: boolean): Promise<Listener> {
  const socket = createSocket(isIPv6(input.address ?? "::") ? "udp6" : "udp4");
  const from: string[] = [];
  let bytes = 0;
  socket.on("message", (message, sender) => {
    from.push(plainAddress(sender.address));
    bytes += message.length;
    if (answers) socket.send(message, sender.port, sender.address, () => {});
  });
  socket.bind(input.port, input.address ?? "::");
  await once(socket, "listening");
  return {
    port: socket.address().port,
    from,
    bytes: () => bytes,
    async close() {
      socket.close();
      await once(socket, "close");
    },
  };
}
