import { connect } from "@nats-io/transport-node";

/** A Node process that holds a NATS connection, answers on one subject and does nothing else. */
const connection = await connect({ servers: process.argv[2] });
connection.subscribe("bench.ask", { callback: (_, message) => void message.respond(message.data) });
await connection.flush();
process.stderr.write("ready\n");
