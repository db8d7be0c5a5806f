/**
 * A small network in namespaces: hosts on one wire (a bridge in a namespace of its own), each reachable from each
 * over IPv4 and IPv6.
 *
 * Promises:
 * 1. The default namespace is never touched: no device, address, route or rule appears in it.
 * 2. `dispose()` removes all of it, also when it was built by half; so does the death of this process.
 * 3. A namespace that stands in the way is removed only if its mark says that a process of ours made it and is gone.
 *
 * Every host has a default route without a gateway, so any address that one host adds to its device is answered by
 * all others: a packet "from 203.0.113.9" needs only `addAddress(host, "203.0.113.9/32")`.
 */
import { cleanUpOnDeath } from "../process/janitor.ts";
import { type FabricPlan, type HostPlan, ipv4Prefix, ipv6Prefix, planFabric } from "./fabric-plan.ts";
import { addressLine, bridgeLines, linkUpLines, onLinkRouteLine, vethPairLines } from "./links.ts";
import {
  configure,
  createNamespace,
  deleteNamespace,
  listNamespaces,
  lockFile,
  setSysctls,
} from "./namespace.ts";
import { markLine, ownershipOf } from "./ownership.ts";

export interface FabricOptions {
  /** Before every namespace's name; unique to this process and call unless said. "" gives plain names. */
  prefix?: string;
  /** server-1 … server-n; 4 unless said. */
  servers?: number;
  /** Hosts beside the servers; control and client unless said. */
  others?: readonly string[];
  /** Leaves segmentation offload on: faster, but shaping then measures wrong. */
  offload?: boolean;
}

export interface Fabric extends AsyncDisposable {
  readonly prefix: string;
  readonly switchNamespace: string;
  readonly hosts: readonly HostPlan[];
  readonly servers: readonly HostPlan[];
  /** By name, as "server-1" or "client"; throws if there is none. */
  host(name: string): HostPlan;
  /** Gives a host one more address, as "203.0.113.9/32". */
  addAddress(host: HostPlan, cidr: string): Promise<void>;
  /** Pulls a host's cable out; what it has configured stays. */
  cut(host: HostPlan): Promise<void>;
  /** Puts it back. */
  mend(host: HostPlan): Promise<void>;
  dispose(): Promise<void>;
}

const testPrefix = /^slt\d+-\d+-/;
let built = 0;

export async function createFabric(options: FabricOptions = {}): Promise<Fabric> {
  const { prefix = uniquePrefix(), servers = 4, others = ["control", "client"], offload = false } = options;
  const plan = planFabric({ prefix, servers, others });
  const namespaces = [plan.switchNamespace, ...plan.hosts.map((host) => host.namespace)];
  await clearTheWay(namespaces);
  const janitor = cleanUpOnDeath({ namespaces, paths: namespaces.map(lockFile) });

  async function dispose() {
    const outcomes = await Promise.allSettled(namespaces.map(deleteNamespace));
    const failed = outcomes.find((outcome) => outcome.status === "rejected");
    if (failed) throw failed.reason;
    janitor.release();
  }

  try {
    await build(plan, namespaces, offload);
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    prefix,
    switchNamespace: plan.switchNamespace,
    hosts: plan.hosts,
    servers: plan.hosts.slice(0, servers),
    host(name) {
      const found = plan.hosts.find((host) => host.name === name);
      if (!found)
        throw new Error(`no host ${name}; there are ${plan.hosts.map((host) => host.name).join(", ")}`);
      return found;
    },
    addAddress: (host, cidr) => configure(host.namespace, [addressLine(host.device, cidr)]),
    cut: (host) => configure(plan.switchNamespace, [`link set ${host.port} down`]),
    mend: (host) => configure(plan.switchNamespace, [`link set ${host.port} up`]),
    dispose,
    [Symbol.asyncDispose]: dispose,
  };
}

function uniquePrefix(): string {
  built += 1;
  return `slt${process.pid}-${built}-`;
}

async function build(plan: FabricPlan, namespaces: readonly string[], offload: boolean): Promise<void> {
  await Promise.all(
    namespaces.map(async (namespace) => {
      await createNamespace(namespace);
      await configure(namespace, [markLine(), "link set lo up"]);
    }),
  );
  const pairs = plan.hosts.flatMap((host) =>
    vethPairLines({ near: host.port, far: host.device, farNamespace: host.namespace, bridge: plan.bridge }),
  );
  const ports = plan.hosts.flatMap((host) => linkUpLines(host.port, offload));
  await configure(plan.switchNamespace, [...bridgeLines(plan.bridge), ...pairs, ...ports]);
  await Promise.all(plan.hosts.map((host) => setUpHost(host, offload)));
}

async function setUpHost(host: HostPlan, offload: boolean): Promise<void> {
  // Refusals by ICMP are not rationed, so that each try of a test is answered.
  await setSysctls(host.namespace, { "net.ipv4.icmp_ratelimit": 0, "net.ipv6.icmp.ratelimit": 0 });
  await configure(host.namespace, [
    ...linkUpLines(host.device, offload),
    addressLine(host.device, `${host.ipv4}/${ipv4Prefix}`),
    addressLine(host.device, `${host.ipv6}/${ipv6Prefix}`),
    onLinkRouteLine(host.device, "0.0.0.0/0"),
    onLinkRouteLine(host.device, "::/0"),
  ]);
}

/** Removes what a fabric left that could not be disposed of; refuses where a name is taken by anybody else. */
async function clearTheWay(wanted: readonly string[]): Promise<void> {
  const standing = (await listNamespaces()).filter((name) => wanted.includes(name) || testPrefix.test(name));
  await Promise.all(
    standing.map(async (name) => {
      const ownership = await ownershipOf(name);
      if (ownership === "abandoned") await deleteNamespace(name);
      else if (wanted.includes(name)) throw new Error(takenMessage(name, ownership));
    }),
  );
}

function takenMessage(name: string, ownership: "foreign" | "in use"): string {
  switch (ownership) {
    case "foreign":
      return `a network namespace ${name} that is not Sluice's stands in the way; remove it with: ip netns delete ${name}`;
    case "in use":
      return `network namespace ${name} belongs to a lab that is running; end that one first`;
  }
}
