/** What a station is asked and answers: one JSON object per line each way, matched by `id`. */
import { z } from "zod";

/** "unreachable" is a refusal by ICMP other than port unreachable; `code` has the system's word for it. */
const connectResult = z.object({
  outcome: z.enum(["accepted", "refused", "timeout", "unreachable"]),
  ms: z.number(),
  code: z.string().optional(),
});

const echoResult = z.object({ outcome: z.enum(["answered", "timeout", "closed"]), ms: z.number() });

const downloadResult = z.object({
  outcome: z.enum(["complete", "time up", "failed"]),
  /** Payload bytes, counted after the warm-up. */
  bytes: z.number(),
  /** Time in which they came, from the end of the warm-up to the last of them. */
  ms: z.number(),
  bitPerSec: z.number(),
  /** From the start of the request. */
  connectMs: z.number(),
  firstByteMs: z.number(),
  totalMs: z.number(),
  reason: z.string().optional(),
});

const pingResult = z.object({ sent: z.number(), received: z.number() });

export const results = {
  connect: connectResult,
  open: connectResult.extend({ connection: z.number() }),
  echo: echoResult,
  hangUp: z.object({}),
  listen: z.object({ listener: z.number(), port: z.number() }),
  heard: z.object({ from: z.array(z.string()), bytes: z.number() }),
  unlisten: z.object({}),
  download: downloadResult,
  ping: pingResult,
  ask: z.object({ outcome: z.enum(["answered", "timeout", "refused"]), ms: z.number() }),
};

export type Results = { [Verb in keyof typeof results]: z.infer<(typeof results)[Verb]> };

export interface Target {
  /** An address, of either family. */
  to: string;
  port: number;
  /** Source address; the kernel's choice unless said. It must be on the device. */
  from?: string;
  /** 1 s unless said. */
  timeoutMs?: number;
}

/** What a listener does with what it hears: nothing, send it back, send bytes and close, or be a web server. */
export type Service =
  | { kind: "accept" }
  | { kind: "echo" }
  | { kind: "bytes"; bytes: number }
  | { kind: "http"; bytes: number }
  | { kind: "udp-echo" }
  | { kind: "udp-silent" };

export interface Requests {
  connect: Target;
  open: Target;
  echo: { connection: number; text: string; timeoutMs: number };
  hangUp: { connection: number };
  /** Any free port if 0; all addresses of both families unless one is named. */
  listen: { port: number; address?: string; service: Service };
  heard: { listener: number };
  unlisten: { listener: number };
  /** Stops after `seconds`, or when all has come. What comes within `warmUpMs` is not counted. */
  download: { url: string; seconds: number; warmUpMs?: number; from?: string };
  ping: { to: string; count: number; timeoutMs: number };
  /** One datagram, and the wait for one back. */
  ask: Target & { text: string };
}

export type Verb = keyof Requests;

export interface Request<V extends Verb = Verb> {
  id: number;
  verb: V;
  input: Requests[V];
}

export const reply = z.union([
  z.object({ id: z.number(), result: z.unknown() }),
  z.object({ id: z.number(), error: z.string() }),
]);
