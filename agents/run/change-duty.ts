import { messageOf, SluiceError } from "@sluice/proto/base/errors";
import type { ManifestList } from "@sluice/proto/manifest/manifest";
import type { BlobRef, DesiredEnvelope } from "@sluice/proto/wire/envelope";
import type { ReportBody } from "@sluice/proto/wire/report";
import { converge } from "../converge/converge.ts";
import { closeJournal } from "../converge/journal.ts";
import type { ConvergeParts, Issued, Outcome, Settle, Settled } from "../converge/parts.ts";
import { decideTake, type Parsed, parseManifest } from "../converge/take.ts";
import { createBackoff } from "../link/backoff.ts";
import type { AgentLink } from "../link/link.ts";
import { type Issue, issueOf } from "../state/schemas.ts";
import type { Holding } from "./holding.ts";
import type { Turns } from "./turns.ts";

/**
 * Takes the newest envelope, changes the server, tells what came of it.
 *
 * 1. One change at a time. However often it is woken meanwhile, it looks once more afterwards, and takes the newest.
 * 2. What can't be done now (control away, a blob not there yet) is tried again, later each time.
 * 3. Whatever is refused or undone is kept, so that it isn't tried twice.
 * 4. An outcome is told before it is kept: who dies between the two tells it twice, and never not at all.
 */
export interface ChangeDuty {
  /** something may be new */
  wake(): void;
  /** back to the manifest before the last confirmed one, without asking anybody */
  revert(by: string): Promise<{ done: boolean; message: string }>;
  isChanging(): boolean;
  close(): void;
}

export interface ChangeDutyOptions {
  parts: ConvergeParts;
  link: AgentLink;
  turns: Turns;
  holding: Holding;
  isPaused(): boolean;
  useLists(lists: readonly ManifestList[]): Promise<void>;
  holdLists<T>(work: () => Promise<T>): Promise<T>;
  /** what is held now is what a boot brings back; never throws */
  keepHeld(): Promise<void>;
  /** before the kernel is touched, within the change's turn */
  beforeChange(): Promise<void>;
  /** after any change, whatever came of it */
  onChanged(how: { isUndone: boolean }): void;
}

const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 30_000;

