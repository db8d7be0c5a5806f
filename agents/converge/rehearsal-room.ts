import { SluiceError } from "@sluice/proto/base/errors";
import { DOCKER_USER } from "@sluice/proto/base/names";
import type { DeviceFacts } from "@sluice/proto/manifest/facts";
import { HOOKS, type ManifestDevice, type ManifestExternal } from "@sluice/proto/manifest/manifest";
import { type IptablesBackend, iptablesTool } from "../drivers/iptables/tools.ts";
import type { Namespace } from "../exec/namespace.ts";
import { openRehearsal } from "../exec/rehearsal-namespace.ts";
import type { OpenRoom } from "./parts.ts";

/**
 * Furnishes a rehearsal so that the very scripts of the live namespace run in it and mean the same.
 *
 * 1. Devices of the same name, MTU, queue length and addresses: tc computes with them, and prints them. They are veth
 *    pairs whose other end stands in the same namespace; nothing they send arrives anywhere.
 * 2. Stubs for what is foreign and referred to: empty chains and sets. FORWARD leads to Docker's, as it does there.
 * 3. A handful of commands in all, whatever the number of devices.
 */
export interface RoomTools {
  /** restore commands of the backend in use */
  restore4: string;
  restore6: string;
}

export function roomTools(backend: IptablesBackend): RoomTools {
  return { restore4: iptablesTool(backend, 4, "restore"), restore6: iptablesTool(backend, 6, "restore") };
}

/** Opens rooms with the devices that are known at that time. */
export function createOpenRoom(backend: IptablesBackend, known: () => readonly DeviceFacts[]): OpenRoom {
  return async ({ devices, external }) => {
    const room = await openRehearsal();
    try {
      await furnish(room, roomDevices(known(), devices), external, roomTools(backend));
      return { at: room, close: () => room.close() };
    } catch (error) {
      await room.close();
      throw error;
    }
  };
}

const PLAIN_TOOLS: RoomTools = { restore4: "iptables-restore", restore6: "ip6tables-restore" };
const VETH_MTU = { min: 68, max: 65_535 };
const DEFAULT_MTU = 1500;
const DEFAULT_QUEUE_LENGTH = 1000;

/** Set types whose `create` says no family, with what it says instead. */
const SET_OPTIONS: Readonly<Record<string, string>> = {
  "bitmap:ip": "range 0.0.0.0/16",
  "bitmap:ip,mac": "range 0.0.0.0/16",
  "bitmap:port": "range 0-65535",
  "hash:mac": "",
  "list:set": "",
};

/**
 * The devices to set up: those whose shaping is ours, and those that have addresses of their own. One that is ours and
 * isn't there yet gets what a new Ethernet device has.
 */
export function roomDevices(known: readonly DeviceFacts[], shaped: readonly ManifestDevice[]): DeviceFacts[] {
  const ifbs = new Set(shaped.map((one) => one.ingress?.ifb));
  const isOurs = (name: string) => shaped.some((one) => one.device === name);
  const standing = known.filter(
    ({ name, addresses }) => name !== "lo" && !ifbs.has(name) && (isOurs(name) || addresses.length > 0),
  );
  const missing = shaped.filter(
    ({ device }) => device !== "lo" && !known.some(({ name }) => name === device),
  );
  return [
    ...standing,
    ...missing.map(({ device }) => ({
      name: device,
      mtu: DEFAULT_MTU,
      txQueueLength: DEFAULT_QUEUE_LENGTH,
      addresses: [],
    })),
  ];
}

export async function furnish(
  ns: Namespace,
  devices: readonly DeviceFacts[],
  external: ManifestExternal,
  tools: RoomTools = PLAIN_TOOLS,
): Promise<void> {
  await Promise.all([
    furnishDevices(ns, devices),
    must(ns, "ipset", ["restore"], external.sets.map(setLine)),
    must(ns, tools.restore4, ["--noflush"], chainLines(external, 4)),
    must(ns, tools.restore6, ["--noflush"], chainLines(external, 6)),
  ]);
}

