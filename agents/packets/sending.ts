import { SluiceError } from "@sluice/proto/base/errors";
import { type IptablesBackend, iptablesTool } from "../drivers/iptables/tools.ts";
import type { Namespace } from "../exec/namespace.ts";
import type { Packet } from "./packet.ts";
import type { Path } from "./path.ts";
import { startStation } from "./station.ts";

/** How a path's packets are sent: `control` before there are rules, `packet` through them. */
export interface Sending {
  control(): Promise<void>;
  packet(): Promise<void>;
}

/** With it in a chain that nothing jumps to, the kernel tracks the namespace's connections. */
const TRACK = ["*filter", ":SL-track - [0:0]", "-A SL-track -m conntrack --ctstate ESTABLISHED", "COMMIT"];

export async function createSending(backend: IptablesBackend, path: Path, packet: Packet): Promise<Sending> {
  if (packet.state === "established") await trackConnections(backend, path.server, packet.family);
  return packet.protocol === "icmp" ? createPings(path, packet) : await createTalk(path, packet);
}

/** A second of the same ping is of the connection that the first began. */
function createPings({ sender }: Path, { family, state, from, to }: Packet): Sending {
  const ping = (...more: string[]) => {
    sender.spawn("ping", [`-${family}`, "-n", ...more, "-I", from, to]);
  };
  if (state === "new") {
    const once = async () => ping("-c", "1", "-W", "1");
    return { control: once, packet: once };
  }
  return { control: async () => ping("-i", "0.2"), packet: async () => undefined };
}

async function createTalk(path: Path, packet: Packet): Promise<Sending> {
  const station = startStation(path.sender);
  if (packet.state === "new") {
    const send = () => station.send(packet);
    return { control: send, packet: send };
  }
  await startStation(path.receiver).listen(packet);
  return { control: () => station.open(packet), packet: () => station.again() };
}

async function trackConnections(backend: IptablesBackend, server: Namespace, family: 4 | 6): Promise<void> {
  const input = `${TRACK.join("\n")}\n`;
  const { code, stderr } = await server.run(iptablesTool(backend, family, "restore"), ["--noflush"], {
    input,
  });
  if (code !== 0) throw new SluiceError("UNAVAILABLE", `connections can't be tracked: ${stderr.trim()}`);
}