export function createChangeDuty(options: ChangeDutyOptions): ChangeDuty {
  const { parts, link, holding, turns } = options;
  let woken = false;
  let changing = false;
  const retry = createBackoff({ firstMs: FIRST_RETRY_MS, lastMs: LAST_RETRY_MS });
  let timer: NodeJS.Timeout | undefined;
  let rejected = "";
  let isClosed = false;

  function wake(): void {
    retry.reset();
    tryNow();
  }

  function tryNow(): void {
    if (woken || isClosed) return;
    woken = true;
    turns.take(takeNewest).catch((error) => {
      parts.log("the newest manifest could not be taken yet", { reason: messageOf(error) });
      retryLater();
    });
  }

  function retryLater(): void {
    clearTimeout(timer);
    if (!isClosed) timer = setTimeout(tryNow, retry.nextMs());
  }

  async function takeNewest(): Promise<void> {
    woken = false;
    if (options.isPaused() || isClosed) return;
    await finishLast();
    const opened = await link.fetchDesired();
    if (opened === undefined) return;
    const take = decideTake(
      { server: link.server, applied: holding.applied(), refused: holding.refused() },
      opened,
    );
    if (take.kind === "rejected" && take.reason !== rejected) {
      rejected = take.reason;
      parts.log("an envelope was rejected", { reason: take.reason });
      await link.report({ kind: "rejected", what: "envelope", reason: take.reason });
    }
    if (take.kind !== "take") return;
    const issue = issueFrom(take.envelope);
    const fetched = await fetchManifest(take.envelope.manifest);
    const { byHandMs } = take.envelope;
    if (fetched.ok)
      await change({ issue, manifest: fetched.manifest, text: fetched.text, local: false, byHandMs });
    else await settleAndTell(issue, "", refusedAtTake(fetched.reason));
  }

  async function fetchManifest(blob: BlobRef): Promise<Parsed & { text: string }> {
    try {
      const text = Buffer.from(await link.fetchBlob(blob)).toString();
      return { ...parseManifest(text, blob.digest), text };
    } catch (error) {
      // a digest that doesn't match is final; a chunk that isn't there may come
      if (error instanceof SluiceError && error.code === "REFUSED")
        return { ok: false, reason: error.message, text: "" };
      throw error;
    }
  }

  /** What a full disk refused when the last change was settled. Until it is kept, nothing new is begun. */
  async function finishLast(): Promise<void> {
    await holding.persist();
    if ((await parts.state.journal.read()).kind !== "none") await closeJournal(parts);
  }

  async function change(issued: Issued): Promise<void> {
    const { generation, digest } = issued.issue;
    parts.log("change begins", { generation, digest: digest.slice(0, 12) });
    await options.useLists([...(holding.standing()?.manifest.lists ?? []), ...issued.manifest.lists]);
    const outcome = await walk(issued, (settled) => settleAndTell(issued.issue, issued.text, settled));
    if (outcome.kind === "waits") {
      parts.log("change waits", { generation, reason: outcome.reason });
      retryLater();
      return;
    }
    const refusal = "refusal" in outcome ? { refusal: outcome.refusal } : {};
    parts.log(`change ${outcome.kind}`, { generation, ...outcome.stats, ...refusal });
  }

  async function walk(issued: Issued, settle: Settle): Promise<Outcome> {
    changing = true;
    let outcome: Outcome | undefined;
    try {
      await options.beforeChange();
      outcome = await options.holdLists(() => converge(parts, issued, holding.before(), settle));
      return outcome;
    } finally {
      changing = false;
      await options.keepHeld();
      await options.useLists(holding.standing()?.manifest.lists ?? []);
      options.onChanged({ isUndone: outcome?.kind === "reverted" });
    }
  }

  async function settleAndTell(issue: Issue, text: string, outcome: Settled): Promise<boolean> {
    // before anything that may fail: from now on this is what a look compares with
    if (outcome.kind === "confirmed") holding.setStanding(outcome.standing);
    await link.report(outcomeReport(issue, outcome));
    await parts.at?.("keep");
    return await isKept(
      outcome.kind === "confirmed"
        ? holding.confirm(issue, text)
        : holding.giveUp(issue, outcome.kind, outcome.refusal),
    );
  }

  async function isKept(writing: Promise<void>): Promise<boolean> {
    try {
      await writing;
      return true;
    } catch (error) {
      parts.log("the state folder doesn't take what was decided; tried again later", {
        reason: messageOf(error),
      });
      return false;
    }
  }

  async function revert(by: string): Promise<{ done: boolean; message: string }> {
    const [applied, previous] = [holding.applied(), holding.previous()];
    if (applied === undefined || previous === undefined)
      return { done: false, message: "there is no manifest before the one that is held" };
    const parsed = parseManifest(previous.manifest, previous.digest);
    if (!parsed.ok) return { done: false, message: parsed.reason };
    const issued = {
      issue: issueOf(previous),
      manifest: parsed.manifest,
      text: previous.manifest,
      local: true,
    };
    const refusal = { step: "confirm", reason: `reverted on the server by ${by}` } as const;
    await finishLast();
    const outcome = await walk(issued, async (settled) => {
      if (settled.kind !== "confirmed") return true;
      holding.setStanding(settled.standing);
      const told = { kind: "reverted", refusal, stats: settled.stats } as const;
      await link.report(outcomeReport(issueOf(applied), told));
      return await isKept(holding.giveUp(issueOf(applied), "reverted", refusal).then(holding.stepBack));
    });
    switch (outcome.kind) {
      case "confirmed":
        return { done: true, message: `generation ${previous.generation} is held again` };
      case "waits":
        return { done: false, message: outcome.reason };
      case "refused":
      case "reverted":
        return { done: false, message: outcome.refusal.reason };
    }
  }

  return {
    wake,
    revert: (by) => turns.take(() => revert(by)),
    isChanging: () => changing,
    close() {
      isClosed = true;
      clearTimeout(timer);
    },
  };
}

function refusedAtTake(reason: string): Settled {
  return { kind: "refused", refusal: { step: "take", reason }, stats: { phasesMs: {}, writes: 0 } };
}

function outcomeReport(issue: Issue, outcome: Settled): ReportBody {
  return {
    kind: "outcome",
    ...issue,
    result: outcome.kind,
    ...("refusal" in outcome ? { refusal: outcome.refusal } : {}),
    ...("taken" in outcome && outcome.taken ? { taken: outcome.taken } : {}),
    stats: outcome.stats,
  };
}

function issueFrom({ epoch, generation, manifest, rollout }: DesiredEnvelope): Issue {
  return issueOf({ epoch, generation, digest: manifest.digest, rollout });
}
