import type { DeviceFacts } from "@sluice/proto/manifest/facts";
import type { ManifestTest } from "@sluice/proto/manifest/manifest";

/** One packet with nothing left open: where it comes from, where it goes, by which devices. */
export interface Packet {
  family: 4 | 6;
  protocol: "tcp" | "udp" | "icmp";
  hook: "input" | "output" | "forward";
  state: "new" | "established";
  from: string;
  fromPort?: number | undefined;
  to: string;
  port?: number | undefined;
  /** it comes in by, or goes out by in `output` */
  via: string;
  /** it goes out by, in `forward` alone */
  out?: string | undefined;
}

export type Asked = Omit<ManifestTest, "expect" | "origin">;

/** What fills in what wasn't said. */
export interface Around {
  devices: readonly DeviceFacts[];
  /** the device by which this server would send to an address; undefined where it has no way there */
  deviceTo(address: string): Promise<string | undefined>;
}

/** Where a server has no address: of the networks for measurements, which nobody's policy speaks of. */
const OWN_ADDRESS = { 4: "198.18.0.1", 6: "2001:2::1" } as const;
const DEVICE = "eth0";
const OTHER_DEVICE = "eth1";

export async function packetOf(asked: Asked, around: Around): Promise<Packet> {
  const { family, protocol, hook, state, fromPort, port } = asked;
  const peer = (hook === "output" ? asked.to : asked.from) ?? "";
  const via = asked.via ?? (await around.deviceTo(peer)) ?? DEVICE;
  const own = addressOf(around.devices, via, family) ?? OWN_ADDRESS[family];
  return {
    ...{ family, protocol, hook, state, fromPort, port, via },
    from: asked.from ?? own,
    to: asked.to ?? own,
    ...(hook === "forward" && {
      out: asked.out ?? (await around.deviceTo(asked.to ?? "")) ?? otherThan(via),
    }),
  };
}

function otherThan(via: string): string {
  return via === OTHER_DEVICE ? DEVICE : OTHER_DEVICE;
}

function addressOf(devices: readonly DeviceFacts[], device: string, family: 4 | 6): string | undefined {
  const found = devices.find(({ name }) => name === device)?.addresses.find((one) => isOf(family, one));
  return found?.split("/")[0];
}

export function isOf(family: 4 | 6, address: string): boolean {
  return address.includes(":") === (family === 6);
}

/** `203.0.113.9 to tcp/22 by eth0`, as people say it. */
export function packetText(asked: Asked | Packet): string {
  const { protocol, port, hook, state, family, from, fromPort, to, via, out } = asked;
  const goal = port === undefined ? protocol : `${protocol}/${port}`;
  return [
    state === "established" ? "established" : "",
    from === undefined ? "" : withPort(from, fromPort),
    "to",
    to === undefined ? goal : `${family === 6 ? `[${to}]` : to}:${goal}`,
    via === undefined ? "" : `by ${via}`,
    hook === "forward"
      ? `forward${out === undefined ? "" : ` by ${out}`}`
      : hook === "output"
        ? "output"
        : "",
  ]
    .filter((part) => part !== "")
    .join(" ");
}

function withPort(address: string, port: number | undefined): string {
  if (port === undefined) return address;
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
