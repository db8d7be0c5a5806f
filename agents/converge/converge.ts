import { messageOf, SluiceError } from "@sluice/proto/base/errors";
import type { ApplyStats, Refusal } from "@sluice/proto/wire/report";
import type { Script } from "../drivers/driver.ts";
import { carryCounters } from "../takeover/counters.ts";
import { describeTaken } from "../takeover/taken.ts";
import {
  givesTrees,
  givingBackScripts,
  type Handover,
  standingAsWanted,
  withTrees,
} from "../takeover/takeover.ts";
import { apply, isEmpty, removeOldSets } from "./apply.ts";
import { confirm, isPathUp } from "./confirm.ts";
import type { Deadline } from "./deadline.ts";
import { closeJournal, openJournal } from "./journal.ts";
import { diffAll, type Plan, readAll, renderAll } from "./kernel.ts";
import type { Before, ConvergeParts, Issued, Outcome, Settle, Settled, Standing, Step } from "./parts.ts";
import { ProbeFailed, probe } from "./probe.ts";
import { refusalOf } from "./refusals.ts";
import { rehearse, rehearseOnce } from "./rehearse.ts";
import { revert } from "./revert.ts";
import { targetOf, withoutMembers } from "./target.ts";
import { testOnce } from "./test.ts";
import { verify } from "./verify.ts";

/**
 * One change, from a manifest that was taken to its outcome.
 *
 *   rehearse ──no──▶ refused
 *      ▼
 *   test ──one fails──▶ refused              the policies' tests, as real packets
 *      │
 *      ├─ nothing differs ─▶ settle ─▶ confirmed, 0 writes, no journal
 *      ▼
 *   preflight ──no──▶ refused
 *      ▼
 *   path ──down──▶ waits                    nothing was written until here
 *      ▼
 *   journal ──no──▶ refused                 undo files, journal, runner: all there before the first write
 *      ▼
 *   apply ─▶ verify ─▶ probe ─▶ confirm ──no, at any of them──▶ revert ─▶ settle ─▶ reverted
 *      ▼ yes
 *   seal ─▶ settle ─▶ confirmed             the mark on the disk is the point of no return
 *
 * 1. `settle` is the caller's. It is called before the journal goes, so an outcome may be told twice after a crash, and
 *    is never lost; the journal stays while the disk doesn't take what was settled.
 * 2. If this process dies anywhere below `journal`, the runner undoes at the deadline, or the next start does. Where it
 *    may die is listed (`STEPS`), and each of them is tried.
 * 3. After a revert the server holds what it held; what that was isn't changed here.
 *
 * Never write to the live namespace outside `apply` and `seal`, and never go back after the mark.
 */
