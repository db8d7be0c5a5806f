import { chmodSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { messageOf, SluiceError } from "@sluice/proto/base/errors";
import { type LocalReply, type LocalRequest, localReply, localRequest } from "./local-protocol.ts";

export interface LocalSocket {
  close(): Promise<void>;
}

const LONGEST_PATH_BYTES = 107;
const ASK_TIMEOUT_MS = 180_000;

/** Listens in the state folder, for root alone. */
export async function listenLocally(
  path: string,
  answer: (request: LocalRequest) => Promise<LocalReply>,
): Promise<LocalSocket> {
  if (Buffer.byteLength(path) > LONGEST_PATH_BYTES)
    throw new SluiceError(
      "INVALID",
      `the path of the agent's socket is longer than ${LONGEST_PATH_BYTES} bytes: ${path}`,
      {
        cure: "choose a state folder with a shorter path",
      },
    );
  rmSync(path, { force: true });
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    void readLine(socket)
      .then((line) => answer(localRequest.parse(JSON.parse(line))))
      .catch((error): LocalReply => ({ what: "refused", reason: messageOf(error) }))
      .then((reply) => socket.end(`${JSON.stringify(reply)}\n`));
  });
  const before = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(path, resolve);
    });
  } finally {
    process.umask(before);
  }
  chmodSync(path, 0o600);
  return {
    async close() {
      for (const socket of sockets) socket.destroySoon();
      await new Promise((resolve) => server.close(resolve));
      rmSync(path, { force: true });
    },
  };
}

/** Asks the running agent; undefined where none listens. */
export async function askLocally(path: string, request: LocalRequest): Promise<LocalReply | undefined> {
  const socket = connect(path);
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
  } catch {
    return undefined;
  }
  socket.on("error", () => {});
  socket.setTimeout(ASK_TIMEOUT_MS, () => socket.destroy());
  socket.write(`${JSON.stringify(request)}\n`);
  return localReply.parse(JSON.parse(await readLine(socket)));
}

function readLine(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    socket.setEncoding("utf8");
    socket.on("data", (chunk: string) => {
      text += chunk;
      const end = text.indexOf("\n");
      if (end !== -1) resolve(text.slice(0, end));
    });
    socket.on("close", () => reject(new SluiceError("UNAVAILABLE", "the agent ended before it answered")));
  });
}
