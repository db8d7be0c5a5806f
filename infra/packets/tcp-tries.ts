import { connect, isIPv6, type Socket } from "node:net";
import { performance } from "node:perf_hooks";
import type { Results, Target } from "./station-protocol.ts";

const defaultTimeoutMs = 1000;

interface Attempt {
  result: Results["connect"];
  socket: Socket;
}

/** One TCP handshake. A socket that isn't accepted is destroyed. */
export function dial(target: Target): Promise<Attempt> {
  const { to, port, from, timeoutMs = defaultTimeoutMs } = target;
  const started = performance.now();
  const socket = connect({ host: to, port, family: isIPv6(to) ? 6 : 4, ...(from && { localAddress: from }) });
  return new Promise((resolve) => {
    function settle(outcome: Results["connect"]["outcome"], code?: string) {
      clearTimeout(timer);
      const ms = performance.now() - started;
      if (outcome !== "accepted") socket.destroy();
      resolve({ result: { outcome, ms, ...(code && { code }) }, socket });
    }
    const timer = setTimeout(() => settle("timeout"), timeoutMs);
    socket.once("connect", () => settle("accepted"));
    socket.on("error", (error: NodeJS.ErrnoException) => {
      const code = error.code ?? error.message;
      if (code === "ECONNREFUSED") settle("refused", code);
      else if (code === "ETIMEDOUT") settle("timeout", code);
      else settle("unreachable", code);
    });
  });
}

export async function tryConnect(target: Target): Promise<Results["connect"]> {
  const { result, socket } = await dial(target);
  socket.destroy();
  return result;
}

/** Sends text over an open connection and waits until as much has come back. */
export async function echo(socket: Socket, text: string, timeoutMs: number): Promise<Results["echo"]> {
  const started = performance.now();
  const elapsed = () => performance.now() - started;
  if (socket.destroyed || socket.readableEnded) return { outcome: "closed", ms: elapsed() };
  const wanted = Buffer.byteLength(text);
  let got = 0;
  return new Promise((resolve) => {
    function settle(outcome: Results["echo"]["outcome"]) {
      clearTimeout(timer);
      socket.off("data", count).off("close", closed);
      resolve({ outcome, ms: elapsed() });
    }
    const closed = () => settle("closed");
    function count(chunk: Buffer) {
      got += chunk.length;
      if (got >= wanted) settle("answered");
    }
    const timer = setTimeout(() => settle("timeout"), timeoutMs);
    socket.on("data", count);
    socket.on("close", closed);
    socket.write(text);
  });
}
