import { packetsOf } from "@sluice/infra/demo/kernel";
import type { IptablesBackend } from "@sluice/infra/lab/iptables-tools";
import type { Lab } from "@sluice/infra/lab/start-lab";
import { execIn } from "@sluice/infra/net/namespace";
import { kernelText } from "./kernel-text.ts";
import { startTestLab } from "./lab.ts";

/**
 * A lab of two servers: plain `iptables` is nft on server-1 and legacy on server-2. What holds for one backend is tried
 * on both at once.
 */
export type Family = 4 | 6;
export const FAMILIES: readonly Family[] = [4, 6];
const BACKENDS: readonly IptablesBackend[] = ["nft", "legacy"];

export interface BackendServer {
  readonly name: string;
  readonly backend: IptablesBackend;
  readonly namespace: string;
  address(family: Family): string;
  /** runs a tool on the server and returns what it says; throws when it fails */
  run(tool: string, ...args: string[]): Promise<string>;
  /** as `ip6tables-legacy` */
  iptablesTool(family: Family): string;
  /** runs it */
  iptables(family: Family, ...args: string[]): Promise<string>;
  /** packets counted by the rules of a table that mention `text` */
  packets(family: Family, table: string, text: string): Promise<number>;
  /** everything in iptables, ipset and tc, comparable */
  kernel(): Promise<string>;
}

export async function startBothBackends(
  agentFlags: readonly string[] = [],
): Promise<{ lab: Lab; servers: BackendServer[] }> {
  const lab = await startTestLab(BACKENDS.length, { backends: BACKENDS, agentFlags });
  const servers = lab.fabric.servers.map((host, index): BackendServer => {
    const { name, namespace } = host;
    const backend = BACKENDS[index] ?? "nft";
    const tool = (family: Family) => `${family === 4 ? "iptables" : "ip6tables"}-${backend}`;
    const run = (tool: string, ...args: string[]) => execIn(namespace, tool, args);
    return {
      name,
      backend,
      namespace,
      address: (family) => (family === 4 ? host.ipv4 : host.ipv6),
      run,
      iptablesTool: tool,
      iptables: (family, ...args) => run(tool(family), ...args),
      packets: (family, table, text) => packetsOf(namespace, table, text, `${tool(family)}-save`),
      kernel: () => kernelText(namespace, backend),
    };
  });
  return { lab, servers };
}

/** The same on every server at once. A failure says on which backend. */
export async function onEach(
  servers: readonly BackendServer[],
  work: (server: BackendServer) => Promise<void>,
): Promise<void> {
  const results = await Promise.allSettled(servers.map(work));
  for (const [index, result] of results.entries()) {
    if (result.status === "fulfilled") continue;
    const { reason } = result;
    if (reason instanceof Error) reason.message = `${servers[index]?.backend}: ${reason.message}`;
    throw reason;
  }
}

/** Dropped packets are waited for this long: a SYN that got no answer is sent again after 1 s. */
const KNOCK_MS = 900;

/** One connection from the client, and what came of it: `accepted`, `refused`, `timeout` or `unreachable`. */
export async function knock(
  lab: Lab,
  server: BackendServer,
  port: number,
  { family = 4, from }: { family?: Family; from?: string | undefined } = {},
): Promise<string> {
  const source = from === undefined ? {} : { from };
  const target = { to: server.address(family), port, timeoutMs: KNOCK_MS, ...source };
  return (await lab.outside.connect(target)).outcome;
}

export interface Pair {
  4: string;
  6: string;
}

/** Addresses that the client can knock from, one of each family. */
export async function addAddresses(lab: Lab, ...pairs: readonly Pair[]): Promise<void> {
  const client = lab.fabric.host("client");
  for (const pair of pairs) {
    await lab.fabric.addAddress(client, `${pair[4]}/32`);
    await lab.fabric.addAddress(client, `${pair[6]}/128`);
  }
}
