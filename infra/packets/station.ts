/**
 * A station: one long-lived process in a namespace that makes and takes real connections for a test or the demo.
 * A request costs a line each way, not a process.
 */
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { commandIn } from "../net/namespace.ts";
import { startGuarded } from "../process/guarded-child.ts";
import {
  type Requests,
  type Results,
  reply,
  results,
  type Service,
  type Target,
  type Verb,
} from "./station-protocol.ts";

export interface OpenConnection {
  readonly outcome: Results["connect"]["outcome"];
  readonly ms: number;
  /** Says something to an echo service and waits for it to come back. */
  echo(text?: string, timeoutMs?: number): Promise<Results["echo"]>;
  close(): Promise<void>;
}

export interface StationListener extends AsyncDisposable {
  readonly port: number;
  /** Source addresses of the connections (or datagrams) so far, and payload bytes received. */
  heard(): Promise<Results["heard"]>;
  close(): Promise<void>;
}

export interface Station extends AsyncDisposable {
  readonly namespace: string;
  /**
   * One TCP handshake, closed again at once. A REJECT by ICMP over IPv6 is heard only at the repeated SYN after 1 s
   * (the kernel drops what comes while connect() holds the socket), so give it 2; `tcp-reset` is heard at once.
   */
  connect(target: Target): Promise<Results["connect"]>;
  /** A TCP connection that stays open. */
  open(target: Target): Promise<OpenConnection>;
  listen(port: number, service: Service, address?: string): Promise<StationListener>;
  download(input: Requests["download"]): Promise<Results["download"]>;
  ping(to: string, options?: { count?: number; timeoutMs?: number }): Promise<Results["ping"]>;
  /** One datagram, and the wait for one back. */
  ask(target: Target & { text?: string }): Promise<Results["ask"]>;
  stop(): Promise<void>;
}

const mainPath = fileURLToPath(new URL("./station-main.ts", import.meta.url));

export async function startStation(namespace: string): Promise<Station> {
  const child = startGuarded(commandIn(namespace, [process.execPath, mainPath]));
  const waiting = new Map<number, { resolve: (result: unknown) => void; reject: (error: Error) => void }>();
  let errors = "";
  let lastId = 0;
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors = (errors + text).slice(-2000);
  });
  const lines = createInterface({ input: child.stdout });
  const ready = once(lines, "line");
  const ended = child.exited.then(({ text }) => {
    const error = new Error(`the station in ${namespace} is gone: ${text} ${errors}`.trim());
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
    return error;
  });
  const early = await Promise.race([ready, ended]);
  if (early instanceof Error) throw early;

  lines.on("line", (line) => {
    const answer = reply.parse(JSON.parse(line));
    const asked = waiting.get(answer.id);
    waiting.delete(answer.id);
    if ("error" in answer) asked?.reject(new Error(`station in ${namespace}: ${answer.error}`));
    else asked?.resolve(answer.result);
  });

  async function request<V extends Verb>(verb: V, input: Requests[V]): Promise<Results[V]> {
    if (!child.isRunning()) throw await ended;
    lastId += 1;
    const id = lastId;
    const result = await new Promise<unknown>((resolve, reject) => {
      waiting.set(id, { resolve, reject });
      child.stdin.write(`${JSON.stringify({ id, verb, input })}\n`);
    });
    return results[verb].parse(result) as Results[V];
  }

  async function open(target: Target): Promise<OpenConnection> {
    const { connection, outcome, ms } = await request("open", target);
    return {
      outcome,
      ms,
      echo: (text = "hello", timeoutMs = 1000) => request("echo", { connection, text, timeoutMs }),
      close: async () => void (await request("hangUp", { connection })),
    };
  }

  async function listen(port: number, service: Service, address?: string): Promise<StationListener> {
    const opened = await request("listen", { port, service, ...(address && { address }) });
    const { listener } = opened;
    const close = async () => void (await request("unlisten", { listener }));
    return {
      port: opened.port,
      heard: () => request("heard", { listener }),
      close,
      [Symbol.asyncDispose]: close,
    };
  }

  const stop = () => child.stop("SIGKILL");
  return {
    namespace,
    connect: (target) => request("connect", target),
    open,
    listen,
    download: (input) => request("download", input),
    ping: (to, { count = 1, timeoutMs = 1000 } = {}) => request("ping", { to, count, timeoutMs }),
    ask: ({ text = "hello", ...target }) => request("ask", { ...target, text }),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
