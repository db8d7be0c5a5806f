/**
 * The process that stands in a namespace and does what `startStation` asks: requests on stdin, replies on stdout, many
 * at a time. It ends when its stdin does.
 */
import type { Socket } from "node:net";
import { createInterface } from "node:readline";
import { ask } from "./datagrams.ts";
import { download } from "./download.ts";
import { type Listener, listen } from "./listeners.ts";
import { ping } from "./ping.ts";
import type { Request, Requests, Results, Verb } from "./station-protocol.ts";
import { dial, echo, tryConnect } from "./tcp-tries.ts";

const connections = new Map<number, Socket>();
const listeners = new Map<number, Listener>();
let lastHandle = 0;

function findIn<T>(map: Map<number, T>, handle: number): T {
  const found = map.get(handle);
  if (!found) throw new Error(`nothing is open under ${handle}`);
  return found;
}

const actions: { [V in Verb]: (input: Requests[V]) => Promise<Results[V]> } = {
  connect: tryConnect,
  async open(input) {
    const { result, socket } = await dial(input);
    lastHandle += 1;
    if (result.outcome === "accepted") connections.set(lastHandle, socket.resume());
    return { ...result, connection: lastHandle };
  },
  echo: (input) => echo(findIn(connections, input.connection), input.text, input.timeoutMs),
  async hangUp({ connection }) {
    connections.get(connection)?.destroy();
    connections.delete(connection);
    return {};
  },
  async listen(input) {
    const listener = await listen(input);
    lastHandle += 1;
    listeners.set(lastHandle, listener);
    return { listener: lastHandle, port: listener.port };
  },
  async heard(input) {
    const listener = findIn(listeners, input.listener);
    return { from: listener.from, bytes: listener.bytes() };
  },
  async unlisten(input) {
    const listener = findIn(listeners, input.listener);
    listeners.delete(input.listener);
    await listener.close();
    return {};
  },
  download,
  ping,
  ask,
};

async function perform<V extends Verb>(request: Request<V>): Promise<void> {
  const { id, verb, input } = request;
  const answer = await actions[verb](input).then(
    (result) => ({ id, result }),
    (error: Error) => ({ id, error: error.message }),
  );
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

createInterface({ input: process.stdin })
  .on("line", (line) => perform(JSON.parse(line)))
  .on("close", () => process.exit(0));
process.stdout.write("ready\n");
