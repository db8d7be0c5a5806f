/**
 * Stands at one end of a path and sends or takes packets there: one request a line on stdin, one answer a line on stdout,
 * in order. Plain JavaScript, because its text is given to Node in another namespace. It ends when its stdin does.
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { createInterface } from "node:readline";

/** what was opened, for `again` */
let send = () => undefined;

const actions = {
  /** takes connections and does nothing with them; sends datagrams back */
  async listen({ protocol, address, port, family }) {
    if (protocol === "tcp") {
      const server = createServer((socket) => socket.on("error", () => undefined).resume());
      server.listen({ host: address, port });
      return await once(server, "listening");
    }
    const socket = createSocket(`udp${family}`);
    socket.on("message", (_, from) => socket.send("back", from.port, from.address));
    socket.bind(port, address);
    return await once(socket, "listening");
  },

  /** one packet, whatever comes of it */
  async send(request) {
    if (request.protocol === "tcp") {
      dial(request).on("error", () => undefined);
      return;
    }
    const socket = await datagrams(request);
    await new Promise((resolve) => socket.send("sluice", () => resolve()));
    socket.close();
  },

  /** a connection that is accepted, or a datagram that is answered; `again` goes on with it */
  async open(request) {
    if (request.protocol === "tcp") {
      const socket = dial(request);
      await once(socket, "connect");
      socket.on("error", () => undefined).resume();
      send = () => socket.write("more");
      return;
    }
    const socket = await datagrams(request);
    const answered = once(socket, "message");
    socket.send("sluice");
    await answered;
    send = () => socket.send("more", () => undefined);
  },

  async again() {
    send();
  },
};

function dial({ from, fromPort, to, port }) {
  return connect({ host: to, port, localAddress: from, ...(fromPort && { localPort: fromPort }) });
}

async function datagrams({ family, from, fromPort, to, port }) {
  const socket = createSocket(`udp${family}`);
  socket.on("error", () => undefined);
  socket.bind(fromPort ?? 0, from);
  await once(socket, "listening");
  socket.connect(port, to);
  await once(socket, "connect");
  return socket;
}

for await (const line of createInterface({ input: process.stdin })) {
  const { action, ...request } = JSON.parse(line);
  const answer = await actions[action](request).then(
    () => ({ ok: true }),
    (error) => ({ ok: false, reason: error.message }),
  );
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
process.exit(0);
