import type { Namespace } from "@sluice/agents/exec/namespace";
import { waitUntil } from "@sluice/infra/process/wait-until";

/** A TCP connection of numbered lines from a server, counted by its client. */
export interface NumberedStream {
  /** what the client has counted to */
  last(): number;
  /** where it lost count */
  lost(): string | undefined;
  ended(): boolean;
  stop(): Promise<void>;
}

const PATIENCE_MS = 600_000;

export async function startNumberedStream(ends: {
  server: Namespace;
  client: Namespace;
  /** the server's */
  address: string;
  port: number;
}): Promise<NumberedStream> {
  const { server, client, address, port } = ends;
  let last = 0;
  let lost: string | undefined;
  // a line for it to read ends the server, and that the client
  const sender = server.spawn("sh", [
    "-c",
    `seq 1 1000000000 | nc -l ${address} ${port} & server=$!; read -r line; kill $server; wait`,
  ]);
  await waitUntil("a server that listens", PATIENCE_MS, async () =>
    (await server.run("ss", ["-Hltn"])).stdout.includes(`:${port} `),
  );
  const count = '$1 != ++n { print "lost at " n; exit } n % 10000 == 0 { print n; fflush() }';
  const reader = client.spawn("sh", ["-c", `nc -d ${address} ${port} | awk '${count}'`]);
  reader.onLine((stream, line) => {
    if (stream === "stdout" && /^\d+$/.test(line)) last = Number(line);
    else lost = line;
  });
  let ended = false;
  void reader.exited.then(() => {
    ended = true;
  });
  return {
    last: () => last,
    lost: () => lost,
    ended: () => ended,
    async stop() {
      sender.write("\n");
      await Promise.all([sender.exited, reader.exited]);
    },
  };
}
