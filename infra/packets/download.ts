import { request } from "node:http";
import { performance } from "node:perf_hooks";
import type { Requests, Results } from "./station-protocol.ts";

/**
 * Fetches a URL over a new connection and measures the payload, until all has come or the time is up.
 * The first chunk's bytes came before it was seen, so where a rate is wanted give a warm-up.
 */
export function download(input: Requests["download"]): Promise<Results["download"]> {
  const { url, seconds, warmUpMs = 0, from } = input;
  const started = performance.now();
  const elapsed = () => performance.now() - started;
  let bytes = 0;
  let connectMs = 0;
  let firstByteMs = 0;
  let lastByteMs = 0;
  return new Promise((resolve) => {
    function settle(outcome: Results["download"]["outcome"], reason?: string) {
      clearTimeout(timer);
      asked.destroy();
      const ms = Math.max(0, lastByteMs - warmUpMs);
      const bitPerSec = ms > 0 ? (bytes * 8000) / ms : 0;
      const totalMs = elapsed();
      resolve({ outcome, bytes, ms, bitPerSec, connectMs, firstByteMs, totalMs, ...(reason && { reason }) });
    }
    const timer = setTimeout(() => settle("time up"), seconds * 1000);
    const asked = request(url, { agent: false, ...(from && { localAddress: from }) }, (response) => {
      response.on("data", (chunk: Buffer) => {
        lastByteMs = elapsed();
        firstByteMs ||= lastByteMs;
        if (lastByteMs >= warmUpMs) bytes += chunk.length;
      });
      response.on("end", () => settle("complete"));
      response.on("error", (error) => settle("failed", error.message));
    });
    asked.on("socket", (socket) =>
      socket.once("connect", () => {
        connectMs = elapsed();
      }),
    );
    asked.on("error", (error) => settle("failed", error.message));
    asked.end();
  });
}
