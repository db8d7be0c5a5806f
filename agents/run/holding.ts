import type { Refusal } from "@sluice/proto/wire/report";
import type { Log, Standing } from "../converge/parts.ts";
import { bootId } from "../state/process-id.ts";
import { readOr } from "../state/record-file.ts";
import { type Applied, type Issue, issueOf, type Refused } from "../state/schemas.ts";
import type { StateFolder } from "../state/state-folder.ts";

/** What this server holds, held before, and won't take again: on the disk, and in memory how its kernel spells it. */
export interface Holding {
  applied(): Applied | undefined;
  previous(): Applied | undefined;
  refused(): Refused;
  /** undefined: nothing is held, or it could not be rehearsed since the agent started */
  standing(): Standing | undefined;
  setStanding(standing: Standing): void;
  confirm(issue: Issue, manifest: string): Promise<void>;
  giveUp(issue: Issue, result: "refused" | "reverted", refusal: Refusal): Promise<void>;
  /** The one held before takes the place of the one held now. */
  stepBack(): Promise<void>;
}

const REFUSED_KEPT = 50;

export async function openHolding(state: StateFolder, now: () => Date, log: Log): Promise<Holding> {
  const onTorn = (reason: string) => log("a state file can't be trusted and counts as absent", { reason });
  let applied = await readOr(state.applied, onTorn);
  let previous = await readOr(state.previous, onTorn);
  let refused = (await readOr(state.refused, onTorn)) ?? [];
  let standing: Standing | undefined;

  return {
    applied: () => applied,
    previous: () => previous,
    refused: () => refused,
    standing: () => standing,
    setStanding(next) {
      standing = next;
    },
    async confirm(issue, manifest) {
      const next = { ...issueOf(issue), manifest, boot: bootId(), at: now().toISOString() };
      if (applied !== undefined && applied.digest !== next.digest) {
        await state.previous.write(applied);
        previous = applied;
      }
      await state.applied.write(next);
      applied = next;
    },
    async giveUp(issue, result, refusal) {
      const one = { ...issueOf(issue), result, reason: refusal.reason, at: now().toISOString() };
      refused = [...refused, one].slice(-REFUSED_KEPT);
      await state.refused.write(refused);
    },
    async stepBack() {
      if (previous === undefined) return;
      applied = { ...previous, boot: bootId() };
      await state.applied.write(applied);
      await state.previous.remove();
      previous = undefined;
    },
  };
}
