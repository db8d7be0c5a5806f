import { setTimeout as delay } from "node:timers/promises";
import { messageOf } from "@sluice/proto/base/errors";
import type { Manifest, Origin } from "@sluice/proto/manifest/manifest";
import { parseEndpoint } from "./dial.ts";
import type { ConvergeParts } from "./parts.ts";

const TRY_MS = 2_000;
const PAUSE_MS = 100;

/** A probe that failed, and the policy line that asked for it. */
export class ProbeFailed extends Error {
  readonly origin: Origin;

  constructor(tcp: string, reason: string, origin: Origin) {
    super(`probe tcp ${tcp} failed: ${reason}`);
    this.name = "ProbeFailed";
    this.origin = origin;
  }
}

/** Makes the manifest's outgoing connections, new ones, side by side; each is tried again until `untilMs`. */
export async function probe(
  parts: Pick<ConvergeParts, "dial" | "clock">,
  probes: Manifest["probes"],
  untilMs: number,
): Promise<void> {
  await Promise.all(probes.map((one) => probeOne(parts, one, untilMs)));
}

async function probeOne(
  { dial, clock }: Pick<ConvergeParts, "dial" | "clock">,
  { tcp, origin }: Manifest["probes"][number],
  untilMs: number,
): Promise<void> {
  const endpoint = parseEndpoint(tcp);
  if (endpoint === undefined) throw new ProbeFailed(tcp, "it is no address and port", origin);
  for (;;) {
    try {
      const leftMs = Math.max(PAUSE_MS, untilMs - clock.nowMs());
      return await dial(endpoint.address, endpoint.port, Math.min(TRY_MS, leftMs));
    } catch (error) {
      if (clock.nowMs() + PAUSE_MS >= untilMs) throw new ProbeFailed(tcp, messageOf(error), origin);
      await delay(PAUSE_MS);
    }
  }
}
