/**
 * A relay as a process, to be run in a namespace:
 * `relay-main.ts to-tcp SOCKET HOST PORT` is relayUnixToTcp, `relay-main.ts to-socket SOCKET HOST PORT` relayTcpToUnix.
 */
import { relayTcpToUnix, relayUnixToTcp } from "./relay.ts";

const [direction, socketPath, host, port] = process.argv.slice(2);
if (!socketPath || !host || !port) throw new Error("usage: relay-main.ts to-tcp|to-socket SOCKET HOST PORT");
if (direction === "to-tcp") await relayUnixToTcp({ socketPath, host, port: Number(port) });
else await relayTcpToUnix({ socketPath, listenHost: host, listenPort: Number(port) });
process.stderr.write("ready\n");
