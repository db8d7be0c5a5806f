import { SluiceError } from "@sluice/proto/base/errors";
import type { DeviceFacts } from "@sluice/proto/manifest/facts";
import { plain } from "../converge/rehearsal-room.ts";
import type { Namespace } from "../exec/namespace.ts";
import { openRehearsal, type RehearsalNamespace } from "../exec/rehearsal-namespace.ts";
import { isOf, type Packet } from "./packet.ts";

/**
 * A server in small, with what is at the other ends of its wires: a namespace for each.
 *
 *   input     peer ──via──▶ server
 *   output    server ──via──▶ peer
 *   forward   peer ──via──▶ server ──out──▶ far
 *
 * 1. Fresh: nothing is tracked, counted or remembered in it.
 * 2. Quiet: nobody looks for neighbours and no address is proved unique, so that no packet but the one that is sent is
 *    counted. The two ends of a wire share their hardware address, and take every packet for theirs.
 * 3. Every address is somewhere: the peers hold the packet's ends, the server its own, and what a rule sends elsewhere
 *    leaves by the last wire.
 */
export interface Path extends AsyncDisposable {
  server: RehearsalNamespace;
  sender: RehearsalNamespace;
  receiver: RehearsalNamespace;
  /** From now on the far end of `forward` answers nothing: its answers would pass the same chains. */
  mute(): Promise<void>;
}

const HARDWARE = "02:00:00:00:00:01";
const WIRE = "slpeer";
const FORWARDING = {
  4: "/proc/sys/net/ipv4/ip_forward",
  6: "/proc/sys/net/ipv6/conf/all/forwarding",
} as const;

export async function openPath(packet: Packet, devices: readonly DeviceFacts[]): Promise<Path> {
  const { hook } = packet;
  const opened = await Promise.allSettled(Array.from({ length: hook === "forward" ? 3 : 2 }, openRehearsal));
  const rooms = opened.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  const close = async () => void (await Promise.all(rooms.map((room) => room.close())));
  try {
    const failed = opened.find((one) => one.status === "rejected");
    if (failed !== undefined) throw failed.reason;
    const [server, peer, far = peer] = rooms;
    if (server === undefined || peer === undefined || far === undefined) throw new TypeError("no room");
    await wire(packet, devices, server, peer, far);
    return {
      server,
      sender: hook === "output" ? server : peer,
      receiver: hook === "input" ? server : far,
      async mute() {
        if (hook === "forward") await batch(far, packet.family, ["route replace blackhole default"]);
      },
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function wire(
  packet: Packet,
  devices: readonly DeviceFacts[],
  server: RehearsalNamespace,
  peer: RehearsalNamespace,
  far: RehearsalNamespace,
): Promise<void> {
  const { family, hook, via, out, from, to } = packet;
  if (out === via) throw new SluiceError("REFUSED", `it would come in and go out by the same device, ${via}`);
  const wires = [{ device: via, end: peer }, ...(out === undefined ? [] : [{ device: out, end: far }])];
  const near = hook === "output" ? to : from;
  await batch(server, family, [
    ...wires.flatMap(({ device, end }) => [
      `link add name ${plain(device)} address ${HARDWARE} type veth peer name ${WIRE} address ${HARDWARE} netns ${end.pid}`,
      quiet(family, device),
    ]),
    ...ownAddresses(packet, devices),
    ...wires.map(({ device }) => `link set dev ${device} up`),
    `route replace ${host(family, near)} dev ${via}`,
    `route replace default dev ${out ?? via}`,
  ]);
  await Promise.all([
    ...(hook === "forward" ? [allowForwarding(server, family)] : []),
    ...(hook === "forward" ? [settle(far, family, to)] : []),
    settle(peer, family, near),
  ]);
}

/** The server's own: those of the two devices there, all others on `lo`. */
function ownAddresses(
  { family, hook, via, out, from, to }: Packet,
  devices: readonly DeviceFacts[],
): string[] {
  const own = devices
    .flatMap(({ name, addresses }) => addresses.map((address) => ({ name, address })))
    .filter(({ address }) => isOf(family, address));
  const stated = hook === "input" ? to : hook === "output" ? from : undefined;
  const isMissing = stated !== undefined && !own.some(({ address }) => address.split("/")[0] === stated);
  const all = isMissing ? [...own, { name: via, address: host(family, stated) }] : own;
  return all.map(({ name, address }) =>
    name === via || name === out
      ? addressLine(family, address, name)
      : addressLine(family, host(family, address.split("/")[0] ?? ""), "lo"),
  );
}

/** The other end of a wire: it has the address, and sends everything back. */
async function settle(end: Namespace, family: 4 | 6, address: string): Promise<void> {
  await batch(end, family, [
    quiet(family, WIRE),
    `link set dev ${WIRE} up`,
    addressLine(family, host(family, address), "lo"),
    `route add default dev ${WIRE} src ${address}`,
  ]);
}

function quiet(family: 4 | 6, device: string): string {
  return `link set dev ${device} arp off${family === 6 ? " addrgenmode none" : ""}`;
}

function addressLine(family: 4 | 6, address: string, device: string): string {
  return `address add ${plain(address)} dev ${plain(device)}${family === 6 ? " nodad" : ""}`;
}

function host(family: 4 | 6, address: string): string {
  return `${plain(address)}/${family === 6 ? 128 : 32}`;
}

async function allowForwarding(server: Namespace, family: 4 | 6): Promise<void> {
  await must(server, "tee", [FORWARDING[family]], "1\n");
}

async function batch(at: Namespace, family: 4 | 6, lines: readonly string[]): Promise<void> {
  await must(at, "ip", [`-${family}`, "-batch", "-"], `${lines.join("\n")}\n`);
}

async function must(at: Namespace, command: string, args: readonly string[], input: string): Promise<void> {
  const { code, stderr } = await at.run(command, args, { input });
  if (code !== 0) throw new SluiceError("UNAVAILABLE", `${command}: ${stderr.trim().replaceAll("\n", "; ")}`);
}
