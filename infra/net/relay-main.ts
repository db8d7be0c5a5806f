/** `node relay-main.ts SOCKET HOST PORT`: relayUnixToTcp as a process, to be run in a namespace. */
import { relayUnixToTcp } from "./relay.ts";

const [socketPath, host, port] = process.argv.slice(2);
if (!socketPath || !host || !port) throw new Error("usage: relay-main.ts SOCKET HOST PORT");
await relayUnixToTcp({ socketPath, host, port: Number(port) });
process.stderr.write("ready\n");