async function furnishDevices(ns: Namespace, devices: readonly DeviceFacts[]): Promise<void> {
  const names = devices.flatMap(({ name }, index) => [peerOf(index), plain(name)]);
  if (names.length === 0) return;
  // What is of IPv6 is no reason to stop where the kernel has none, or none for new namespaces.
  // No link-local addresses: nobody asks for them, and each would first have to be found unique.
  const lines = [
    ...devices.map((device, index) => ({ text: pairLine(device, index), isNeeded: true })),
    ...names.map((name) => ({ text: `link set dev ${name} addrgenmode none`, isNeeded: false })),
    ...devices.flatMap(addressLines).map((text) => ({ text, isNeeded: false })),
    ...names.map((name) => ({ text: `link set dev ${name} up`, isNeeded: true })),
  ];
  const input = asText(lines.map(({ text }) => text));
  const { stderr, timedOut } = await ns.run("ip", ["-force", "-batch", "-"], { input });
  if (timedOut) throw notFurnished("ip", "no answer in time");
  for (const [, number] of stderr.matchAll(/^Command failed -:(\d+)$/gm)) {
    const line = lines[Number(number) - 1];
    if (line?.isNeeded !== false) throw notFurnished(`ip ${line?.text}`, stderr.trim());
  }
}

function pairLine({ name, mtu, txQueueLength }: DeviceFacts, index: number): string {
  const size = `mtu ${Math.min(VETH_MTU.max, Math.max(VETH_MTU.min, mtu))} txqueuelen ${txQueueLength}`;
  return `link add name ${plain(name)} ${size} type veth peer name ${peerOf(index)} ${size}`;
}

function peerOf(index: number): string {
  return `slroom-${index}`;
}

function addressLines({ name, addresses }: DeviceFacts): string[] {
  return addresses.map(
    (address) => `address add ${plain(address)} dev ${plain(name)}${address.includes(":") ? " nodad" : ""}`,
  );
}

function setLine({ name, type, family }: ManifestExternal["sets"][number]): string {
  const options = SET_OPTIONS[type] ?? `family ${family === 6 ? "inet6" : "inet"}`;
  return `create ${plain(name)} ${plain(type)} ${options}`.trim();
}

function chainLines(external: ManifestExternal, family: 4 | 6): string[] {
  const builtIn: readonly string[] = HOOKS;
  const tables = Map.groupBy(
    external.chains.filter((chain) => chain.family === family && !builtIn.includes(chain.name)),
    (chain) => chain.table,
  );
  return [...tables].flatMap(([table, chains]) => [
    `*${table}`,
    ...chains.map(({ name }) => `:${plain(name)} - [0:0]`),
    ...chains.filter(({ name }) => name === DOCKER_USER).map(() => `-A FORWARD -j ${DOCKER_USER}`),
    "COMMIT",
  ]);
}

/** These names reach the tools as text on stdin: one word each, and no option. */
export function plain(word: string): string {
  if (/^[\x21-\x7e]+$/.test(word) && !/["'#\\]|^-/.test(word)) return word;
  throw new SluiceError("INVALID", `${JSON.stringify(word)} can't be the name of a device, a chain or a set`);
}

async function must(
  ns: Namespace,
  command: string,
  args: readonly string[],
  lines: readonly string[],
): Promise<void> {
  if (lines.length === 0) return;
  const { code, stderr, timedOut } = await ns.run(command, args, { input: asText(lines) });
  if (code === 0) return;
  throw notFurnished(command, timedOut ? "no answer in time" : stderr.trim());
}

function notFurnished(command: string, reason: string): SluiceError {
  return new SluiceError("INTERNAL", `the rehearsal can't be furnished: ${command}: ${reason}`);
}

function asText(lines: readonly string[]): string {
  return `${lines.join("\n")}\n`;
}
