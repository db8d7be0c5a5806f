import { createServer, type Socket, connect as tcpConnect } from "node:net";

/** A TCP relay in front of Postgres that can lose the answers on their way back, and cut every connection. */
export interface CuttableProxy extends AsyncDisposable {
  url: string;
  /** From now on answers are swallowed; resolves when the first one has been. */
  loseAnswers(): Promise<void>;
  /** Cuts all connections; new ones work again. */
  cut(): void;
}

export async function startProxy(targetUrl: string): Promise<CuttableProxy> {
  const target = new URL(targetUrl);
  const sockets = new Set<Socket>();
  let swallow: (() => void) | undefined;

  function track(socket: Socket): Socket {
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
    return socket;
  }

  const server = createServer((client) => {
    const upstream = track(tcpConnect(Number(target.port), target.hostname));
    track(client).on("data", (bytes) => upstream.write(bytes));
    upstream.on("data", (bytes) => (swallow ? swallow() : client.write(bytes)));
    client.on("close", () => upstream.destroy());
    upstream.on("close", () => client.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the proxy has no port");
  const url = new URL(targetUrl);
  url.hostname = "127.0.0.1";
  url.port = String(address.port);

  function cut() {
    swallow = undefined;
    for (const socket of sockets) socket.destroy();
  }

  return {
    url: url.href,
    loseAnswers: () =>
      new Promise((resolve) => {
        swallow = resolve;
      }),
    cut,
    async [Symbol.asyncDispose]() {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
