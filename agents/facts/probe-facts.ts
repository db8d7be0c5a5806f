import { readFile } from "node:fs/promises";
import { hostname, release } from "node:os";
import type { Capabilities, Facts } from "@sluice/proto/manifest/facts";
import type { Namespace } from "../exec/namespace.ts";
import { openRehearsal } from "../exec/rehearsal-namespace.ts";
import { readDevices } from "./devices.ts";
import { probeIptables } from "./probe-iptables.ts";
import { probeSetTypes } from "./probe-sets.ts";
import { probeTc } from "./probe-tc.ts";

/**
 * What this server is and what its kernel can do.
 *
 * 1. Capabilities are tried, not looked up: each thing is really made, in one throw-away namespace. A tool that knows a
 *    word says nothing about the kernel, and `--test` passes what the kernel then refuses.
 * 2. The live namespace is only read.
 * 3. Equal servers give equal facts: lists are sorted, and what comes and goes by itself is left out.
 */
export interface ProbeOptions {
  live: Namespace;
  /** the agent's own version */
  agent: string;
  osReleasePath?: string | undefined;
}

export async function probeFacts(options: ProbeOptions): Promise<Facts> {
  const [os, devices, capabilities] = await Promise.all([
    readOsName(options.osReleasePath ?? "/etc/os-release"),
    readDevices(options.live),
    probeCapabilities(),
  ]);
  return { hostname: hostname(), kernel: release(), os, agent: options.agent, devices, capabilities };
}

export async function probeCapabilities(): Promise<Capabilities> {
  await using room = await openRehearsal();
  return await capabilitiesOf(room);
}

/** Of the kernel that a throw-away namespace is of. */
export async function capabilitiesOf(room: Namespace): Promise<Capabilities> {
  const [tc, iptables, setTypes] = await Promise.all([
    probeTc(room),
    probeIptables(room),
    probeSetTypes(room),
  ]);
  return { ...iptables, ...tc, setTypes };
}

async function readOsName(path: string): Promise<string> {
  const text = await readFile(path, "utf8").catch(() => "");
  return osName(text);
}

/** PRETTY_NAME of an os-release file. */
export function osName(osRelease: string): string {
  const value = /^PRETTY_NAME=(.*)$/m.exec(osRelease)?.[1]?.trim() ?? "";
  return value.replace(/^(["'])(.*)\1$/, "$2") || "unknown";
}
