import type { Manifest } from "@sluice/proto/manifest/manifest";
import type { Refusal } from "@sluice/proto/wire/report";
import type { Before, Log, Standing } from "../converge/parts.ts";
import { parseManifest } from "../converge/take.ts";
import type { Target } from "../drivers/driver.ts";
import { bootId } from "../state/process-id.ts";
import { readOr } from "../state/record-file.ts";
import { type Applied, type Issue, issueOf, type Refused } from "../state/schemas.ts";
import type { StateFolder } from "../state/state-folder.ts";

/**
 * What this server holds, held before, and won't take again: in memory, and on the disk.
 *
 * Memory first: what the kernel holds is a fact, whether the disk takes it or not. What a full disk refused is written
 * by the next `persist`.
 */
export interface Holding {
  applied(): Applied | undefined;
  previous(): Applied | undefined;
  refused(): Refused;
  /** undefined: nothing is held, or it could not be rehearsed since the agent started */
  standing(): Standing | undefined;
  /** what a change starts from */
  before(): Before | undefined;
  setStanding(standing: Standing): void;
  confirm(issue: Issue, manifest: string): Promise<void>;
  giveUp(issue: Issue, result: "refused" | "reverted", refusal: Refusal): Promise<void>;
  /** The one held before takes the place of the one held now. */
  stepBack(): Promise<void>;
  /** Throws while the disk doesn't take it. */
  persist(): Promise<void>;
}

const REFUSED_KEPT = 50;

export async function openHolding(
  state: StateFolder,
  targetFor: (manifest: Manifest) => Target,
  now: () => Date,
  log: Log,
): Promise<Holding> {
  const onTorn = (reason: string) => log("a state file can't be trusted and counts as absent", { reason });
  let applied = await readOr(state.applied, onTorn);
  let previous = await readOr(state.previous, onTorn);
  let refused = (await readOr(state.refused, onTorn)) ?? [];
  let standing: Standing | undefined;
  let dirty = false;

  async function persist(): Promise<void> {
    if (!dirty) return;
    if (previous !== undefined) await state.previous.write(previous);
    if (applied !== undefined) await state.applied.write(applied);
    await state.refused.write(refused);
    // last: until the one held now is written, the way back to it must be there
    if (previous === undefined) await state.previous.remove();
    dirty = false;
  }

  async function keep(): Promise<void> {
    dirty = true;
    await persist();
  }

  return {
    applied: () => applied,
    previous: () => previous,
    refused: () => refused,
    standing: () => standing,
    before() {
      if (standing !== undefined) return standing;
      const parsed = applied && parseManifest(applied.manifest, applied.digest);
      if (!parsed?.ok) return undefined;
      return { manifest: parsed.manifest, target: targetFor(parsed.manifest), want: undefined };
    },
    setStanding(next) {
      standing = next;
    },
    async confirm(issue, manifest) {
      const next = { ...issueOf(issue), manifest, boot: bootId(), at: now().toISOString() };
      if (applied !== undefined && applied.digest !== next.digest) previous = applied;
      applied = next;
      await keep();
    },
    async giveUp(issue, result, refusal) {
      const one = { ...issueOf(issue), result, reason: refusal.reason, at: now().toISOString() };
      refused = [...refused, one].slice(-REFUSED_KEPT);
      await keep();
    },
    async stepBack() {
      if (previous === undefined) return;
      applied = { ...previous, boot: bootId() };
      previous = undefined;
      await keep();
    },
    persist,
  };
}
