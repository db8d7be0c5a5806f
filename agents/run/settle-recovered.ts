import type { Recovered } from "../converge/recover.ts";
import { parseManifest } from "../converge/take.ts";
import type { AgentLink } from "../link/link.ts";
import { type Issue, issueOf } from "../state/schemas.ts";
import type { AgentParts } from "./agent-parts.ts";
import type { Holding } from "./holding.ts";

interface Around extends Pick<AgentParts, "takeover" | "log"> {
  holding: Holding;
  link: Pick<AgentLink, "report">;
}

/** Writes down and tells how the change ended that was under way when the agent before this one did. */
export async function settleRecovered(recovered: Recovered, around: Around): Promise<void> {
  const { holding, link, takeover, log } = around;
  const { journal, result, close } = recovered;
  const issue = issueOf(journal);
  const outcome = { kind: "outcome", ...issue, result, stats: { phasesMs: {}, writes: 0 } } as const;
  log(`a change was under way when the agent ended: ${result}`, { generation: issue.generation });
  if (result === "confirmed" && journal.local) {
    await settleRevertedHere(issue, around);
  } else if (result === "confirmed") {
    await holding.confirm(issue, journal.manifest);
    await link.report(outcome);
  } else if (!journal.local) {
    await holding.giveUp(issue, result, recovered.refusal);
    await link.report({ ...outcome, refusal: recovered.refusal });
  }
  const held = holding.applied();
  const parsed = held && parseManifest(held.manifest, held.digest);
  if (parsed?.ok) await takeover.settle(parsed.manifest.takeover);
  await close();
}

/** A revert that was asked for here, to `issue`: what was held until then is given up. */
async function settleRevertedHere({ generation, epoch }: Issue, { holding, link }: Around): Promise<void> {
  const applied = holding.applied();
  if (applied === undefined || (applied.generation === generation && applied.epoch === epoch)) return;
  const refusal = { step: "confirm", reason: "reverted on the server itself" } as const;
  const stats = { phasesMs: {}, writes: 0 };
  await link.report({ kind: "outcome", ...issueOf(applied), result: "reverted", refusal, stats });
  await holding.giveUp(issueOf(applied), "reverted", refusal);
  await holding.stepBack();
}
