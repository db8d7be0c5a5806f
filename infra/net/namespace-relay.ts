import { fileURLToPath } from "node:url";
import { startGuarded } from "../process/guarded-child.ts";
import { waitForLine } from "../process/wait-for-line.ts";
import { commandIn } from "./namespace.ts";
import type { Relay } from "./relay.ts";

const mainPath = fileURLToPath(new URL("./relay-main.ts", import.meta.url));

export interface NamespaceRelayOptions {
  /** `to-tcp`: the socket leads every other namespace to that TCP service; `to-socket`: the other way round. */
  direction: "to-tcp" | "to-socket";
  socketPath: string;
  /** Where it dials, or listens, within the namespace. */
  host: string;
  port: number;
}

/** Runs a relay within a namespace. */
export async function startRelayIn(namespace: string, options: NamespaceRelayOptions): Promise<Relay> {
  const { direction, socketPath, host, port } = options;
  const command = [process.execPath, mainPath, direction, socketPath, host, String(port)];
  const child = startGuarded(commandIn(namespace, command));
  await waitForLine(child, { pattern: /^ready$/, timeoutMs: 30_000 });
  const stop = () => child.stop();
  return { stop, [Symbol.asyncDispose]: stop };
}