export async function converge(
  parts: ConvergeParts,
  issued: Issued,
  before: Before | undefined,
  settle: Settle,
): Promise<Outcome> {
  const { drivers, live, clock } = parts;
  const stats: ApplyStats = { phasesMs: {}, writes: 0 };

  async function step<T>(name: Step, work: () => Promise<T>): Promise<T> {
    const begunMs = clock.nowMs();
    try {
      await parts.at?.(name);
      return await work();
    } finally {
      stats.phasesMs[name] = Math.round((clock.nowMs() - begunMs) * 10) / 10;
    }
  }

  async function refused(refusal: Refusal): Promise<Outcome> {
    await settle({ kind: "refused", refusal, stats });
    return { kind: "refused", refusal, stats };
  }

  async function end(outcome: Settled): Promise<void> {
    await parts.at?.("settle");
    if (!(await settle(outcome))) return;
    const held = outcome.kind === "confirmed" ? issued.manifest : before?.manifest;
    await parts.takeover.settle(held?.takeover);
    await parts.at?.("close");
    await closeJournal(parts);
  }

  const bare = targetOf(issued.manifest, parts.local(), parts.listMembers, before?.manifest);
  let handover: Handover;
  try {
    handover = await parts.takeover.look(bare, before?.target);
  } catch (error) {
    if (isUnavailable(error)) return { kind: "waits", reason: messageOf(error) };
    return await refused(refusalOf("preflight", error));
  }
  const target = withTrees(bare, handover.givingBack);
  const rehearsed = await step("rehearse", () => rehearseOnce(parts, target, before));
  if (!rehearsed.ok) return await refused(rehearsed.refusal);
  const { want } = rehearsed;
  if (!issued.local) {
    const tested = await step("test", () => testOnce(parts, issued.manifest, target, want, before));
    if (tested.refusal !== undefined) return await refused(tested.refusal);
    for (const text of tested.unknown) parts.log("a test can't be told", { test: text });
  }
  const { issue, manifest } = issued;
  // not what was given back: from here on that is others' again
  const held = { ...bare, devices: manifest.devices };
  const rest = givesTrees(handover) ? await rehearse(parts, held) : rehearsed;
  if (!rest.ok) return await refused(rest.refusal);
  const next: Standing = { issue, manifest, target: withoutMembers(held), want: rest.want };

  let plan: Plan;
  let inTheWay: string[] = [];
  let standing: string[] = [];
  try {
    const have = await readAll(drivers, live, target);
    plan = renderAll(drivers, target, want, have);
    const back = givingBackScripts(handover, target);
    plan.remove = [...back.first, ...plan.remove, ...back.last];
    standing = standingAsWanted(handover, diffAll(drivers, target, want, have));
    if (!isEmpty(plan) || handover.taking.length > 0)
      inTheWay = await step("preflight", async () => [
        ...parts.preflight(target, before?.target, have),
        ...(await parts.takeover.distrust(handover, target)),
      ]);
  } catch (error) {
    // a lock that is held or a tool that hangs may be gone in a moment
    if (isUnavailable(error)) return { kind: "waits", reason: messageOf(error) };
    return await refused(refusalOf("preflight", error));
  }
  // what changes hands as it stands is a change, though nothing is written
  if (isEmpty(plan) && handover.taking.length + handover.givingBack.length === 0) {
    await settle({ kind: "confirmed", stats, standing: next });
    return { kind: "confirmed", stats, standing: next };
  }
  if (inTheWay.length > 0) return await refused({ step: "preflight", reason: inTheWay.join("; ") });

  if (!issued.local) {
    const down = await step("path", () => isPathUp(parts, issued));
    if (down !== undefined) return { kind: "waits", reason: down };
  }

  let deadline: Deadline;
  try {
    deadline = await step("journal", () =>
      openJournal(parts, issued, { before: before?.target, after: target, held, handover, standing }),
    );
  } catch (error) {
    await parts.undo.runner.revert().catch(() => undefined); // a runner that watches is sent home
    await closeJournal(parts);
    return await refused(refusalOf("journal", error));
  }

  let at: Refusal["step"] = "apply";
  try {
    stats.writes += await step("apply", async () => {
      const counters = await parts.takeover.counters(handover);
      const claims = { before: before?.target.takeover ?? [], after: target.takeover ?? [] };
      return await apply(
        parts,
        carriedIn(plan, (scripts) => carryCounters(counters, scripts, handover, claims)),
      );
    });
    at = "verify";
    await step("verify", () => deadline.aside(() => verify(parts, target, want)));
    at = "probe";
    await step("probe", () =>
      probe(parts, issued.manifest.probes, clock.nowMs() + (deadline.untilMs() - clock.nowMs()) / 2),
    );
    at = "confirm";
    if (!issued.local) await step("confirm", () => confirm(parts, issued, deadline));
    await step("seal", () => parts.undo.folder.markConfirmed());
  } catch (error) {
    const origin = error instanceof ProbeFailed ? { origin: error.origin } : {};
    const why = { ...refusalOf(at, error), ...origin };
    const refusal = await revert(parts, why, { from: manifest, before, handover });
    await end({ kind: "reverted", refusal, stats });
    return { kind: "reverted", refusal, stats };
  }

  // confirmed: a set that won't go is drift, and no reason to go back
  await parts.at?.("old sets");
  stats.writes += await removeOldSets(parts, plan).catch((error) => {
    parts.log(`old sets are still there: ${String(error)}`);
    return 0;
  });
  const taken = handover.taking.map(describeTaken);
  const outcome: Settled = {
    ...{ kind: "confirmed", stats, standing: next },
    ...(taken.length > 0 && { taken }),
  };
  await end(outcome);
  return outcome;
}

function carriedIn(plan: Plan, carried: (scripts: readonly Script[]) => Script[]): Plan {
  return { ...plan, build: carried(plan.build), remove: carried(plan.remove) };
}

function isUnavailable(error: unknown): boolean {
  return error instanceof SluiceError && error.code === "UNAVAILABLE";
}
