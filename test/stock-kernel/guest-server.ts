import {
  closeAll,
  type Drivers,
  diffAll,
  readAll,
  renderAll,
  type Snapshots,
  writeScripts,
} from "@sluice/agents/converge/kernel";
import type { Room } from "@sluice/agents/converge/parts";
import { furnish, roomDevices } from "@sluice/agents/converge/rehearsal-room";
import { rehearse } from "@sluice/agents/converge/rehearse";
import { targetOf } from "@sluice/agents/converge/target";
import type { Script, Target } from "@sluice/agents/drivers/driver";
import { createIpsetDriver } from "@sluice/agents/drivers/ipset/driver";
import { createIptablesDriver } from "@sluice/agents/drivers/iptables/driver";
import { iptablesTool } from "@sluice/agents/drivers/iptables/tools";
import { createTcDriver } from "@sluice/agents/drivers/tc/driver";
import type { RehearsalNamespace } from "@sluice/agents/exec/rehearsal-namespace";
import { readDevices } from "@sluice/agents/facts/devices";
import { capabilitiesOf } from "@sluice/agents/facts/probe-facts";
import { compile } from "@sluice/control/compile/compile";
import type { StockKernel } from "@sluice/infra/stock-kernel/boot";
import type { Difference } from "@sluice/proto/manifest/difference";
import type { Facts } from "@sluice/proto/manifest/facts";
import { EMPTY_MANIFEST, type Manifest } from "@sluice/proto/manifest/manifest";
import { parsePolicy } from "@sluice/proto/policy/parse";
import { openGuestNamespace } from "./guest-namespace.ts";

/** A namespace of the stock kernel that plays a server, with the agent's own parts at work on it from outside. */
export interface GuestServer {
  readonly live: RehearsalNamespace;
  readonly facts: Facts;
  openRoom(target: Target): Promise<Room>;
  /** Rehearses and applies what the policies make of this server; throws where one of them is refused. */
  hold(...policies: string[]): Promise<Held>;
  close(): Promise<void>;
}

export interface Held {
  manifest: Manifest;
  scripts: readonly Script[];
  /** what the kernel then holds beside what was rehearsed */
  left: Difference[];
  /** what a second apply would write */
  again: readonly Script[];
}

export interface GuestServerOptions {
  kernel: StockKernel;
  /** lines for `ip -batch`, in its namespace */
  devices: readonly string[];
}

export async function openGuestServer({ kernel, devices }: GuestServerOptions): Promise<GuestServer> {
  const open = () => openGuestNamespace(kernel);
  const live = await open();
  await must(live, "ip", ["-batch", "-"], `${devices.join("\n")}\n`);
  await using room = await open();
  const capabilities = await capabilitiesOf(room);
  const facts: Facts = {
    hostname: "guest",
    kernel: kernel.release,
    os: "Debian",
    agent: "0.1.0",
    devices: await readDevices(live),
    capabilities,
  };
  const { backend } = capabilities.iptables;
  const drivers: Drivers = [createIpsetDriver(), createIptablesDriver({ backend }), createTcDriver()];
  const tools = {
    restore4: iptablesTool(backend, 4, "restore"),
    restore6: iptablesTool(backend, 6, "restore"),
  };
  let held: { manifest: Manifest; target: Target } | undefined;

  async function openRoom(target: Target): Promise<Room> {
    const at = await open();
    await furnish(at, roomDevices(facts.devices, target.devices), target.external, tools);
    return { at, close: () => at.close() };
  }

  async function hold(...policies: string[]): Promise<Held> {
    const manifest = policies.length === 0 ? EMPTY_MANIFEST : compiled(policies, facts);
    const local = { protect: ["192.0.2.1", "2001:db8::1"], control: ["192.0.2.2:4222"] };
    const target = targetOf(manifest, local, () => undefined, held?.manifest);
    const rehearsed = await rehearse({ drivers, openRoom }, target, held);
    if (!rehearsed.ok) throw new Error(JSON.stringify(rehearsed.refusal));
    const steps = async () =>
      scriptsOf(drivers, target, rehearsed.want, await readAll(drivers, live, target));
    const scripts = await steps();
    await writeScripts(drivers, live, scripts);
    const have = await readAll(drivers, live, target);
    held = { manifest, target };
    const left = diffAll(drivers, target, rehearsed.want, have);
    return { manifest, scripts, left, again: scriptsOf(drivers, target, rehearsed.want, have) };
  }

  return {
    live,
    facts,
    openRoom,
    hold,
    async close() {
      await closeAll(drivers, live);
      await live.close();
    },
  };
}

function compiled(policies: readonly string[], facts: Facts): Manifest {
  const assigned = policies.map((text) => {
    const parsed = parsePolicy(text);
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems, undefined, 1));
    return { revision: 1, document: parsed.document };
  });
  const lists = { blocklist: { families: [4, 6] as const } };
  const result = compile({ assigned, server: { name: "guest", labels: {} }, facts, lists });
  if (!result.ok) throw new Error(JSON.stringify(result.problems, undefined, 1));
  return result.manifest;
}

function scriptsOf(drivers: Drivers, target: Target, want: Snapshots, have: Snapshots): Script[] {
  const { build, remove, removeSets } = renderAll(drivers, target, want, have);
  return [...build, ...remove, ...removeSets];
}

/** Runs a command, and throws with its words when it fails. */
export async function must(
  at: Pick<RehearsalNamespace, "run">,
  command: string,
  args: readonly string[],
  input?: string,
): Promise<string> {
  const { code, stdout, stderr } = await at.run(command, args, { input });
  if (code !== 0) throw new Error(`${command} ${args.join(" ")}: ${stderr.trim()}`);
  return stdout;
}
