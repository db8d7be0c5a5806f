import { createSocket } from "node:dgram";
import { once } from "node:events";
import { isIPv6 } from "node:net";
import { performance } from "node:perf_hooks";
import type { Requests, Results } from "./station-protocol.ts";

const defaultTimeoutMs = 1000;

/** Sends one datagram and waits for one back. */
export async function ask(input: Requests["ask"]): Promise<Results["ask"]> {
  const { to, port, from, text, timeoutMs = defaultTimeoutMs } = input;
  const socket = createSocket(isIPv6(to) ? "udp6" : "udp4");
  const started = performance.now();
  try {
    if (from) {
      socket.bind(0, from);
      await once(socket, "listening");
    }
    socket.connect(port, to); // connected, so that an ICMP refusal is told to us
    await once(socket, "connect");
    const answer = once(socket, "message", { signal: AbortSignal.timeout(timeoutMs) });
    socket.send(text);
    await answer;
    return { outcome: "answered", ms: performance.now() - started };
  } catch (error) {
    const ms = performance.now() - started;
    if (error instanceof Error && error.name === "AbortError") return { outcome: "timeout", ms };
    if (error instanceof Error && "code" in error && error.code === "ECONNREFUSED")
      return { outcome: "refused", ms };
    throw error;
  } finally {
    socket.close();
  }
}
