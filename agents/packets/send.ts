import { setTimeout as delay } from "node:timers/promises";
import { messageOf } from "@sluice/proto/base/errors";
import type { DeviceFacts } from "@sluice/proto/manifest/facts";
import { type IptablesBackend, iptablesTool } from "../drivers/iptables/tools.ts";
import type { Namespace } from "../exec/namespace.ts";
import { arrivals } from "./arrivals.ts";
import { parseCounters } from "./counters.ts";
import type { Unsaid } from "./host-bound.ts";
import type { Packet } from "./packet.ts";
import { openPath, type Path } from "./path.ts";
import { createSending } from "./sending.ts";
import { type Walked, walk, withoutTwins } from "./walk.ts";

/**
 * Sends one real packet through rules, and tells what became of it.
 *
 * 1. A path of its own (path.ts), with nothing in it. First a control packet, which must arrive while no rules are
 *    there: what doesn't arrive then says nothing about rules. In `established` it is the connection itself.
 * 2. Then the rules, and the packet. It arrived if the kernel at the other end counts it; it was dropped or rejected if
 *    a rule counts it that does so. Nothing is concluded from silence: without either the verdict is unknown.
 * 3. What became of it is known as soon as it is counted, and nobody waits for a connection to time out.
 */
export interface SendParts {
  backend: IptablesBackend;
  devices: readonly DeviceFacts[];
}

export type Sent =
  | { kind: "accept"; walked: Walked; lines: Lines }
  | { kind: "drop" | "reject"; walked: Walked; lines: Lines }
  | { kind: "unknown"; reason: string; walked?: Walked; lines?: Lines };

/** How many rules the kernel shows in a chain. */
export type Lines = (table: string, chain: string) => number;

const CONTROL_WITHIN_MS = 5_000;
const SEEN_WITHIN_MS = 3_000;
const FIRST_LOOK_MS = 3;

export async function sendPacket(
  parts: SendParts,
  packet: Packet,
  load: (at: Namespace) => Promise<void>,
  unsaid: Unsaid,
): Promise<Sent> {
  let path: Path;
  try {
    path = await openPath(packet, parts.devices);
  } catch (error) {
    return { kind: "unknown", reason: `its path can't be made: ${messageOf(error)}` };
  }
  try {
    const sending = await createSending(parts.backend, path, packet);
    const before = await arrivals(path.receiver, packet);
    const failed = await sending.control().then(
      () => undefined,
      (error) => messageOf(error),
    );
    const arrived = () => arrivals(path.receiver, packet);
    if (failed !== undefined || !(await growsBeyond(before, arrived, CONTROL_WITHIN_MS)))
      return { kind: "unknown", reason: noWay(packet, failed) };
    await path.mute();
    await load(path.server);
    const standing = await arrived();
    await sending.packet();
    return await watch(parts.backend, path, packet, standing, unsaid);
  } catch (error) {
    return { kind: "unknown", reason: `it can't be sent: ${messageOf(error)}` };
  } finally {
    await path[Symbol.asyncDispose]();
  }
}

async function watch(
  backend: IptablesBackend,
  path: Path,
  packet: Packet,
  standing: number,
  unsaid: Unsaid,
): Promise<Sent> {
  const untilMs = performance.now() + SEEN_WITHIN_MS;
  for (let waitMs = FIRST_LOOK_MS; ; waitMs *= 2) {
    const arrived = await growsBeyond(standing, () => arrivals(path.receiver, packet), waitMs);
    const { walked, lines } = await lookAt(backend, path.server, packet, unsaid, arrived);
    if (walked.asks !== undefined)
      return { kind: "unknown", reason: `it meets ${walked.asks.what}`, walked, lines };
    if (arrived) return { kind: "accept", walked, lines };
    if (walked.end !== undefined) return { kind: walked.end.verdict, walked, lines };
    if (performance.now() > untilMs) {
      const reason = "it didn't arrive, and no rule dropped it: it was sent elsewhere, or lost on the way";
      return { kind: "unknown", reason, walked, lines };
    }
  }
}

async function lookAt(
  backend: IptablesBackend,
  server: Namespace,
  packet: Packet,
  unsaid: Unsaid,
  arrived: boolean,
) {
  const { code, stdout, stderr } = await server.run(iptablesTool(backend, packet.family, "save"), ["-c"]);
  if (code !== 0) throw new Error(`what the rules counted can't be read: ${stderr.trim()}`);
  const tables = parseCounters(stdout);
  const lines: Lines = (table, chain) => withoutTwins(tables.get(table)?.get(chain)?.rules ?? []).length;
  return { walked: walk(packet.hook, tables, unsaid, arrived), lines };
}

async function growsBeyond(before: number, count: () => Promise<number>, withinMs: number): Promise<boolean> {
  const untilMs = performance.now() + withinMs;
  for (let waitMs = 1; ; waitMs = Math.min(waitMs * 2, 50)) {
    if ((await count()) > before) return true;
    if (performance.now() > untilMs) return false;
    await delay(waitMs);
  }
}

function noWay({ protocol }: Packet, failed: string | undefined): string {
  const why = failed === undefined ? "" : `: ${failed}`;
  const ping = protocol === "icmp" ? " (ping, of iputils, sends it)" : "";
  return `even without any rule no such packet arrives${why}${ping}`;
}
