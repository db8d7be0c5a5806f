import type { Stage } from "../stage.ts";

/** Who changed what, when, why, and where it took effect. */
export async function auditHistory({ lab, narrator }: Stage): Promise<void> {
  narrator.chapter("The history of all of it");
  await narrator.sluice("audit", "log", "--policy", "firewall");
  await narrator.sluice("audit", "log", "--server", "server-1", "--type", "ServerReverted");
  await narrator.sluice("audit", "at", "--time", "1m", "--server", "server-1");
  const { events } = await lab.client.audit.log.query({ types: ["ServerReverted"] });
  narrator.claim("both undone changes are on record", events.length === 2, `${events.length} events`);
  const verified = await narrator.sluice("audit", "verify");
  narrator.claim("the hash chain is whole", verified.code === 0, verified.out.trim());
  await narrator.sluice("server", "ls");
}
