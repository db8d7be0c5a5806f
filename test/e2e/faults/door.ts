import type { Lab } from "@sluice/infra/lab/start-lab";
import { waitUntil } from "@sluice/infra/process/wait-until";

/** The policy of these tests: one shut port, a live list, and, where asked for, a gate between apply and confirm. */
export interface Door {
  shut: number;
  deadline?: string;
  /** the change waits, applied and not confirmed, until `openGate` */
  gated?: boolean;
}

const GATE = 7777;

export function doorPolicy(lab: Lab, { shut, deadline = "30s", gated = false }: Door): string {
  const probes = gated ? `probes: [{ tcp: ${lab.fabric.host("client").ipv4}:${GATE} }]` : "";
  return `policy: door
description: One shut port
targets: { servers: ["*"] }
deadline: ${deadline}
firewall:
  filter:
    INPUT:
      - -p tcp --dport ${shut} -j REJECT --reject-with tcp-reset
blocks: [bans]
reach: [tcp/22]
${probes}
`;
}

/** Lets through whoever waits at the gate, until it is disposed of. */
export async function openGate(lab: Lab): Promise<AsyncDisposable> {
  return await lab.outside.listen(GATE, { kind: "accept" });
}

/** What comes of a connection from the client, over both families: "refused" only if both are. */
export async function knock(lab: Lab, server: string, port: number): Promise<string> {
  const { ipv4, ipv6 } = lab.fabric.host(server);
  const outcomes = await Promise.all(
    [ipv4, ipv6].map(async (to) => (await lab.outside.connect({ to, port, timeoutMs: 900 })).outcome),
  );
  return [...new Set(outcomes)].join(" and ");
}

export async function isShut(lab: Lab, server: string, port: number, timeoutMs = 30_000): Promise<void> {
  await waitUntil(
    `tcp/${port} of ${server} shut`,
    timeoutMs,
    async () => (await knock(lab, server, port)) === "refused",
  );
}
