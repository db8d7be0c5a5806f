import { messageOf } from "@sluice/proto/base/errors";
import type { ManifestList } from "@sluice/proto/manifest/manifest";
import type { DesiredEnvelope } from "@sluice/proto/wire/envelope";
import type { ReportBody } from "@sluice/proto/wire/report";
import { converge } from "../converge/converge.ts";
import type { ConvergeParts, Issued, Outcome } from "../converge/parts.ts";
import { decideTake, parseManifest } from "../converge/take.ts";
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
  /** after any change, whatever came of it */
  onChanged(): void;
}

const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 30_000;

export function createChangeDuty(options: ChangeDutyOptions): ChangeDuty {
  const { parts, link, holding, turns } = options;
  let woken = false;
  let changing = false;
  let retryMs = FIRST_RETRY_MS;
  let timer: NodeJS.Timeout | undefined;
  let rejected = "";

  function wake(): void {
    if (woken) return;
    woken = true;
    void turns.take(takeNewest).catch((error) => {
      parts.log("the newest manifest could not be taken yet", { reason: messageOf(error) });
      retryLater();
    });
  }

  function retryLater(): void {
    clearTimeout(timer);
    timer = setTimeout(wake, retryMs);
    retryMs = Math.min(retryMs * 2, LAST_RETRY_MS);
  }

  async function takeNewest(): Promise<void> {
    woken = false;
    if (options.isPaused()) return;
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
    const { envelope } = take;
    const text = Buffer.from(await link.fetchBlob(envelope.manifest)).toString();
    const parsed = parseManifest(text, envelope.manifest.digest);
    const issue = issueFrom(envelope);
    if (!parsed.ok) {
      const refusal = { step: "take", reason: parsed.reason } as const;
      await settle(issue, text, { kind: "refused", refusal, stats: { phasesMs: {}, writes: 0 } });
      return;
    }
    await change({ issue, manifest: parsed.manifest, text, local: false });
  }

  async function change(issued: Issued): Promise<Outcome> {
    changing = true;
    const { generation, digest } = issued.issue;
    parts.log("change begins", { generation, digest: digest.slice(0, 12) });
    const held = holding.standing()?.manifest.lists ?? [];
    try {
      await options.useLists([...held, ...issued.manifest.lists]);
      const outcome = await options.holdLists(() =>
        converge(parts, issued, holding.standing(), (settled) => settle(issued.issue, issued.text, settled)),
      );
      if (outcome.kind === "waits") {
        parts.log("change waits", { generation, reason: outcome.reason });
        retryLater();
      } else {
        retryMs = FIRST_RETRY_MS;
        const reason = "refusal" in outcome ? outcome.refusal : undefined;
        parts.log(`change ${outcome.kind}`, {
          generation,
          ...outcome.stats,
          ...(reason && { refusal: reason }),
        });
      }
      await options.useLists(holding.standing()?.manifest.lists ?? []);
      return outcome;
    } finally {
      changing = false;
      options.onChanged();
    }
  }

  async function settle(
    issue: Issue,
    text: string,
    outcome: Exclude<Outcome, { kind: "waits" }>,
  ): Promise<void> {
    if (outcome.kind === "confirmed") {
      await holding.confirm(issue, text);
      holding.setStanding(outcome.standing);
    } else {
      await holding.giveUp(issue, outcome.kind, outcome.refusal);
    }
    await link.report(outcomeReport(issue, outcome));
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
    changing = true;
    try {
      const outcome = await options.holdLists(() =>
        converge(parts, issued, holding.standing(), async (settled) => {
          if (settled.kind !== "confirmed") return;
          await holding.giveUp(issueOf(applied), "reverted", refusal);
          await holding.stepBack();
          holding.setStanding(settled.standing);
          await link.report(
            outcomeReport(issueOf(applied), { kind: "reverted", refusal, stats: settled.stats }),
          );
        }),
      );
      if (outcome.kind === "waits") return { done: false, message: outcome.reason };
      if (outcome.kind !== "confirmed") return { done: false, message: outcome.refusal.reason };
      await options.useLists(parsed.manifest.lists);
      return { done: true, message: `generation ${previous.generation} is held again` };
    } finally {
      changing = false;
      options.onChanged();
    }
  }

  return {
    wake,
    revert: (by) => turns.take(() => revert(by)),
    isChanging: () => changing,
    close: () => clearTimeout(timer),
  };
}

export function outcomeReport(issue: Issue, outcome: Exclude<Outcome, { kind: "waits" }>): ReportBody {
  return {
    kind: "outcome",
    ...issue,
    result: outcome.kind,
    ...("refusal" in outcome ? { refusal: outcome.refusal } : {}),
    stats: outcome.stats,
  };
}

function issueFrom({ epoch, generation, manifest, rollout }: DesiredEnvelope): Issue {
  return issueOf({ epoch, generation, digest: manifest.digest, rollout });
}
