import { furnish, roomDevices } from "@sluice/agents/converge/rehearsal-room";
import type { Script, Target } from "@sluice/agents/drivers/driver";
import { createTcDriver } from "@sluice/agents/drivers/tc/driver";
import type { TcSnapshot } from "@sluice/agents/drivers/tc/snapshot";
import { openRehearsal, type RehearsalNamespace } from "@sluice/agents/exec/rehearsal-namespace";
import type { ManifestDevice, TcTree } from "@sluice/proto/manifest/manifest";

/** A namespace that stands for a live one, with real devices, and a fresh rehearsal for every target. */
export interface TcLab extends AsyncDisposable {
  live: RehearsalNamespace;
  /** rehearses the target, writes what differs, and returns the scripts that were written */
  apply(devices: readonly ManifestDevice[]): Promise<Applied>;
  tc(args: string): Promise<string>;
  /** a command in the live namespace, split at its spaces; throws when it fails */
  run(line: string): Promise<string>;
}

export interface Applied {
  target: Target;
  want: TcSnapshot;
  scripts: Script[];
}

export const driver = createTcDriver();

export type OpenNamespace = () => Promise<RehearsalNamespace>;

export function openTcLab(...deviceNames: string[]): Promise<TcLab> {
  return openTcLabBy(openRehearsal, deviceNames);
}

/** In the namespaces of whatever kernel they are opened on. */
export async function openTcLabBy(open: OpenNamespace, deviceNames: readonly string[]): Promise<TcLab> {
  const live = await open();
  const facts = deviceNames.map((name, index) => ({
    name,
    mtu: 1500,
    txQueueLength: 500 + index,
    addresses: [`10.77.${index}.1/24`],
  }));
  await furnish(live, facts, { chains: [], sets: [] });

  async function run(line: string): Promise<string> {
    const [command = "", ...args] = line.split(" ");
    const { code, stdout, stderr } = await live.run(command, args);
    if (code !== 0) throw new Error(`${line}: ${stderr}`);
    return stdout;
  }

  return {
    live,
    run,
    tc: (args) => run(`tc ${args}`),
    async apply(devices) {
      const target = targetOf(devices);
      const want = await rehearse(target, open);
      const have = await driver.read(live, target);
      const steps = driver.render(target, want, have);
      const scripts = [...steps.build, ...steps.remove];
      for (const script of scripts) await driver.write(live, script);
      return { target, want, scripts };
    },
    [Symbol.asyncDispose]: () => live.close(),
  };
}

/** What this kernel makes of a target built from nothing. */
export async function rehearse(target: Target, open: OpenNamespace = openRehearsal): Promise<TcSnapshot> {
  await using room = await open();
  await furnish(room, roomDevices([], target.devices), target.external);
  const empty = await driver.read(room, target);
  const { build } = driver.render(target, undefined, empty);
  for (const script of build) await driver.write(room, script);
  return await driver.read(room, target);
}

export function targetOf(devices: readonly ManifestDevice[]): Target {
  return { sets: [], chains: [], hooks: [], devices, external: { chains: [], sets: [] } };
}

/** HTB root with a default class and one more, as the classic uplink recipe has them. */
export function uplink(change: { web?: string; default?: string; rest?: string } = {}): TcTree {
  const line = (at: number) => ({ policy: "uplink", revision: 1, line: at });
  return {
    qdiscs: [
      {
        parent: "root",
        handle: "1:",
        kind: "htb",
        args: ["default", change.default ?? "20"],
        origin: line(3),
      },
    ],
    classes: [
      htbClass("1:", "1:10", change.web ?? "200kbit", ["prio", "1"], line(5)),
      htbClass("1:", "1:20", change.rest ?? "1024kbit", ["prio", "2"], line(6)),
    ],
    filters: [
      {
        parent: "1:",
        protocol: "ip",
        prio: 1,
        handle: "800::1",
        kind: "u32",
        args: ["match", "ip", "sport", "80", "0xffff", "flowid", "1:10"],
        origin: line(7),
      },
    ],
  };
}

export function htbClass(
  parent: string,
  classid: string,
  rate: string,
  more: string[] = [],
  origin?: TcTree["classes"][number]["origin"],
): TcTree["classes"][number] {
  const args = ["rate", rate, "ceil", rate, "burst", "1600", "cburst", "1600", "quantum", "1514", ...more];
  return { parent, classid, kind: "htb", args, origin };
}
