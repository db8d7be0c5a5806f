import type { Lab } from "../lab/start-lab.ts";
import type { HostPlan } from "../net/fabric-plan.ts";
import type { Narrator } from "./narrator.ts";

export type Outcome = "accepted" | "refused" | "timeout";

export interface Knock {
  host: HostPlan;
  port: number;
  from?: string;
  family?: 4 | 6;
  expect: Outcome;
  why: string;
}

/** Dropped packets are waited for this long: one lost SYN would be sent again after 1 s. */
const TIMEOUT_MS = 900;

/** One real connection from the client, and the claim that it went as it should. */
export async function knock(lab: Lab, narrator: Narrator, one: Knock): Promise<void> {
  const { host, port, from, family = 4, expect, why } = one;
  const { outcome, ms } = await tryConnection(lab, one);
  const source = from === undefined ? "" : ` from ${from}`;
  const verb = expect === "timeout" ? "dropped" : expect;
  narrator.claim(
    `${host.name} tcp/${port} over IPv${family}${source} is ${verb} (${why})`,
    outcome === expect,
    `${outcome} after ${ms.toFixed(1)} ms`,
  );
}

export async function tryConnection(
  lab: Lab,
  { host, port, from, family = 4 }: Pick<Knock, "host" | "port" | "from" | "family">,
): Promise<{ outcome: string; ms: number }> {
  const to = family === 4 ? host.ipv4 : host.ipv6;
  return await lab.outside.connect({
    to,
    port,
    timeoutMs: TIMEOUT_MS,
    ...(from === undefined ? {} : { from }),
  });
}
