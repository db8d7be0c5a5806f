import { fileURLToPath } from "node:url";
import { startGuarded } from "../process/guarded-child.ts";
import { waitForLine } from "../process/wait-for-line.ts";
import { commandIn } from "./namespace.ts";
import type { Relay } from "./relay.ts";

const mainPath = fileURLToPath(new URL("./relay-main.ts", import.meta.url));

/** Runs relayUnixToTcp within a namespace: the socket then leads every other namespace to that TCP service. */
export async function startRelayIn(
  namespace: string,
  options: { socketPath: string; host: string; port: number },
): Promise<Relay> {
  const { socketPath, host, port } = options;
  const command = commandIn(namespace, [process.execPath, mainPath, socketPath, host, String(port)]);
  const child = startGuarded(command);
  await waitForLine(child, { pattern: /^ready$/, timeoutMs: 10_000 });
  const stop = () => child.stop();
  return { stop, [Symbol.asyncDispose]: stop };
}
