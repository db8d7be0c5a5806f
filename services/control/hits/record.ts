import { SluiceError } from "@sluice/proto/base/errors";
import type { Hits } from "@sluice/proto/wire/hits";
import type { Services } from "../context/services.ts";
import { rulesOf } from "./rules.ts";

/** A server says what its rules matched. What is no rule of a stored revision is passed over. */
export async function recordHits(services: Services, hits: Hits): Promise<void> {
  const rules = await knownRules(services, hits);
  const counts = hits.counts.filter(({ path, observed }) => rules.has(keyOf(path, observed)));
  await services.hits.record({ ...hits, counts }, services.clock.now().toISOString());
}

async function knownRules(services: Services, { policy, revision }: Hits): Promise<Set<string>> {
  try {
    const rules = rulesOf(await services.documents.of(services, policy, revision));
    return new Set(rules.map(({ path, mode }) => keyOf(path, mode === "observe")));
  } catch (error) {
    if (error instanceof SluiceError && error.code === "NOT_FOUND") return new Set();
    throw error;
  }
}

function keyOf(path: string, observed: boolean): string {
  return `${observed} ${path}`;
}
